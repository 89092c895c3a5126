output "topic_arn" {
  description = "ARN of the topic that alarms tell; a model's spec.monitoring.cloudWatch.snsTopicARN."
  # spelled out, so that policies can be read from a plan; the reference makes who uses it wait for topic and policy
  value      = "arn:${local.partition}:sns:${local.region}:${local.account}:${aws_sns_topic.alerts.name}"
  depends_on = [aws_sns_topic_policy.alerts]
}

output "key_arn" {
  description = "ARN of the key that the topic's messages are encrypted with."
  value       = aws_kms_key.alerts.arn
}

output "dashboard" {
  description = "Name of the shared dashboard."
  value       = aws_cloudwatch_dashboard.platform.dashboard_name
}
