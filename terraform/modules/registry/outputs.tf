output "repository_arns" {
  description = "ARNs by name, such as mlops/psm-operator."
  # spelled out, so that policies can be read from a plan; the name makes who uses it wait for the repository
  value = {
    for name, repository in aws_ecr_repository.this :
    name => "arn:${data.aws_partition.current.partition}:ecr:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:repository/${repository.name}"
  }
}

output "repository_urls" {
  description = "Addresses to push to and to pull from, by name."
  value       = { for name, repository in aws_ecr_repository.this : name => "${local.registry}/${repository.name}" }
}
