output "state_bucket" {
  description = "Name of the bucket: terraform init -backend-config=bucket=<this> in the environment."
  value       = aws_s3_bucket.state.bucket
}
