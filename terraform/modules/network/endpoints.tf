# The only ways out of the private subnets. Their policies admit this account's identities only, so that stolen
# credentials of another account cannot carry data out through them (docs/adr/0020-no-nat.md), and the operator as the
# reader of another account's registry.

locals {
  endpoint_zones = {
    for service in var.interface_endpoints :
    service => slice(local.zones, 0, lookup(var.endpoint_az_overrides, service, var.endpoint_az_count))
  }

  # Endpoints through which data could leave; the others only steer this account's resources.
  guarded_endpoints = setintersection(var.interface_endpoints, [
    "ec2", "ecr.api", "ecr.dkr", "logs", "monitoring", "sagemaker.api", "sagemaker.featurestore-runtime", "sns", "sqs", "sts",
  ])

  own_identities = {
    Sid       = "OwnIdentities"
    Effect    = "Allow"
    Principal = "*"
    Action    = "*"
    Resource  = "*"
    Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
  }

  # A pod that asks STS for a role by its service account has no identity yet.
  own_roles = {
    Sid       = "OwnRolesByServiceAccount"
    Effect    = "Allow"
    Principal = "*"
    Action    = "sts:AssumeRoleWithWebIdentity"
    Resource  = "arn:${local.partition}:iam::${local.account}:role/*"
  }

  # Whoever assumed a role is an identity of the role's account: the operator, where spec.registry.roleARN names one.
  reader_arns = [for id in var.registry_account_ids : "arn:${local.partition}:iam::${id}:role/${local.prefix}-registry-reader"]
  reads_of_others = {
    "monitoring"    = ["cloudwatch:GetMetricData"]
    "sagemaker.api" = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
  }

  endpoint_policies = {
    for service in local.guarded_endpoints : service => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [local.own_identities],
        [for statement in [local.own_roles] : statement if service == "sts"],
        [
          for actions in [lookup(local.reads_of_others, service, [])] : {
            Sid       = "ReadersOfOtherRegistries"
            Effect    = "Allow"
            Principal = "*"
            Action    = actions
            Resource  = "*"
            Condition = { ArnEquals = { "aws:PrincipalArn" = local.reader_arns } }
          } if length(actions) > 0 && length(local.reader_arns) > 0
        ],
      )
    })
  }

  s3_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "OwnBuckets"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:*"
          Resource  = "*"
          Condition = { StringEquals = { "aws:ResourceAccount" = local.account } }
        },
        {
          Sid       = "LayersOfImages"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:GetObject"
          Resource  = "arn:${local.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"
        },
      ],
      [
        for statement in [{
          Sid       = "BucketsOfOthers"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:GetBucketLocation", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]
          Resource  = flatten([for arn in var.readable_bucket_arns : [arn, "${arn}/*"]])
          Condition = { StringEquals = { "aws:PrincipalAccount" = concat([local.account], var.registry_account_ids) } }
        }] : statement if length(var.readable_bucket_arns) > 0
      ],
    )
  })
}

resource "aws_security_group" "endpoints" {
  name        = "${local.prefix}-endpoints"
  description = "Interface endpoints of AWS services, called from inside the VPC"
  vpc_id      = aws_vpc.this.id

  tags = merge(local.tags, { Name = "${local.prefix}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_https" {
  security_group_id = aws_security_group.endpoints.id
  description       = "AWS calls of nodes, pods and jobs"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = local.tags
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for zone in local.zones : aws_route_table.private[zone].id]
  policy            = local.s3_policy

  tags = merge(local.tags, { Name = "${local.prefix}-s3" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  security_group_ids  = [aws_security_group.endpoints.id]
  policy              = lookup(local.endpoint_policies, each.value, null)

  subnet_ids = [for zone in local.endpoint_zones[each.value] : aws_subnet.private[zone].id]

  tags = merge(local.tags, {
    Name  = "${local.prefix}-${replace(each.value, ".", "-")}"
    Zones = join(" ", local.endpoint_zones[each.value]) # what is paid for, readable before the subnets have IDs
  })
}

resource "aws_vpc_endpoint" "route53" {
  count = var.route53_endpoint ? 1 : 0

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.route53"
  service_region      = "us-east-1"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  security_group_ids  = [aws_security_group.endpoints.id]
  policy              = jsonencode({ Version = "2012-10-17", Statement = [local.own_identities] })
  subnet_ids          = [for zone in slice(local.zones, 0, var.endpoint_az_count) : aws_subnet.private[zone].id]

  tags = merge(local.tags, {
    Name  = "${local.prefix}-route53"
    Zones = join(" ", slice(local.zones, 0, var.endpoint_az_count))
  })
}
