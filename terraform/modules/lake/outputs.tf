output "lake_bucket" {
  description = "Name of the bucket with raw/, lake/, training/, feature-store/ and athena/."
  value       = aws_s3_bucket.this["lake"].bucket
}

output "models_bucket" {
  description = "Name of the bucket with registered artifacts."
  value       = aws_s3_bucket.this["models"].bucket
}

output "logs_bucket" {
  description = "Name of the bucket with access logs and the trail; its policy lets both write."
  value       = aws_s3_bucket.this["logs"].bucket

  depends_on = [aws_s3_bucket_policy.this]
}

output "lake_bucket_arn" {
  description = "ARN of the lake's bucket."
  value       = local.arns["lake"]
}

output "models_bucket_arn" {
  description = "ARN of the models' bucket."
  value       = local.arns["models"]
}

output "logs_bucket_arn" {
  description = "ARN of the logs' bucket."
  value       = local.arns["logs"]
}

output "key_arn" {
  description = "ARN of the key of lake and models."
  value       = aws_kms_key.lake.arn
}

output "glue_database" {
  description = "Database with the tables silver and gold."
  value       = aws_glue_catalog_database.lake.name
}

output "athena_workgroup" {
  description = "Workgroup in which the tables are asked."
  value       = aws_athena_workgroup.lake.name
}
