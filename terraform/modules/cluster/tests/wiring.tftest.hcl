# An account that is made up, applied: what belongs to what.

mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:ap-southeast-1:123456789012:cluster/mlops-dev"
      certificate_authority = [{ data = "LS0t" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF" }] }]
    }
  }

  mock_resource "aws_eks_node_group" {
    defaults = {
      resources = [{ autoscaling_groups = [{ name = "eks-mlops-dev-0123" }], remote_access_security_group_id = "" }]
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/mock"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn = "arn:aws:kms:ap-southeast-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    }
  }

  mock_resource "aws_launch_template" {
    defaults = {
      id             = "lt-0123456789abcdef0"
      latest_version = 3
    }
  }
}

override_data {
  target = data.aws_caller_identity.current
  values = {
    account_id = "123456789012"
  }
}

override_data {
  target = data.aws_region.current
  values = {
    name = "ap-southeast-1"
  }
}

override_data {
  target = data.aws_partition.current
  values = {
    partition = "aws"
  }
}

override_resource {
  target = aws_eks_node_group.this["batch"]
  values = {
    resources = [{ autoscaling_groups = [{ name = "eks-mlops-dev-batch-4567" }], remote_access_security_group_id = "" }]
  }
}

variables {
  environment                     = "dev"
  vpc_id                          = "vpc-0123456789abcdef0"
  private_subnet_ids              = ["subnet-0a", "subnet-0b"]
  load_balancer_security_group_id = "sg-0123456789abcdef0"
  admin_principal_arns            = ["arn:aws:iam::123456789012:role/platform"]
  off_hours = {
    time_zone = "Asia/Singapore"
    begins    = "0 19 * * 1-5"
    ends      = "0 9 * * 1-5"
    nodes     = { batch = 0 }
  }
}

run "applied" {
  command = apply

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == output.secrets_key_arn && aws_cloudwatch_log_group.control_plane.kms_key_id == output.secrets_key_arn && alltrue([for group in aws_cloudwatch_log_group.containers : group.kms_key_id == output.secrets_key_arn])
    error_message = "One key for secrets and logs."
  }
  assert {
    condition     = aws_iam_openid_connect_provider.this.url == output.oidc_issuer && output.oidc_issuer == "https://oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF"
    error_message = "The OIDC provider is the cluster's."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.load_balancer.security_group_id == output.cluster_security_group_id
    error_message = "The pods' rule is in the cluster's group."
  }
  assert {
    condition     = alltrue([for name, group in aws_eks_node_group.this : group.launch_template[0].id == aws_launch_template.node[name].id && group.launch_template[0].version == "3" && group.node_role_arn == output.node_role_arn])
    error_message = "A group runs the newest version of its template."
  }
  assert {
    condition     = aws_autoscaling_schedule.off_hours_begin["batch"].autoscaling_group_name == "eks-mlops-dev-batch-4567" && aws_autoscaling_schedule.off_hours_end["batch"].autoscaling_group_name == "eks-mlops-dev-batch-4567"
    error_message = "A schedule is of its group's Auto Scaling group."
  }
  assert {
    condition     = alltrue([for tag in aws_autoscaling_group_tag.autoscaler : tag.autoscaling_group_name == (strcontains(tag.tag[0].value, "batch") || tag.tag[0].value == "48Gi" ? "eks-mlops-dev-batch-4567" : "eks-mlops-dev-0123")])
    error_message = "The autoscaler reads a group's tags from its Auto Scaling group."
  }
  assert {
    condition     = toset(keys(output.pod_role_arns)) == toset(["cloudwatch-agent", "cluster-autoscaler", "load-balancer-controller", "vpc-cni"])
    error_message = "Roles by program."
  }
  assert {
    condition     = output.cluster_name == "mlops-dev" && output.cluster_arn == "arn:aws:eks:ap-southeast-1:123456789012:cluster/mlops-dev" && output.container_log_groups["application"] == "/aws/containerinsights/mlops-dev/application"
    error_message = "Others are told names and ARNs."
  }
}
