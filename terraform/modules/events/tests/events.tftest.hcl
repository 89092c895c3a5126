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
  environment      = "dev"
  alerts_topic_arn = "arn:aws:sns:ap-southeast-1:111111111111:mlops-dev-alerts"
}

run "registry_events" {
  command = plan

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.registry.event_pattern) == {
      source      = ["aws.sagemaker"]
      detail-type = ["SageMaker Model Package State Change"]
    }
    error_message = "events of every group, unless groups are named"
  }
  assert {
    condition     = output.queue_arn == "arn:aws:sqs:ap-southeast-1:111111111111:mlops-dev-registry-events"
    error_message = "the queue's ARN is known before the queue is there"
  }
  assert {
    condition     = aws_sqs_queue.registry.sqs_managed_sse_enabled && aws_sqs_queue.dead.sqs_managed_sse_enabled
    error_message = "messages are encrypted"
  }
  assert {
    condition     = endswith(jsondecode(aws_sqs_queue.registry.redrive_policy).deadLetterTargetArn, ":mlops-dev-registry-events-dead")
    error_message = "what nobody can handle goes to the other queue"
  }
  assert {
    condition = alltrue([
      for made in aws_sqs_queue_policy.this : [
        for statement in jsondecode(made.policy).Statement : statement.Condition.ArnEquals["aws:SourceArn"] if statement.Effect == "Allow"
      ] == ["arn:aws:events:ap-southeast-1:111111111111:rule/mlops-dev-registry-events"]
    ])
    error_message = "only this rule may send"
  }
  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.dead, aws_cloudwatch_metric_alarm.old, aws_cloudwatch_metric_alarm.schedules] :
      alarm.alarm_actions == toset(["arn:aws:sns:ap-southeast-1:111111111111:mlops-dev-alerts"])
    ])
    error_message = "every alarm tells somebody"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.dead.threshold == 0 && aws_cloudwatch_metric_alarm.dead.comparison_operator == "GreaterThanThreshold"
    error_message = "one dead message is an alarm"
  }
}

run "schedules" {
  command = plan
  variables {
    model_package_groups = ["price-sensitivity"]
    alerts_key_arn       = "arn:aws:kms:ap-southeast-1:111111111111:key/00000000-0000-0000-0000-000000000003"
    etl = {
      image      = "111111111111.dkr.ecr.ap-southeast-1.amazonaws.com/mlops/train-price-sensitivity:0.1.0"
      role_arn   = "arn:aws:iam::111111111111:role/mlops-dev-sagemaker"
      data_url   = "s3://mlops-dev-lake-111111111111/raw/source-files"
      output_url = "s3://mlops-dev-lake-111111111111/training/etl"
      key_arn    = "arn:aws:kms:ap-southeast-1:111111111111:key/00000000-0000-0000-0000-000000000001"
    }
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.registry.event_pattern).detail.ModelPackageGroupName == ["price-sensitivity"]
    error_message = "only events of the groups that are named"
  }
  assert {
    condition     = aws_scheduler_schedule.training[0].schedule_expression == "cron(0 3 ? * MON *)"
    error_message = "a model every week"
  }
  assert {
    condition     = aws_scheduler_schedule.training[0].target[0].arn == "arn:aws:sagemaker:ap-southeast-1:111111111111:pipeline/mlops-dev-training"
    error_message = "the schedule starts the pipeline of this environment"
  }
  assert {
    condition     = aws_scheduler_schedule.etl[0].target[0].arn == "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob"
    error_message = "ETL is a processing job"
  }
  assert {
    condition     = strcontains(jsondecode(aws_scheduler_schedule.etl[0].target[0].input).ProcessingJobName, "aws.scheduler.execution-id")
    error_message = "every night's job has a name of its own"
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.scheduler.policy).Statement) == 5
    error_message = "the role may start ETL, and encrypt what it tells"
  }
}

run "missing_runs" {
  command = plan
  variables {
    schedule_expression = null
    missing_after_days  = 12
  }

  assert {
    condition     = length(aws_scheduler_schedule.training) == 0 && length(aws_scheduler_schedule.etl) == 0
    error_message = "nothing starts by itself unless told"
  }
  assert {
    condition     = can(regex("^at\\([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\)$", aws_scheduler_schedule.missing.schedule_expression))
    error_message = "armed from the first day"
  }
  assert {
    condition     = strcontains(local.put_off_expression, "$millis() + ${12 * 86400 * 1000},")
    error_message = "put off by as many days as asked"
  }
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.succeeded.event_pattern).detail == {
      pipelineArn                    = ["arn:aws:sagemaker:ap-southeast-1:111111111111:pipeline/mlops-dev-training"]
      currentPipelineExecutionStatus = ["Succeeded"]
    }
    error_message = "only a run that succeeded puts it off"
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    environment          = "Dev_1"
    alerts_topic_arn     = "alerts"
    alerts_key_arn       = "alias/alerts"
    model_package_groups = ["*"]
    training_pipeline    = "arn:aws:sagemaker:ap-southeast-1:111111111111:pipeline/training"
    schedule_expression  = "weekly"
    schedule_timezone    = "Singapore time"
    missing_after_days   = 0
    oldest_message_s     = 1
    etl = {
      image      = "mlops/train-price-sensitivity"
      role_arn   = "sagemaker"
      data_url   = "mlops-dev-lake/raw"
      output_url = "s3://mlops-dev-lake/training/"
      key_arn    = ""
    }
  }
  expect_failures = [
    var.environment, var.alerts_topic_arn, var.alerts_key_arn, var.model_package_groups, var.training_pipeline,
    var.schedule_expression, var.schedule_timezone, var.missing_after_days, var.oldest_message_s, var.etl,
  ]
}
