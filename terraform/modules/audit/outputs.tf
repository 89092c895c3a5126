output "trail_arn" {
  description = "ARN of the trail."
  value       = aws_cloudtrail.this.arn
}

output "key_arn" {
  description = "ARN of the key that reads of the trail need kms:Decrypt on."
  value       = aws_kms_key.audit.arn
}
