# The real provider, without an account: what AWS would be asked for.

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
  values = { account_id = "123456789012" }
}

variables {
  environment        = "dev"
  emails             = ["team@example.com"]
  monthly_budget_usd = 400
  lake_bucket        = "mlops-dev-lake-123456789012"
  models_bucket      = "mlops-dev-models-123456789012"
  cluster_name       = "mlops-dev"
}

run "by_default" {
  command = plan

  assert {
    condition     = aws_sns_topic.alerts.name == "mlops-dev-alerts" && output.topic_arn == "arn:aws:sns:ap-southeast-1:123456789012:mlops-dev-alerts"
    error_message = "The topic's ARN is known before it exists."
  }
  assert {
    condition     = [for email in aws_sns_topic_subscription.email : email.endpoint] == ["team@example.com"]
    error_message = "Each address is subscribed."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sns_topic_policy.alerts.policy).Statement :
      try(statement.Condition.StringEquals["aws:SourceAccount"], "") == "123456789012" if statement.Effect == "Allow"
    ])
    error_message = "Nobody publishes for another account."
  }
  assert {
    condition = toset([
      for statement in jsondecode(aws_sns_topic_policy.alerts.policy).Statement : statement.Principal.Service if statement.Effect == "Allow"
    ]) == toset(["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"])
    error_message = "Budgets, alarms and rules publish, and nobody else."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_sns_topic_policy.alerts.policy).Statement :
      try(statement.Condition.Bool["aws:SecureTransport"], "") == "false" if statement.Effect == "Deny"
    ])
    error_message = "What comes without TLS is refused."
  }
  assert {
    condition = length([
      for statement in jsondecode(aws_kms_key.alerts.policy).Statement :
      statement if contains(try(tolist(statement.Action), []), "kms:GenerateDataKey*")
    ]) == 3 && aws_kms_key.alerts.enable_key_rotation
    error_message = "Each service that publishes may use the key, which changes by itself."
  }
  assert {
    condition     = aws_budgets_budget.month.limit_amount == "400.00"
    error_message = "The budget is what the variable says."
  }
  assert {
    condition = (
      toset([for told in aws_budgets_budget.month.notification : "${told.notification_type} ${told.threshold}"]) ==
      toset(["ACTUAL 50", "ACTUAL 80", "ACTUAL 100", "FORECASTED 100"])
    )
    error_message = "The budget tells of what was spent and of what is forecast."
  }
  assert {
    condition     = length(aws_s3_bucket_metric.lake) == 1
    error_message = "S3 measures what the dashboard shows."
  }
  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.platform.dashboard_body).widgets :
      widget.x + widget.width <= 24 && length(widget.properties.metrics) > 0 && widget.properties.title != ""
    ])
    error_message = "Each widget has a title and metrics, and lies on the grid."
  }
  assert {
    condition = alltrue([
      for wanted in ["BytesDownloaded", "ExecutionDuration", "EstimatedCharges"] :
      strcontains(aws_cloudwatch_dashboard.platform.dashboard_body, wanted)
    ])
    error_message = "S3's throughput, training's duration and the cost are shown."
  }
  assert {
    condition = alltrue([
      for query in aws_cloudwatch_query_definition.this :
      startswith(query.name, "mlops-dev/") && alltrue([for group in query.log_group_names : startswith(group, "/aws/containerinsights/mlops-dev/")])
    ]) && length(aws_cloudwatch_query_definition.this) == 5
    error_message = "The saved queries ask Container Insights of this environment's cluster."
  }
}

run "counted_by_tag_and_without_request_metrics" {
  command = plan

  variables {
    budget_by_tag   = true
    request_metrics = false
  }

  assert {
    condition     = one(aws_budgets_budget.month.cost_filter).values == tolist(["user:Environment$dev"])
    error_message = "The filter is the tag's key, a dollar sign and its value."
  }
  assert {
    condition     = length(aws_s3_bucket_metric.lake) == 0
    error_message = "Custom metrics are not paid for."
  }
}

run "wrong_names" {
  command = plan

  variables {
    environment       = "Dev"
    emails            = ["nobody"]
    lake_bucket       = "arn:aws:s3:::lake"
    models_bucket     = "Models"
    training_pipeline = "psm_training"
    cluster_name      = "arn:aws:eks:ap-southeast-1:123456789012:cluster/mlops-dev"
  }

  expect_failures = [var.environment, var.emails, var.lake_bucket, var.models_bucket, var.training_pipeline, var.cluster_name]
}

run "nobody_is_told_and_nothing_may_be_spent" {
  command = plan

  variables {
    emails                    = []
    monthly_budget_usd        = 0
    budget_thresholds_percent = { actual = [-1], forecast = [] }
  }

  expect_failures = [var.emails, var.monthly_budget_usd, var.budget_thresholds_percent]
}

run "more_thresholds_than_a_budget_takes" {
  command = plan

  variables {
    budget_thresholds_percent = { actual = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100], forecast = [100] }
  }

  expect_failures = [var.budget_thresholds_percent]
}
