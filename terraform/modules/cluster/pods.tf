# Roles of the programs that run the cluster, each given to one service account by Pod Identity.

locals {
  # Those that are add-ons get their role with the add-on; the others by an association.
  pods = merge(
    {
      cluster-autoscaler = {
        addon           = null
        namespace       = "kube-system"
        service_account = "cluster-autoscaler"
        policy          = local.autoscaler_policy
      }
      load-balancer-controller = {
        addon           = null
        namespace       = "kube-system"
        service_account = "aws-load-balancer-controller"
        policy          = local.load_balancer_policy
      }
      vpc-cni = {
        addon           = "vpc-cni"
        namespace       = "kube-system"
        service_account = "aws-node"
        policy          = null # AWS keeps this one up to date with the add-on
      }
    },
    {
      for name, pod in {
        cloudwatch-agent = {
          addon           = "amazon-cloudwatch-observability"
          namespace       = "amazon-cloudwatch"
          service_account = "cloudwatch-agent"
          policy          = local.cloudwatch_policy
        }
      } : name => pod if var.container_insights
    },
    {
      for name, pod in {
        external-dns = {
          addon           = "external-dns"
          namespace       = "external-dns"
          service_account = "external-dns"
          policy          = local.external_dns_policy
        }
      } : name => pod if length(var.hosted_zone_ids) > 0
    },
  )

  addon_pods = { for name, pod in local.pods : name => pod if pod.addon != null }
  other_pods = { for name, pod in local.pods : name => pod if pod.addon == null }
  own_policy = { for name, pod in local.pods : name => pod.policy if pod.policy != null }

  pod_trust = {
    for name, pod in local.pods : name => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "PodsOfTheServiceAccount"
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount"                         = local.account
            "aws:RequestTag/kubernetes-namespace"       = pod.namespace
            "aws:RequestTag/kubernetes-service-account" = pod.service_account
          }
          ArnEquals = { "aws:SourceArn" = local.cluster_arn }
        }
      }]
    })
  }

  autoscaler_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups",
          "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeScalingActivities",
          "autoscaling:DescribeTags",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = "*" # none of these knows resources
      },
      {
        Sid      = "LookAtNodeGroups"
        Effect   = "Allow"
        Action   = "eks:DescribeNodegroup"
        Resource = "arn:${local.partition}:eks:${local.region}:${local.account}:nodegroup/${local.name}/*"
      },
      {
        Sid      = "ScaleNodeGroups"
        Effect   = "Allow"
        Action   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource = "arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/eks-${local.name}-*"
        Condition = {
          StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${local.name}" = "owned" } # EKS sets it
        }
      },
    ]
  })

  # Logs of the groups that exist, so that nothing is kept for ever.
  cloudwatch_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = ["${local.logs}:${local.containers}/*", "${local.logs}:${local.containers}/*:log-stream:*"]
      },
      {
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["ec2:DescribeInstances", "ec2:DescribeTags", "ec2:DescribeVolumes", "logs:DescribeLogGroups"]
        Resource = "*" # none of these knows resources
      },
      {
        Sid       = "WriteMetrics"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*" # it knows no resources
        Condition = { StringEquals = { "cloudwatch:namespace" = ["ContainerInsights", "CWAgent"] } }
      },
    ]
  })

  external_dns_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Look"
        Effect   = "Allow"
        Action   = "route53:ListHostedZones"
        Resource = "*" # it knows no resources
      },
      {
        Sid      = "LookAtZones"
        Effect   = "Allow"
        Action   = ["route53:ListResourceRecordSets", "route53:ListTagsForResources"]
        Resource = [for zone in var.hosted_zone_ids : "arn:${local.partition}:route53:::hostedzone/${zone}"]
      },
      {
        Sid      = "ChangeAddresses"
        Effect   = "Allow"
        Action   = "route53:ChangeResourceRecordSets"
        Resource = [for zone in var.hosted_zone_ids : "arn:${local.partition}:route53:::hostedzone/${zone}"]
        Condition = {
          "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["A", "AAAA", "CNAME", "TXT"] }
        }
      },
    ]
  })
}

resource "aws_iam_role" "pod" {
  for_each = local.pods

  name               = "${local.name}-${each.key}"
  description        = "Service account ${each.value.namespace}/${each.value.service_account} of ${local.name}"
  assume_role_policy = local.pod_trust[each.key]

  tags = local.tags
}

resource "aws_iam_role_policy" "pod" {
  for_each = local.own_policy

  name   = "${local.name}-${each.key}"
  role   = aws_iam_role.pod[each.key].id
  policy = each.value
}

resource "aws_iam_role_policy_attachment" "vpc_cni" {
  role       = aws_iam_role.pod["vpc-cni"].name
  policy_arn = "${local.aws_policy}/AmazonEKS_CNI_Policy"
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = local.other_pods

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.pod[each.key].arn

  tags = local.tags
}
