# When a model is trained, and when raw files are brought to silver and gold. Both start jobs of SageMaker, whose image and
# rights are training's own (docs/training-on-aws.md).

locals {
  pipeline      = coalesce(var.training_pipeline, "${local.prefix}-training")
  sagemaker     = "arn:${local.partition}:sagemaker:${local.region}:${local.account}"
  pipeline_arn  = "${local.sagemaker}:pipeline/${local.pipeline}"
  schedule_root = "arn:${local.partition}:scheduler:${local.region}:${local.account}"

  # what somebody else's schedule, or one of another group, may not take
  scheduler_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Schedules"
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = local.account
            "aws:SourceArn"     = "${local.schedule_root}:schedule-group/${local.prefix}"
          }
        }
      },
    ]
  })

  scheduler_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "StartTraining"
          Effect   = "Allow"
          Action   = "sagemaker:StartPipelineExecution"
          Resource = local.pipeline_arn
        },
        {
          Sid      = "TellThatTrainingIsMissing"
          Effect   = "Allow"
          Action   = "sns:Publish"
          Resource = var.alerts_topic_arn
        },
      ],
      var.alerts_key_arn == null ? [] : [
        {
          Sid      = "EncryptWhatIsTold"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = var.alerts_key_arn
        },
      ],
      flatten([for etl in var.etl[*] : [
        {
          Sid      = "StartEtl"
          Effect   = "Allow"
          Action   = "sagemaker:CreateProcessingJob"
          Resource = "${local.sagemaker}:processing-job/${local.prefix}-etl-*"
        },
        {
          Sid       = "GiveEtlItsRole"
          Effect    = "Allow"
          Action    = "iam:PassRole"
          Resource  = etl.role_arn
          Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
        },
      ]]),
    )
  })

  # CreateProcessingJob as psm_training.sagemaker.requests makes it; a test compares
  etl_inputs  = "/opt/ml/processing/input/data"
  etl_outputs = "/opt/ml/processing/output"
  etl_requests = [for etl in var.etl[*] : {
    ProcessingJobName = "${local.prefix}-etl-<aws.scheduler.execution-id>"
    RoleArn           = etl.role_arn
    AppSpecification = {
      ImageUri            = etl.image
      ContainerEntrypoint = ["python", "-m", "psm_training.sagemaker"]
      ContainerArguments = [
        "process", "--steps", "ingest,validate,split,validate-gold", "--data", local.etl_inputs,
        "--set", "source=${etl.source}", "--out", local.etl_outputs,
      ]
    }
    Environment = { AWS_REGION = local.region }
    ProcessingInputs = [{
      InputName = "data"
      S3Input = {
        S3Uri                  = etl.data_url
        LocalPath              = local.etl_inputs
        S3DataType             = "S3Prefix"
        S3InputMode            = "File"
        S3DataDistributionType = "FullyReplicated"
      }
    }]
    ProcessingOutputConfig = {
      KmsKeyId = etl.key_arn
      Outputs = [{
        OutputName = "workspace"
        S3Output = {
          S3Uri        = "${etl.output_url}/<aws.scheduler.execution-id>"
          LocalPath    = local.etl_outputs
          S3UploadMode = "EndOfJob"
        }
      }]
    }
    ProcessingResources = {
      ClusterConfig = {
        InstanceCount  = 1
        InstanceType   = etl.instance_type
        VolumeKmsKeyId = etl.key_arn
        VolumeSizeInGB = 50
      }
    }
    StoppingCondition = { MaxRuntimeInSeconds = 7200 }
  }]

  # jsonencode writes < and > as escapes, and the scheduler looks for its placeholders in the text before anybody reads JSON
  etl_inputs_as_sent = [for request in local.etl_requests : replace(replace(jsonencode(request), "\\u003c", "<"), "\\u003e", ">")]
}

resource "aws_scheduler_schedule_group" "this" {
  name = local.prefix
  tags = local.tags
}

resource "aws_iam_role" "scheduler" {
  name               = "${local.prefix}-scheduler"
  description        = "schedules: start training and ETL, tell that training is missing"
  assume_role_policy = local.scheduler_trust
  tags               = local.tags
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "${local.prefix}-scheduler"
  role   = aws_iam_role.scheduler.name
  policy = local.scheduler_policy
}

resource "aws_scheduler_schedule" "training" {
  # checkov:skip=CKV_AWS_297: a schedule holds names and times, no data
  count = var.schedule_expression == null ? 0 : 1

  name                         = "${local.prefix}-training"
  description                  = "Starts pipeline ${local.pipeline}"
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = var.schedule_expression
  schedule_expression_timezone = var.schedule_timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = local.pipeline_arn
    role_arn = aws_iam_role.scheduler.arn

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }
}

resource "aws_scheduler_schedule" "etl" {
  # checkov:skip=CKV_AWS_297: a schedule holds names and times, no data
  count = var.etl == null ? 0 : 1

  name                         = "${local.prefix}-etl"
  description                  = "Brings raw files to validated silver and gold"
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = var.etl.schedule_expression
  schedule_expression_timezone = var.schedule_timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${local.partition}:scheduler:::aws-sdk:sagemaker:createProcessingJob"
    role_arn = aws_iam_role.scheduler.arn
    input    = local.etl_inputs_as_sent[count.index]

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "schedules" {
  alarm_name          = "${local.prefix}-schedules"
  alarm_description   = "A schedule could not start training or ETL; see docs/training-on-aws.md"
  namespace           = "AWS/Scheduler"
  metric_name         = "TargetErrorCount"
  dimensions          = { ScheduleGroup = local.prefix }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts_topic_arn]
  tags                = local.tags
}
