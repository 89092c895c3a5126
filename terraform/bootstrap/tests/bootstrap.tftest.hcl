# The real provider, without an account: what AWS would be asked for.

provider "aws" {
  region                      = "ap-southeast-1"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

variables {
  environment = "dev"
  account_id  = "123456789012"
}

run "by_default" {
  command = plan

  assert {
    condition     = output.state_bucket == "mlops-dev-terraform-state-123456789012"
    error_message = "The bucket's name is what the environment's backend expects."
  }
  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "An older state can be brought back."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
    error_message = "The state is encrypted."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls,
      aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls,
      aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "Nobody can make it public."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.state.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "What comes without TLS is refused."
  }
}

run "wrong_values" {
  command = plan

  variables {
    environment     = "Dev"
    region          = "Singapore"
    account_id      = "12345"
    noncurrent_days = 1
  }

  expect_failures = [var.environment, var.region, var.account_id, var.noncurrent_days]
}
