# Node groups: what they run on, how they shrink at night, and how the Cluster Autoscaler can start one from nothing.

locals {
  node_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "MachinesOfTheAccount"
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  # With prefix delegation a small node has addresses for more pods than the 17 that its network interfaces allow; 110 is
  # what Kubernetes tests with.
  user_data = <<-EOT
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="psm"

    --psm
    Content-Type: application/node.eks.aws

    apiVersion: node.eks.aws/v1alpha1
    kind: NodeConfig
    spec:
      kubelet:
        config:
          maxPods: 110

    --psm--
  EOT

  # The autoscaler knows of a group without nodes what its Auto Scaling group is tagged with. Two GiB are the system's.
  autoscaler_tags = merge([
    for name, group in var.node_groups : merge(
      {
        "${name} label" = { group = name, key = "label/workload", value = name }
        "${name} disk"  = { group = name, key = "resources/ephemeral-storage", value = "${group.disk_gib - 2}Gi" }
      },
      { for taint in [name] : "${taint} taint" => { group = name, key = "taint/workload", value = "${name}:NoSchedule" } if group.dedicated },
    )
  ]...)

  off_hours = var.off_hours == null ? {} : var.off_hours.nodes
}

resource "aws_iam_role" "node" {
  name               = "${local.name}-node"
  description        = "Nodes of ${local.name}: join the cluster and pull images; pods have roles of their own"
  assume_role_policy = local.node_trust

  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.node.name
  policy_arn = "${local.aws_policy}/${each.value}"
}

resource "aws_launch_template" "node" {
  for_each = var.node_groups

  name                   = "${local.name}-${each.key}"
  description            = "Nodes ${each.key} of ${local.name}"
  update_default_version = true
  user_data              = base64encode(local.user_data)

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = each.value.disk_gib
      encrypted             = true
      delete_on_termination = true
    }
  }

  # Pods cannot reach the node's credentials: an answer does not survive the hop into their network.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  # Auto Scaling makes these, and so the provider's default tags do not reach them by themselves.
  dynamic "tag_specifications" {
    for_each = toset(["instance", "network-interface", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(data.aws_default_tags.current.tags, local.tags, { Name = "${local.name}-${each.key}" })
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-${each.key}" })
}

resource "aws_eks_node_group" "this" {
  for_each = var.node_groups

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${local.name}-${each.key}"
  version         = var.kubernetes_version
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.private_subnet_ids
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = each.value.capacity_type
  instance_types  = each.value.instance_types
  labels          = { workload = each.key }

  launch_template {
    id      = aws_launch_template.node[each.key].id
    version = aws_launch_template.node[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.min_size
    max_size     = each.value.max_size
    desired_size = each.value.desired_size
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  dynamic "taint" {
    for_each = each.value.dedicated ? [each.key] : []

    content {
      key    = "workload"
      value  = taint.value
      effect = "NO_SCHEDULE"
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-${each.key}" })

  lifecycle {
    # The autoscaler's and the schedule's.
    ignore_changes = [scaling_config[0].desired_size]
  }

  # A node is ready only with its network, and pods get credentials only from the agent.
  depends_on = [
    aws_eks_addon.before_nodes,
    aws_iam_role_policy_attachment.node,
  ]
}

resource "aws_autoscaling_group_tag" "autoscaler" {
  for_each = local.autoscaler_tags

  autoscaling_group_name = aws_eks_node_group.this[each.value.group].resources[0].autoscaling_groups[0].name

  tag {
    key                 = "k8s.io/cluster-autoscaler/node-template/${each.value.key}"
    value               = each.value.value
    propagate_at_launch = false
  }
}

# The largest size is set too: else the autoscaler would bring nodes back for pods that wait for the morning.
resource "aws_autoscaling_schedule" "off_hours_begin" {
  for_each = local.off_hours

  scheduled_action_name  = "${local.name}-${each.key}-off-hours-begin"
  autoscaling_group_name = aws_eks_node_group.this[each.key].resources[0].autoscaling_groups[0].name
  time_zone              = var.off_hours.time_zone
  recurrence             = var.off_hours.begins
  min_size               = each.value
  max_size               = each.value
  desired_capacity       = each.value
}

resource "aws_autoscaling_schedule" "off_hours_end" {
  for_each = local.off_hours

  scheduled_action_name  = "${local.name}-${each.key}-off-hours-end"
  autoscaling_group_name = aws_eks_node_group.this[each.key].resources[0].autoscaling_groups[0].name
  time_zone              = var.off_hours.time_zone
  recurrence             = var.off_hours.ends
  min_size               = var.node_groups[each.key].min_size
  max_size               = var.node_groups[each.key].max_size
  desired_capacity       = var.node_groups[each.key].desired_size
}
