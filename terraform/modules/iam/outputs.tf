output "role_arns" {
  description = "ARNs by role: operator, predictor, training, etl, sagemaker, github_plan, github_apply, github_release, github_model."
  value       = { for key, role in aws_iam_role.this : key => role.arn }
}

output "role_names" {
  description = "Names by role."
  value       = { for key, role in aws_iam_role.this : key => role.name }
}

output "github_oidc_provider_arn" {
  description = "ARN of the account's OIDC provider of GitHub; what another environment of the same account is given."
  value       = local.github_provider_arn
}
