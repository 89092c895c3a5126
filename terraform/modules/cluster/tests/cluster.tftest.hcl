# The real provider, without an account: what AWS would be asked for. A run starts the provider, which takes a second, so
# that few runs make many assertions.

provider "aws" {
  region                      = "ap-southeast-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  default_tags {
    tags = {
      Project     = "PriceSensitivityMLOps"
      Environment = "dev"
    }
  }
}

override_data {
  target = data.aws_caller_identity.current
  values = {
    account_id = "123456789012"
  }
}

variables {
  environment                     = "dev"
  vpc_id                          = "vpc-0123456789abcdef0"
  private_subnet_ids              = ["subnet-0a", "subnet-0b", "subnet-0c"]
  load_balancer_security_group_id = "sg-0123456789abcdef0"
  admin_principal_arns            = ["arn:aws:iam::123456789012:role/platform"]
}

run "by_default" {
  command = plan

  # The control plane.
  assert {
    condition     = aws_eks_cluster.this.name == "mlops-dev" && aws_eks_cluster.this.version == "1.36" && alltrue([for group in aws_eks_node_group.this : group.version == "1.36"])
    error_message = "Control plane and nodes run the same version."
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API server is private unless networks are named."
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Only access entries give access; whoever creates the cluster has none."
  }
  assert {
    condition     = aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD" && !aws_eks_cluster.this.bootstrap_self_managed_addons
    error_message = "No extended support, no add-ons that nobody updates."
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && aws_kms_key.cluster.enable_key_rotation
    error_message = "Secrets are encrypted by a key that rotates."
  }
  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"]) && aws_cloudwatch_log_group.control_plane.name == "/aws/eks/mlops-dev/cluster" && aws_cloudwatch_log_group.control_plane.retention_in_days == 30
    error_message = "The control plane logs everything, into a group that forgets."
  }
  assert {
    condition     = jsondecode(aws_kms_key.cluster.policy).Statement[1].Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"] == ["arn:aws:logs:ap-southeast-1:123456789012:log-group:/aws/eks/mlops-dev/cluster", "arn:aws:logs:ap-southeast-1:123456789012:log-group:/aws/containerinsights/mlops-dev/*"]
    error_message = "CloudWatch Logs uses the key for this cluster's groups only."
  }
  assert {
    condition     = toset([for group in aws_cloudwatch_log_group.containers : group.name]) == toset([for kind in ["application", "dataplane", "host", "performance", "predictor"] : "/aws/containerinsights/mlops-dev/${kind}"])
    error_message = "The agent's groups exist before it does, so that they forget too."
  }

  # Who may use it.
  assert {
    condition     = [for entry in aws_eks_access_policy_association.admin : "${entry.principal_arn} ${entry.policy_arn} ${entry.access_scope[0].type}"] == ["arn:aws:iam::123456789012:role/platform arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy cluster"]
    error_message = "Administrators, by name."
  }
  assert {
    condition     = length(aws_eks_access_entry.other) == 0
    error_message = "Nobody else."
  }
  assert {
    condition     = aws_iam_openid_connect_provider.this.client_id_list == toset(["sts.amazonaws.com"])
    error_message = "Service accounts are known to STS only."
  }

  # What may reach it.
  assert {
    condition     = aws_vpc_security_group_ingress_rule.load_balancer.referenced_security_group_id == "sg-0123456789abcdef0" && aws_vpc_security_group_ingress_rule.load_balancer.from_port == 8080 && aws_vpc_security_group_ingress_rule.load_balancer.to_port == 8080 && aws_vpc_security_group_ingress_rule.load_balancer.cidr_ipv4 == null
    error_message = "Load balancers reach the pods' port."
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.api_server) == 0
    error_message = "Nobody outside reaches the API server."
  }

  # Nodes.
  assert {
    condition     = { for name, group in aws_eks_node_group.this : name => "${group.capacity_type} ${group.scaling_config[0].min_size} ${group.scaling_config[0].desired_size} ${group.scaling_config[0].max_size}" } == { api = "ON_DEMAND 2 2 4", batch = "SPOT 0 0 2" }
    error_message = "Two nodes that stay for serving; spot nodes for batches, from none."
  }
  assert {
    condition     = length(aws_eks_node_group.this["api"].taint) == 0 && [for taint in aws_eks_node_group.this["batch"].taint : "${taint.key}=${taint.value}:${taint.effect}"] == ["workload=batch:NO_SCHEDULE"]
    error_message = "Only batches run on batch nodes."
  }
  assert {
    condition     = alltrue([for name, group in aws_eks_node_group.this : group.labels == tomap({ workload = name }) && group.ami_type == "AL2023_x86_64_STANDARD" && group.node_group_name == "mlops-dev-${name}" && group.subnet_ids == toset(["subnet-0a", "subnet-0b", "subnet-0c"]) && group.node_repair_config[0].enabled])
    error_message = "Nodes are labelled by their group, x86-64, in every private subnet, and replaced when broken."
  }
  assert {
    condition     = length(aws_eks_node_group.this["batch"].instance_types) >= 3
    error_message = "A spot type that is taken away has replacements."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1 && template.metadata_options[0].http_endpoint == "enabled"])
    error_message = "Pods cannot take the node's credentials."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.block_device_mappings[0].ebs[0].volume_type == "gp3" && template.block_device_mappings[0].ebs[0].encrypted == "true" && template.block_device_mappings[0].ebs[0].delete_on_termination == "true"]) && aws_launch_template.node["api"].block_device_mappings[0].ebs[0].volume_size == 20 && aws_launch_template.node["batch"].block_device_mappings[0].ebs[0].volume_size == 50
    error_message = "Disks are gp3, encrypted, and go with their node."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.node : strcontains(base64decode(template.user_data), "maxPods: 110") && startswith(base64decode(template.user_data), "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"psm\"\n\n--psm\n") && endswith(base64decode(template.user_data), "\n--psm--\n")])
    error_message = "nodeadm reads a MIME message."
  }
  assert {
    condition     = alltrue(flatten([for name, template in aws_launch_template.node : [for made in template.tag_specifications : made.tags == tomap({ Component = "cluster", Environment = "dev", Name = "mlops-dev-${name}", Project = "PriceSensitivityMLOps" })]])) && toset([for made in aws_launch_template.node["api"].tag_specifications : made.resource_type]) == toset(["instance", "network-interface", "volume"])
    error_message = "Machines, disks and network interfaces are tagged like everything else, default tags included."
  }
  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.node : attachment.policy_arn]) == toset(["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"])
    error_message = "Nodes join and pull, and nothing else: the network's rights are the network add-on's."
  }

  # Starting a group from nothing.
  assert {
    condition = toset([for tag in aws_autoscaling_group_tag.autoscaler : "${tag.tag[0].key}=${tag.tag[0].value}"]) == toset([for end in [
      "label/workload=api", "resources/ephemeral-storage=18Gi", "label/workload=batch", "resources/ephemeral-storage=48Gi", "taint/workload=batch:NoSchedule",
    ] : "k8s.io/cluster-autoscaler/node-template/${end}"]) && length(aws_autoscaling_group_tag.autoscaler) == 5
    error_message = "The autoscaler knows labels, taints and disks of nodes that do not exist yet."
  }
  assert {
    condition     = length(aws_autoscaling_schedule.off_hours_begin) == 0 && length(aws_autoscaling_schedule.off_hours_end) == 0
    error_message = "No off-hours unless asked for."
  }

  # Add-ons.
  assert {
    condition     = concat(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.this)) == ["eks-pod-identity-agent", "kube-proxy", "vpc-cni", "amazon-cloudwatch-observability", "coredns", "metrics-server"]
    error_message = "AWS keeps these up to date."
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true" && jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).env.ENABLE_PREFIX_DELEGATION == "true"
    error_message = "NetworkPolicies count, and a small node has addresses for its pods."
  }
  assert {
    condition     = [for pod in aws_eks_addon.before_nodes["vpc-cni"].pod_identity_association : pod.service_account] == ["aws-node"] && [for pod in aws_eks_addon.this["amazon-cloudwatch-observability"].pod_identity_association : pod.service_account] == ["cloudwatch-agent"]
    error_message = "Add-ons get their rights with themselves, not from the node."
  }

  assert {
    condition     = !jsondecode(aws_eks_addon.this["amazon-cloudwatch-observability"].configuration_values).applicationSignals.enabled && !jsondecode(aws_eks_addon.this["amazon-cloudwatch-observability"].configuration_values).manager.applicationSignals.autoMonitor.monitorAllServices
    error_message = "Application signals, which the add-on switches on by itself, are off: they are paid by request."
  }
  assert {
    condition = jsondecode(aws_eks_addon.this["amazon-cloudwatch-observability"].configuration_values).agent.config == {
      logs = { metrics_collected = { kubernetes = { enhanced_container_insights = true } } }
    }
    error_message = "Container Insights, and no application signals."
  }
  assert {
    condition = alltrue([for line in ["log_format        json/emf", "log_key           log", "region            ${"$"}{AWS_REGION}", "log_group_name    /aws/containerinsights/mlops-dev/predictor"] :
    strcontains(jsondecode(aws_eks_addon.this["amazon-cloudwatch-observability"].configuration_values).containerLogs.fluentBit.config.extraFiles["predictor-metrics.conf"], line)])
    error_message = "The predictor's metrics reach CloudWatch as they are."
  }

  # Names and tags.
  assert {
    condition = alltrue([
      for tags in concat(
        [for group in aws_eks_node_group.this : group.tags], [for template in aws_launch_template.node : template.tags],
        [for addon in merge(aws_eks_addon.before_nodes, aws_eks_addon.this) : addon.tags], [for role in aws_iam_role.pod : role.tags],
        [for entry in aws_eks_access_entry.admin : entry.tags], [for link in aws_eks_pod_identity_association.this : link.tags],
        [for group in aws_cloudwatch_log_group.containers : group.tags],
        [
          aws_eks_cluster.this.tags, aws_kms_key.cluster.tags, aws_iam_role.cluster.tags, aws_iam_role.node.tags,
          aws_iam_openid_connect_provider.this.tags, aws_cloudwatch_log_group.control_plane.tags, aws_vpc_security_group_ingress_rule.load_balancer.tags,
        ],
      ) : tags.Component == "cluster" && try(startswith(tags.Name, "mlops-dev"), true)
    ])
    error_message = "Everything says Component = cluster."
  }
  assert {
    condition     = alltrue([for name in concat([aws_iam_role.cluster.name, aws_iam_role.node.name], [for role in aws_iam_role.pod : role.name], [for template in aws_launch_template.node : template.name], [trimprefix(aws_kms_alias.cluster.name, "alias/")]) : startswith(name, "mlops-dev-")])
    error_message = "mlops-<environment>-<component>."
  }
}

run "roles_of_pods_are_narrow" {
  command = plan

  variables {
    hosted_zone_ids = ["Z0123456789ABCDEFGHIJ"]
  }

  assert {
    condition = { for name, role in aws_iam_role.pod : name => join("/", [
      jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-namespace"],
      jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-service-account"],
      ]) } == {
      cloudwatch-agent         = "amazon-cloudwatch/cloudwatch-agent"
      cluster-autoscaler       = "kube-system/cluster-autoscaler"
      external-dns             = "external-dns/external-dns"
      load-balancer-controller = "kube-system/aws-load-balancer-controller"
      vpc-cni                  = "kube-system/aws-node"
    }
    error_message = "A role is one service account's."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.pod : jsondecode(role.assume_role_policy).Statement[0].Principal == { Service = "pods.eks.amazonaws.com" } && jsondecode(role.assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:eks:ap-southeast-1:123456789012:cluster/mlops-dev" && jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012" && length(jsondecode(role.assume_role_policy).Statement) == 1])
    error_message = "Only this cluster's Pod Identity takes them."
  }
  assert {
    condition     = { for name, link in aws_eks_pod_identity_association.this : name => "${link.namespace}/${link.service_account}" } == { cluster-autoscaler = "kube-system/cluster-autoscaler", load-balancer-controller = "kube-system/aws-load-balancer-controller" }
    error_message = "Programs that are no add-ons have associations."
  }
  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.pod : [
      for statement in jsondecode(policy.policy).Statement : alltrue([
        for action in flatten([statement.Action]) : can(regex(":(Describe|List|Get)[A-Za-z]+$", action)) || action == "cloudwatch:PutMetricData"
      ]) if statement.Resource == "*"
    ]]))
    error_message = "On everything, roles look, and write metrics; whatever changes something names it."
  }
  assert {
    condition     = alltrue(flatten([for policy in aws_iam_role_policy.pod : [for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*") && !startswith(action, "iam:Pass") && statement.Effect == "Allow"]]]))
    error_message = "Every action is written out."
  }
  assert {
    condition = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.pod["load-balancer-controller"].policy).Statement : [
      for action in flatten([statement.Action]) : !can(regex("SecurityGroup(Ingress|Egress)?$", action)) || contains(["ec2:GetSecurityGroupsForVpc"], action)
    ]]))
    error_message = "The load balancer controller opens no security group."
  }
  assert {
    condition = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.pod["load-balancer-controller"].policy).Statement : [
      for resource in flatten([statement.Resource]) : strcontains(resource, ":targetgroup/k8s-") || strcontains(resource, "/app/k8s-") || endswith(resource, ":vpc/*") || strcontains(resource, ":role/aws-service-role/elasticloadbalancing.amazonaws.com/")
    ] if statement.Resource != "*"]))
    error_message = "It changes load balancers that it names, and no other."
  }
  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_role_policy.pod["load-balancer-controller"].policy).Statement : (
      try(statement.Condition.StringEquals["aws:ResourceTag/elbv2.k8s.aws/cluster"], "") == "mlops-dev" || try(statement.Condition.StringEquals["aws:RequestTag/elbv2.k8s.aws/cluster"], "") == "mlops-dev"
    ) if contains(["Make", "TagWhatIsMade", "TagOwn", "ChangeOwn", "SendToPods", "ListenOnOwn"], statement.Sid)])
    error_message = "It makes and changes load balancers of this cluster only."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.pod["cluster-autoscaler"].policy).Statement[2].Condition.StringEquals == { "aws:ResourceTag/k8s.io/cluster-autoscaler/mlops-dev" = "owned" } && jsondecode(aws_iam_role_policy.pod["cluster-autoscaler"].policy).Statement[2].Resource == "arn:aws:autoscaling:ap-southeast-1:123456789012:autoScalingGroup:*:autoScalingGroupName/eks-mlops-dev-*"
    error_message = "The autoscaler scales this cluster's groups."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.pod["external-dns"].policy).Statement : statement.Resource == ["arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ"] if statement.Sid != "Look"])
    error_message = "ExternalDNS changes the zones that are named."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.pod["external-dns"].policy).Statement[2].Condition["ForAllValues:StringEquals"]["route53:ChangeResourceRecordSetsRecordTypes"] == ["A", "AAAA", "CNAME", "TXT"]
    error_message = "It changes addresses, not name servers or mail."
  }
  assert {
    condition     = alltrue([for action in jsondecode(aws_iam_role_policy.pod["cloudwatch-agent"].policy).Statement[0].Action : action != "logs:CreateLogGroup"])
    error_message = "The agent makes no group that nothing empties."
  }
  assert {
    condition     = jsondecode(aws_eks_addon.this["external-dns"].configuration_values) == { policy = "sync", txtOwnerId = "mlops-dev" } && [for pod in aws_eks_addon.this["external-dns"].pod_identity_association : pod.service_account] == ["external-dns"]
    error_message = "ExternalDNS keeps its own records only."
  }
  assert {
    condition     = output.controller_values["aws-load-balancer-controller"].vpcId == "vpc-0123456789abcdef0" && output.controller_values["aws-load-balancer-controller"].serviceAccount.name == "aws-load-balancer-controller" && !output.controller_values["aws-load-balancer-controller"].enableBackendSecurityGroup && output.controller_values["cluster-autoscaler"].rbac.serviceAccount.name == "cluster-autoscaler"
    error_message = "The controllers' values fit their roles."
  }
  assert {
    condition     = output.controller_values["aws-load-balancer-controller"].defaultTags == { Component = "cluster", Environment = "dev", Project = "PriceSensitivityMLOps" } && output.controller_values["aws-load-balancer-controller"].defaultTargetType == "ip" && can(regex("-TLS13-1-[23]-2021-06$", output.controller_values["aws-load-balancer-controller"].defaultSSLPolicy))
    error_message = "Load balancers are found by the tags of everything else, call pods, and speak TLS 1.2 or newer."
  }
}

run "as_an_environment_wants_it" {
  command = plan

  variables {
    endpoint_public_access_cidrs  = ["203.0.113.0/24"]
    endpoint_private_access_cidrs = ["10.20.0.0/16"]
    container_insights            = false
    log_retention_days            = 7
    control_plane_log_types       = ["audit"]
    addon_versions                = { coredns = "v1.12.1-eksbuild.2" }
    load_balancer_target_port     = 9000
    access_entries = {
      github_model = { principal_arn = "arn:aws:iam::123456789012:role/mlops-dev-github-model", kubernetes_groups = ["psm-release"] }
    }
    node_groups = {
      api   = { instance_types = ["t3.medium"], min_size = 1, max_size = 3, desired_size = 2 }
      batch = { instance_types = ["m6i.large", "m5.large", "m6a.large"], capacity_type = "SPOT", min_size = 0, max_size = 5, desired_size = 0, dedicated = true, disk_gib = 40 }
      spare = { instance_types = ["c6i.large"], min_size = 0, max_size = 2, desired_size = 1 }
    }
    off_hours = {
      time_zone = "Asia/Singapore"
      begins    = "0 19 * * 1-5"
      ends      = "0 9 * * 1-5"
      nodes     = { api = 1, spare = 0 }
    }
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "Named networks reach the API server from outside; nodes never leave the VPC for it."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.api_server : "${rule.cidr_ipv4} ${rule.from_port} ${rule.to_port}"] == ["10.20.0.0/16 443 443"] && aws_vpc_security_group_ingress_rule.load_balancer.from_port == 9000
    error_message = "A VPN reaches the private API server."
  }
  assert {
    condition     = [for entry in aws_eks_access_entry.other : "${entry.principal_arn} ${join(",", entry.kubernetes_groups)}"] == ["arn:aws:iam::123456789012:role/mlops-dev-github-model psm-release"]
    error_message = "Others come as members of groups, and by no policy of AWS."
  }
  assert {
    condition     = { for name, action in aws_autoscaling_schedule.off_hours_begin : name => "${action.recurrence} ${action.time_zone} ${action.min_size} ${action.desired_capacity} ${action.max_size}" } == { api = "0 19 * * 1-5 Asia/Singapore 1 1 1", spare = "0 19 * * 1-5 Asia/Singapore 0 0 0" }
    error_message = "In the evening, named groups shrink and cannot grow; the others stay."
  }
  assert {
    condition     = { for name, action in aws_autoscaling_schedule.off_hours_end : name => "${action.recurrence} ${action.time_zone} ${action.min_size} ${action.desired_capacity} ${action.max_size}" } == { api = "0 9 * * 1-5 Asia/Singapore 1 2 3", spare = "0 9 * * 1-5 Asia/Singapore 0 1 2" }
    error_message = "In the morning they have the sizes of the day."
  }
  assert {
    condition     = aws_autoscaling_schedule.off_hours_begin["api"].scheduled_action_name == "mlops-dev-api-off-hours-begin" && aws_autoscaling_schedule.off_hours_end["api"].scheduled_action_name == "mlops-dev-api-off-hours-end"
    error_message = "Schedules are named after their group."
  }
  assert {
    condition     = !contains(keys(aws_eks_addon.this), "amazon-cloudwatch-observability") && length(aws_cloudwatch_log_group.containers) == 0 && !contains(keys(aws_iam_role.pod), "cloudwatch-agent")
    error_message = "Without Container Insights there is no agent, no group, no role."
  }
  assert {
    condition     = !contains(keys(aws_eks_addon.this), "external-dns") && !contains(keys(aws_iam_role.pod), "external-dns")
    error_message = "Without zones there is no ExternalDNS."
  }
  assert {
    condition     = aws_cloudwatch_log_group.control_plane.retention_in_days == 7 && aws_eks_cluster.this.enabled_cluster_log_types == toset(["audit"]) && aws_eks_addon.this["coredns"].addon_version == "v1.12.1-eksbuild.2"
    error_message = "Retention, kinds of logs and versions are the environment's."
  }
}
