# "No training run for nine days." An alarm of CloudWatch looks back seven days at most, so this is a dead man's switch: a
# one-time schedule tells the alerts topic, and every run that succeeds puts it off.

locals {
  missing_s          = var.missing_after_days * 86400
  missing_name       = "${local.prefix}-training-missing"
  missing_schedule   = "${local.schedule_root}:schedule/${local.prefix}/${local.missing_name}"
  missing_text       = "No run of pipeline ${local.pipeline} has succeeded for ${var.missing_after_days} days; see docs/runbooks/training/PsmTrainingMissing.md"
  missing_first_time = formatdate("YYYY-MM-DD'T'hh:mm:ss", timeadd(plantimestamp(), "${local.missing_s}s"))

  put_off_expression = "'at(' & $fromMillis($millis() + ${local.missing_s * 1000}, '[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]') & ')'"

  # UpdateSchedule takes every field anew, so the machine knows the schedule as Terraform declares it
  missing_machine = jsonencode({
    Comment       = "Puts off ${local.missing_name}"
    QueryLanguage = "JSONata"
    StartAt       = "PutOff"
    States = {
      PutOff = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::aws-sdk:scheduler:updateSchedule"
        Arguments = {
          Name               = local.missing_name
          GroupName          = local.prefix
          Description        = "Tells that no training run succeeded for ${var.missing_after_days} days"
          ScheduleExpression = "{% ${local.put_off_expression} %}"
          FlexibleTimeWindow = { Mode = "OFF" }
          Target = {
            Arn = var.alerts_topic_arn
            # not spelled out: a definition that is known makes the provider ask AWS during a plan whether it is valid
            RoleArn = aws_iam_role.scheduler.arn
            Input   = local.missing_text
          }
        }
        Retry = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 5, MaxAttempts = 5, BackoffRate = 3 }]
        End   = true
      }
    }
  })

  machine_arn = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.missing_name}"

  machine_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Machine"
        Effect    = "Allow"
        Principal = { Service = "states.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account }, ArnLike = { "aws:SourceArn" = local.machine_arn } }
      },
    ]
  })

  machine_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "PutOff"
        Effect   = "Allow"
        Action   = "scheduler:UpdateSchedule"
        Resource = local.missing_schedule
      },
      {
        Sid       = "GiveTheScheduleItsRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/${local.prefix}-scheduler"
        Condition = { StringEquals = { "iam:PassedToService" = "scheduler.amazonaws.com" } }
      },
    ]
  })

  starter_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rule"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = local.account
            "aws:SourceArn"     = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.prefix}-training-succeeded"
          }
        }
      },
    ]
  })

  starter_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StartTheMachine"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = local.machine_arn
      },
    ]
  })
}

resource "aws_scheduler_schedule" "missing" {
  # checkov:skip=CKV_AWS_297: a schedule holds names and times, no data
  name                = local.missing_name
  description         = "Tells that no training run succeeded for ${var.missing_after_days} days"
  group_name          = aws_scheduler_schedule_group.this.name
  schedule_expression = "at(${local.missing_first_time})"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.alerts_topic_arn
    role_arn = aws_iam_role.scheduler.arn
    input    = local.missing_text
  }

  lifecycle {
    ignore_changes = [schedule_expression] # every run that succeeds changes it
  }
}

resource "aws_cloudwatch_event_rule" "succeeded" {
  name        = "${local.prefix}-training-succeeded"
  description = "Training runs that succeeded"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Model Building Pipeline Execution Status Change"]
    detail      = { pipelineArn = [local.pipeline_arn], currentPipelineExecutionStatus = ["Succeeded"] }
  })
}

resource "aws_cloudwatch_event_target" "succeeded" {
  rule     = aws_cloudwatch_event_rule.succeeded.name
  arn      = aws_sfn_state_machine.missing.arn
  role_arn = aws_iam_role.starter.arn
}

resource "aws_sfn_state_machine" "missing" {
  # checkov:skip=CKV_AWS_284: one call; that it failed is told by the schedule that it did not put off
  # checkov:skip=CKV_AWS_285: as above
  name       = local.missing_name
  role_arn   = aws_iam_role.machine.arn
  definition = local.missing_machine
  tags       = local.tags
}

resource "aws_iam_role" "machine" {
  name               = local.missing_name
  description        = "puts off the message that training is missing"
  assume_role_policy = local.machine_trust
  tags               = local.tags
}

resource "aws_iam_role_policy" "machine" {
  name   = local.missing_name
  role   = aws_iam_role.machine.name
  policy = local.machine_policy
}

resource "aws_iam_role" "starter" {
  name               = "${local.prefix}-training-succeeded"
  description        = "starts the machine that puts off the message that training is missing"
  assume_role_policy = local.starter_trust
  tags               = local.tags
}

resource "aws_iam_role_policy" "starter" {
  name   = "${local.prefix}-training-succeeded"
  role   = aws_iam_role.starter.name
  policy = local.starter_policy
}
