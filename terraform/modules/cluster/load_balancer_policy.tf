# What the AWS Load Balancer Controller may do: application load balancers of this cluster, and nothing to security
# groups. Ingresses name the network module's group; rules for its targets are in main.tf. The controller runs without
# WAF, Shield and Cognito, whose services have no endpoint here, and with certificates that Ingresses name.

locals {
  elb = "arn:${local.partition}:elasticloadbalancing:${local.region}:${local.account}"

  # The controller begins its names with k8s-; listeners and rules have their load balancer's.
  load_balancers = "${local.elb}:loadbalancer/app/k8s-*/*"
  target_groups  = "${local.elb}:targetgroup/k8s-*/*"
  listeners      = "${local.elb}:listener/app/k8s-*/*/*"
  listener_rules = "${local.elb}:listener-rule/app/k8s-*/*/*/*"

  made_for_cluster = { "aws:RequestTag/elbv2.k8s.aws/cluster" = local.name }
  of_cluster       = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = local.name }

  load_balancer_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "ec2:DescribeAvailabilityZones",
          "ec2:DescribeInstances",
          "ec2:DescribeInternetGateways",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeTags",
          "ec2:DescribeVpcs",
          "elasticloadbalancing:DescribeCapacityReservation",
          "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListenerCertificates",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes",
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeSSLPolicies",
          "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
        ]
        Resource = "*" # none of these knows resources
      },
      {
        Sid      = "LookAtGroups"
        Effect   = "Allow"
        Action   = "ec2:GetSecurityGroupsForVpc"
        Resource = "arn:${local.partition}:ec2:${local.region}:${local.account}:vpc/*" # its ID is not known before the VPC
      },
      {
        Sid       = "Make"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
        Resource  = [local.load_balancers, local.target_groups]
        Condition = { StringEquals = local.made_for_cluster }
      },
      {
        Sid      = "TagWhatIsMade"
        Effect   = "Allow"
        Action   = "elasticloadbalancing:AddTags"
        Resource = [local.load_balancers, local.target_groups]
        Condition = {
          StringEquals = merge(local.made_for_cluster, {
            "elasticloadbalancing:CreateAction" = ["CreateLoadBalancer", "CreateTargetGroup"]
          })
        }
      },
      {
        Sid      = "TagOwn"
        Effect   = "Allow"
        Action   = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource = [local.load_balancers, local.target_groups]
        Condition = {
          StringEquals = local.of_cluster
          Null         = { "aws:RequestTag/elbv2.k8s.aws/cluster" = "true" } # never given to another cluster
        }
      },
      {
        Sid    = "ChangeOwn"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DeleteLoadBalancer",
          "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:ModifyLoadBalancerAttributes",
          "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes",
          "elasticloadbalancing:SetIpAddressType",
          "elasticloadbalancing:SetSecurityGroups",
          "elasticloadbalancing:SetSubnets",
        ]
        Resource  = [local.load_balancers, local.target_groups]
        Condition = { StringEquals = local.of_cluster }
      },
      {
        Sid       = "SendToPods"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]
        Resource  = local.target_groups
        Condition = { StringEquals = local.of_cluster }
      },
      {
        Sid    = "Listen"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddListenerCertificates",
          "elasticloadbalancing:AddTags",
          "elasticloadbalancing:CreateRule",
          "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:DeleteRule",
          "elasticloadbalancing:ModifyListener",
          "elasticloadbalancing:ModifyListenerAttributes",
          "elasticloadbalancing:ModifyRule",
          "elasticloadbalancing:RemoveListenerCertificates",
          "elasticloadbalancing:RemoveTags",
          "elasticloadbalancing:SetRulePriorities",
        ]
        Resource = [local.listeners, local.listener_rules]
      },
      {
        Sid       = "ListenOnOwn"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:CreateListener"
        Resource  = local.load_balancers
        Condition = { StringEquals = local.of_cluster }
      },
      {
        Sid       = "FirstLoadBalancerOfTheAccount"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.amazonaws.com" } }
      },
    ]
  })
}
