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

output "job_security_group_id" {
  description = "Security group of jobs in the private subnets: psm-train's --security-group."
  value       = module.network.job_security_group_id
}

output "lake_key_arn" {
  description = "Key of lake and models: psm-train's --kms-key, without which the buckets refuse what SageMaker's jobs write."
  value       = module.lake.key_arn
}

output "repository_urls" {
  description = "Where images and charts are pushed to and pulled from, by name."
  value       = module.registry.repository_urls
}

output "cluster_name" {
  description = "Name of the cluster: aws eks update-kubeconfig --name <this>."
  value       = module.cluster.cluster_name
}

output "controller_values" {
  description = "Helm values of Cluster Autoscaler and AWS Load Balancer Controller, which are no add-ons."
  value       = module.cluster.controller_values
}

output "events_queue_url" {
  description = "Queue of registry events: registryEvents.queueUrl of charts/psm-operator."
  value       = module.events.queue_url
}

output "load_balancer_security_group_id" {
  description = "Group that Ingresses name in alb.ingress.kubernetes.io/security-groups."
  value       = module.network.load_balancer_security_group_id
}

output "private_subnet_ids" {
  description = "Subnets of jobs, as psm-train's --subnet takes them, one by one."
  value       = module.network.private_subnet_ids
}

output "role_arns" {
  description = "Roles by who takes them: the charts' service accounts, SageMaker, GitHub's workflows."
  value       = module.iam.role_arns
}

output "training_pipeline" {
  description = "Name that psm-train pipeline --name gives the pipeline, so that the schedule finds it."
  value       = module.events.training_pipeline
}
