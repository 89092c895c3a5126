output "secret_arns" {
  description = "ARNs by name; six random characters end each."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "key_arn" {
  description = "ARN of the key of all secrets, which a reader needs kms:Decrypt on."
  value       = aws_kms_key.secrets.arn
}
