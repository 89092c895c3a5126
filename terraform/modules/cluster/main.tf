# The cluster of one environment: a private API server, secrets encrypted by a key of its own, and who may use it.

data "aws_caller_identity" "current" {}

data "aws_default_tags" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name      = "mlops-${var.environment}"
  tags      = { Component = "cluster" }
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  # Known before the cluster exists, so that policies can name it and plans show them.
  cluster_arn = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${local.name}"

  aws_policy     = "arn:${local.partition}:iam::aws:policy"
  cluster_policy = "arn:${local.partition}:eks::aws:cluster-access-policy"

  cluster_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ControlPlaneOfTheCluster"
      Effect    = "Allow"
      Principal = { Service = "eks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role" "cluster" {
  name               = "${local.name}-cluster"
  description        = "Control plane of ${local.name}"
  assume_role_policy = local.cluster_trust

  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "${local.aws_policy}/AmazonEKSClusterPolicy"
}

resource "aws_eks_cluster" "this" {
  # checkov:skip=CKV_AWS_339:its list ends at 1.35; variables.tf refuses versions out of standard support
  name     = local.name
  version  = var.kubernetes_version
  role_arn = aws_iam_role.cluster.arn

  # The add-ons below take the place of the ones that EKS installs by itself and never updates.
  bootstrap_self_managed_addons = false
  enabled_cluster_log_types     = var.control_plane_log_types

  access_config {
    authentication_mode                         = "API" # no aws-auth ConfigMap
    bootstrap_cluster_creator_admin_permissions = false
  }

  encryption_config {
    resources = ["secrets"]

    provider {
      key_arn = aws_kms_key.cluster.arn
    }
  }

  upgrade_policy {
    support_type = "STANDARD" # extended support costs six times the cluster's price
  }

  vpc_config {
    subnet_ids              = var.private_subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.endpoint_public_access_cidrs) > 0
    public_access_cidrs     = length(var.endpoint_public_access_cidrs) > 0 ? var.endpoint_public_access_cidrs : null
  }

  tags = merge(local.tags, { Name = local.name })

  depends_on = [
    aws_cloudwatch_log_group.control_plane,
    aws_iam_role_policy_attachment.cluster,
  ]
}

resource "aws_eks_access_entry" "admin" {
  for_each = var.admin_principal_arns

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value

  tags = local.tags
}

resource "aws_eks_access_policy_association" "admin" {
  for_each = var.admin_principal_arns

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.admin[each.value].principal_arn
  policy_arn    = "${local.cluster_policy}/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}

resource "aws_eks_access_entry" "other" {
  for_each = var.access_entries

  cluster_name      = aws_eks_cluster.this.name
  principal_arn     = each.value.principal_arn
  kubernetes_groups = each.value.kubernetes_groups

  tags = local.tags
}

# For roles of service accounts (IRSA) of programs that do not know Pod Identity. AWS trusts its own issuer by its
# certificate authority, so that no thumbprint is needed.
resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]

  tags = merge(local.tags, { Name = "${local.name}-oidc" })
}

# EKS makes one group for control plane, nodes and pods, in which everything may talk to everything.
resource "aws_vpc_security_group_ingress_rule" "load_balancer" {
  security_group_id            = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  description                  = "Predictor pods from the public load balancers"
  referenced_security_group_id = var.load_balancer_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.load_balancer_target_port
  to_port                      = var.load_balancer_target_port

  tags = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "api_server" {
  for_each = toset(var.endpoint_private_access_cidrs)

  security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  description       = "API server from outside the cluster"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = local.tags
}
