output "cluster_name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "cluster_endpoint" {
  description = "URL of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "cluster_certificate_authority" {
  description = "Certificate authority of the API server, in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "cluster_security_group_id" {
  description = "Security group of control plane, nodes and pods."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "oidc_provider_arn" {
  description = "ARN of the IAM OIDC provider, for roles of service accounts."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "URL of the cluster's OIDC issuer."
  value       = aws_eks_cluster.this.identity[0].oidc[0].issuer
}

output "node_role_arn" {
  description = "ARN of the nodes' role."
  value       = aws_iam_role.node.arn
}

output "pod_role_arns" {
  description = "ARNs of the roles of the programs that run the cluster, by program."
  value       = { for name, role in aws_iam_role.pod : name => role.arn }
}

output "secrets_key_arn" {
  description = "ARN of the key of the cluster's secrets and logs."
  value       = aws_kms_key.cluster.arn
}

output "container_log_groups" {
  description = "Log groups of containers and of Container Insights, by kind; none without Container Insights."
  value       = { for kind, group in aws_cloudwatch_log_group.containers : kind => group.name }
}

output "controller_values" {
  description = "Helm values of the two programs that are no add-ons, for charts cluster-autoscaler and aws-load-balancer-controller in kube-system. Their images have to be copied into ECR: no node reaches another registry."
  value = {
    cluster-autoscaler = {
      autoDiscovery = { clusterName = local.name }
      awsRegion     = local.region
      rbac          = { serviceAccount = { name = local.pods["cluster-autoscaler"].service_account } }
      extraArgs     = { expander = "least-waste" }
    }
    aws-load-balancer-controller = {
      clusterName    = local.name
      region         = local.region
      vpcId          = var.vpc_id # not asked of the node, which does not answer pods
      serviceAccount = { name = local.pods["load-balancer-controller"].service_account }
      enableShield   = false
      enableWaf      = false
      enableWafv2    = false

      enableBackendSecurityGroup = false                                 # its rights end before security groups
      defaultTargetType          = "ip"                                  # models have Services without node ports
      defaultSSLPolicy           = "ELBSecurityPolicy-TLS13-1-2-2021-06" # AWS's own default still speaks TLS 1.0
      defaultTags                = merge(data.aws_default_tags.current.tags, local.tags)
    }
  }
}
