output "alerts_topic_arn" {
  description = "Topic that alarms tell: a model's spec.monitoring.cloudWatch.snsTopicARN."
  value       = module.alerts.topic_arn
}

output "lake_bucket" {
  description = "Bucket of raw files, silver and gold."
  value       = module.lake.lake_bucket
}

output "models_bucket" {
  description = "Bucket of registered artifacts."
  value       = module.lake.models_bucket
}

output "repository_urls" {
  description = "Where images and charts are pushed to and pulled from, by name."
  value       = module.registry.repository_urls
}
