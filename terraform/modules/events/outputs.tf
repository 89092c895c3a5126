output "queue_arn" {
  description = "ARN of the operator's queue."
  # spelled out, so that policies can be read from a plan; the name makes who uses it wait for the queue
  value      = "${local.sqs}:${aws_sqs_queue.registry.name}"
  depends_on = [aws_sqs_queue_policy.this]
}

output "queue_url" {
  description = "URL of the operator's queue: registryEvents.queueUrl of charts/psm-operator."
  value       = aws_sqs_queue.registry.url
}

output "training_pipeline" {
  description = "Name that psm-train pipeline --name must give the pipeline, so that the schedule finds it."
  value       = local.pipeline
}

output "scheduler_role_arn" {
  description = "ARN of the role of schedules (psm-train pipeline --schedule-role)."
  value       = aws_iam_role.scheduler.arn
}
