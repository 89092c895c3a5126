# Questions to Container Insights that somebody on call asks first, saved under the environment's folder.

locals {
  performance = "/aws/containerinsights/${var.cluster_name}/performance"
  application = "/aws/containerinsights/${var.cluster_name}/application"

  queries = {
    "restarts" = {
      log_group = local.performance
      text      = <<-QUERY
        filter Type = "Pod"
        | stats max(pod_number_of_container_restarts) as restarts by Namespace, PodName
        | filter restarts > 0
        | sort restarts desc
        | limit 50
      QUERY
    }
    "predictor-cpu" = {
      log_group = local.performance
      text      = <<-QUERY
        filter Type = "Pod" and PodName like /predictor/
        | stats avg(pod_cpu_utilization_over_pod_limit) as of_limit, max(pod_cpu_utilization) as of_node by PodName, bin(5m)
        | sort of_limit desc
      QUERY
    }
    "predictor-memory" = {
      log_group = local.performance
      text      = <<-QUERY
        filter Type = "Pod" and PodName like /predictor/
        | stats max(pod_memory_working_set) / 1048576 as mebibytes, max(pod_memory_utilization_over_pod_limit) as of_limit by PodName, bin(5m)
        | sort mebibytes desc
      QUERY
    }
    "full-nodes" = {
      log_group = local.performance
      text      = <<-QUERY
        filter Type = "Node"
        | stats max(node_cpu_reserved_capacity) as cpu_reserved, max(node_memory_reserved_capacity) as memory_reserved, max(node_number_of_running_pods) as pods by NodeName
        | sort memory_reserved desc
      QUERY
    }
    "operator-errors" = {
      log_group = local.application
      text      = <<-QUERY
        filter kubernetes.container_name = "operator" and log_processed.level in ["error", "warning"]
        | fields @timestamp, log_processed.level, log_processed.message
        | sort @timestamp desc
        | limit 100
      QUERY
    }
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = local.queries

  name            = "${local.prefix}/${each.key}"
  log_group_names = [each.value.log_group]
  query_string    = trimspace(each.value.text)
}
