# Jobs of SageMaker in the private subnets (psm-train's --security-group): they call AWS's endpoints and S3, and nobody calls them.

resource "aws_security_group" "jobs" {
  # checkov:skip=CKV2_AWS_5:interfaces with it are SageMaker's, for as long as a job runs
  name        = "${local.prefix}-jobs"
  description = "Jobs of SageMaker: HTTPS to endpoints and to S3"
  vpc_id      = aws_vpc.this.id

  tags = merge(local.tags, { Name = "${local.prefix}-jobs" })
}

resource "aws_vpc_security_group_egress_rule" "jobs_endpoints" {
  security_group_id = aws_security_group.jobs.id
  description       = "Interface endpoints of AWS services"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = local.tags
}

resource "aws_vpc_security_group_egress_rule" "jobs_s3" {
  security_group_id = aws_security_group.jobs.id
  description       = "S3 by its gateway endpoint"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = local.tags
}
