# Who takes the roles of pods: service accounts of one cluster, by IRSA (the charts' serviceAccount.roleARN) or by EKS Pod
# Identity (the associations below); both name the service account, so either alone is as narrow.

locals {
  issuer      = trimprefix(var.oidc_issuer, "https://")
  cluster_arn = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${var.cluster_name}"

  service_accounts = {
    operator = var.operator_service_account
    training = var.training_service_account
    etl      = var.etl_service_account
  }

  pod_trusts = {
    for role, account in local.service_accounts : role => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "ServiceAccount"
          Effect    = "Allow"
          Principal = { Federated = var.oidc_provider_arn }
          Action    = "sts:AssumeRoleWithWebIdentity"
          Condition = {
            StringEquals = {
              "${local.issuer}:aud" = "sts.amazonaws.com"
              "${local.issuer}:sub" = "system:serviceaccount:${account.namespace}:${account.name}"
            }
          }
        },
        {
          Sid       = "PodIdentity"
          Effect    = "Allow"
          Principal = { Service = "pods.eks.amazonaws.com" }
          Action    = ["sts:AssumeRole", "sts:TagSession"]
          Condition = {
            StringEquals = {
              "aws:RequestTag/eks-cluster-arn"            = local.cluster_arn
              "aws:RequestTag/kubernetes-namespace"       = account.namespace
              "aws:RequestTag/kubernetes-service-account" = account.name
            }
          }
        },
      ]
    })
  }

  # the operator names a service account after its model, so a namespace is as narrow as it gets; an association of Pod
  # Identity knows no pattern, so the predictor has IRSA only
  predictor_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ServiceAccountsOfModels"
        Effect    = "Allow"
        Principal = { Federated = var.oidc_provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = { "${local.issuer}:aud" = "sts.amazonaws.com" }
          StringLike   = { "${local.issuer}:sub" = [for name in var.model_namespaces : "system:serviceaccount:${name}:*"] }
        }
      },
    ]
  })
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = local.service_accounts

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.name
  role_arn        = aws_iam_role.this[each.key].arn
  tags            = local.tags
}
