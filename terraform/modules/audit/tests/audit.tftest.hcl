provider "aws" {
  region                      = "ap-southeast-1"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "111111111111" }
}

variables {
  environment       = "dev"
  logs_bucket       = "mlops-dev-logs-111111111111"
  models_bucket_arn = "arn:aws:s3:::mlops-dev-models-111111111111"
  lake_bucket_arn   = "arn:aws:s3:::mlops-dev-lake-111111111111"
}

run "trail" {
  command = plan

  assert {
    condition     = aws_cloudtrail.this.name == "mlops-dev-audit" # the logs' bucket policy names it
    error_message = "the trail has the name that may write to the bucket"
  }
  assert {
    condition     = aws_cloudtrail.this.enable_log_file_validation && aws_cloudtrail.this.is_multi_region_trail
    error_message = "every region, and digests that show what was changed afterwards"
  }
  assert {
    condition = anytrue([
      for selector in aws_cloudtrail.this.advanced_event_selector : anytrue([
        for field in selector.field_selector :
        field.field == "resources.ARN" && try(field.starts_with[0], "") == "arn:aws:s3:::mlops-dev-models-111111111111/"
      ]) && !anytrue([for field in selector.field_selector : field.field == "readOnly"])
    ])
    error_message = "reads and writes of artifacts are recorded"
  }
  assert {
    condition     = aws_kms_key.audit.enable_key_rotation
    error_message = "the key rotates"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key.audit.policy).Statement :
      statement.Condition.StringEquals["aws:SourceArn"] == "arn:aws:cloudtrail:ap-southeast-1:111111111111:trail/mlops-dev-audit"
      if try(statement.Principal.Service, "") == "cloudtrail.amazonaws.com"
    ])
    error_message = "the key serves this trail and no other"
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    environment       = "Dev_1"
    logs_bucket       = "arn:aws:s3:::mlops-dev-logs"
    models_bucket_arn = "mlops-dev-models"
    lake_bucket_arn   = "*"
  }
  expect_failures = [var.environment, var.logs_bucket, var.models_bucket_arn, var.lake_bucket_arn]
}
