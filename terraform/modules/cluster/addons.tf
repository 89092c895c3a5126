# Add-ons that AWS builds and keeps in its own registries, which nodes without the Internet can reach.

locals {
  addons_before_nodes = {
    eks-pod-identity-agent = null
    kube-proxy             = null
    vpc-cni = jsonencode({
      enableNetworkPolicy = "true" # the operator's and the charts' NetworkPolicies count
      env = {
        ENABLE_PREFIX_DELEGATION = "true"
        WARM_PREFIX_TARGET       = "1"
      }
    })
  }

  addons = merge(
    {
      coredns        = null
      metrics-server = null # autoscalers of models read it
    },
    { for name in ["amazon-cloudwatch-observability"] : name => local.cloudwatch_configuration if var.container_insights },
    { for name in ["external-dns"] : name => local.external_dns_configuration if length(var.hosted_zone_ids) > 0 },
  )

  # Without application signals, which are priced by request, and which the add-on switches on by itself since version 5:
  # for every workload, until it is told not to.
  cloudwatch_configuration = jsonencode({
    applicationSignals = { enabled = false }
    manager            = { applicationSignals = { autoMonitor = { monitorAllServices = false } } }
    agent = {
      config = {
        logs = { metrics_collected = { kubernetes = { enhanced_container_insights = true } } }
      }
    }
    containerLogs = {
      enabled   = true
      fluentBit = { config = { extraFiles = { "predictor-metrics.conf" = local.predictor_metrics } } }
    }
  })

  # The add-on wraps a container's line in a record of its own, in which CloudWatch sees no embedded metrics. The
  # predictor's lines that have some (PSM_EMF=1) go a second way, as they are.
  predictor_metrics = <<-EOT
    [INPUT]
      Name              tail
      Tag               predictor.*
      Path              /var/log/containers/*_predictor-*.log
      multiline.parser  docker, cri
      DB                /var/fluent-bit/state/flb_predictor.db
      Mem_Buf_Limit     5MB
      Skip_Long_Lines   On
      Refresh_Interval  10

    [FILTER]
      Name              grep
      Match             predictor.*
      Regex             log "_aws"

    [OUTPUT]
      Name              cloudwatch_logs
      Match             predictor.*
      region            $${AWS_REGION}
      log_group_name    ${local.containers}/predictor
      log_stream_prefix $${HOST_NAME}-
      log_key           log
      log_format        json/emf
      auto_create_group false
  EOT

  external_dns_configuration = jsonencode({
    policy     = "sync"
    txtOwnerId = local.name # other clusters' records stay theirs
  })
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  dynamic "pod_identity_association" {
    for_each = { for name, pod in local.addon_pods : name => pod if pod.addon == each.key }

    content {
      role_arn        = aws_iam_role.pod[pod_identity_association.key].arn
      service_account = pod_identity_association.value.service_account
    }
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.pod, aws_iam_role_policy_attachment.vpc_cni]
}

resource "aws_eks_addon" "this" {
  for_each = local.addons

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  dynamic "pod_identity_association" {
    for_each = { for name, pod in local.addon_pods : name => pod if pod.addon == each.key }

    content {
      role_arn        = aws_iam_role.pod[pod_identity_association.key].arn
      service_account = pod_identity_association.value.service_account
    }
  }

  tags = local.tags

  depends_on = [aws_cloudwatch_log_group.containers, aws_eks_node_group.this, aws_iam_role_policy.pod]
}
