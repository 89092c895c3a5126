# Changes of model packages as messages for the operator. An event only means "look now" (docs/aws-access.md), so messages
# may be lost or come twice, and polls go on without the queue.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  prefix    = "mlops-${var.environment}"
  tags      = { Component = "events" }

  # spelled out: the queue's policy names the rule, whose target names the queue
  rule_name   = "${local.prefix}-registry-events"
  rule_arn    = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.rule_name}"
  sqs         = "arn:${local.partition}:sqs:${local.region}:${local.account}"
  queue_names = { queue = "${local.prefix}-registry-events", dead = "${local.prefix}-registry-events-dead" }

  event_pattern = jsonencode(merge(
    {
      source      = ["aws.sagemaker"]
      detail-type = ["SageMaker Model Package State Change"]
    },
    length(var.model_package_groups) == 0 ? {} : { detail = { ModelPackageGroupName = var.model_package_groups } },
  ))

  queue_policies = {
    for key, name in local.queue_names : key => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "RegistryEventsOnly"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = "${local.sqs}:${name}"
          Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arn } }
        },
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = "${local.sqs}:${name}"
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    })
  }
}

resource "aws_cloudwatch_event_rule" "registry" {
  name          = local.rule_name
  description   = "Model packages that were registered, approved or rejected, for the operator"
  event_pattern = local.event_pattern
  tags          = local.tags
}

resource "aws_cloudwatch_event_target" "registry" {
  rule = aws_cloudwatch_event_rule.registry.name
  arn  = aws_sqs_queue.registry.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600 # older than an hour, a poll has long seen it
    maximum_retry_attempts       = 24
  }

  depends_on = [aws_sqs_queue_policy.this]
}

resource "aws_sqs_queue" "registry" {
  name                       = local.queue_names["queue"]
  sqs_managed_sse_enabled    = true # a key of our own would need a statement for EventBridge, and events hold no data
  message_retention_seconds  = 86400
  visibility_timeout_seconds = 60 # handled in a second; what a process took that ended comes again
  receive_wait_time_seconds  = 20
  tags                       = local.tags

  redrive_policy = jsonencode({ deadLetterTargetArn = "${local.sqs}:${local.queue_names["dead"]}", maxReceiveCount = 5 })

  depends_on = [aws_sqs_queue.dead]
}

resource "aws_sqs_queue" "dead" {
  name                      = local.queue_names["dead"]
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600 # as long as there is: a person looks at it
  tags                      = local.tags

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["${local.sqs}:${local.queue_names["queue"]}"]
  })
}

resource "aws_sqs_queue_policy" "this" {
  for_each = { queue = aws_sqs_queue.registry.id, dead = aws_sqs_queue.dead.id }

  queue_url = each.value
  policy    = local.queue_policies[each.key]
}

resource "aws_cloudwatch_metric_alarm" "dead" {
  alarm_name          = "${local.prefix}-registry-events-dead"
  alarm_description   = "Registry events were given up; look at the messages, then purge ${local.queue_names["dead"]}"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.queue_names["dead"] }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts_topic_arn]
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "old" {
  alarm_name          = "${local.prefix}-registry-events-old"
  alarm_description   = "The operator does not read registry events; approvals wait for its next poll"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = local.queue_names["queue"] }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = var.oldest_message_s
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts_topic_arn]
  tags                = local.tags
}
