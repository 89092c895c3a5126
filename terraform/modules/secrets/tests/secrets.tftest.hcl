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
  environment = "dev"
  names       = { pager = "token of the pager that alarms call", chat = "webhook of the chat that alarms write to" }
  reader_arns = { pager = ["arn:aws:iam::111111111111:role/mlops-dev-operator"] }
}

run "secrets" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.this["pager"].name == "mlops-dev-pager" && length(aws_secretsmanager_secret.this) == 2
    error_message = "one secret per name"
  }
  assert {
    condition     = alltrue([for made in aws_secretsmanager_secret.this : made.recovery_window_in_days == 30])
    error_message = "a deletion can be taken back for thirty days"
  }
  assert {
    condition     = aws_kms_key.secrets.enable_key_rotation
    error_message = "the key rotates"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_secretsmanager_secret_policy.this["pager"].policy).Statement :
      statement.Condition.ArnNotEquals["aws:PrincipalArn"] if statement.Sid == "ReadersOnly"
    ] == [["arn:aws:iam::111111111111:role/mlops-dev-operator"]]
    error_message = "whoever is no reader is refused"
  }
  assert {
    condition     = !strcontains(aws_secretsmanager_secret_policy.this["chat"].policy, "ReadersOnly")
    error_message = "without readers the account's policies decide"
  }
  assert {
    condition     = alltrue([for made in aws_secretsmanager_secret_policy.this : made.block_public_policy])
    error_message = "no secret is ever public"
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    environment   = "Dev_1"
    recovery_days = 3
    reader_arns   = { pager = ["*"] }
  }
  expect_failures = [var.environment, var.recovery_days, var.reader_arns]
}

run "a_reader_of_nothing_is_refused" {
  command = plan
  variables {
    reader_arns = { other = ["arn:aws:iam::111111111111:role/mlops-dev-operator"] }
  }
  expect_failures = [var.reader_arns]
}

run "a_name_with_spaces_is_refused" {
  command = plan
  variables {
    names       = { "Pager Token" = "token of the pager" }
    reader_arns = {}
  }
  expect_failures = [var.names]
}
