# The one group that the Internet may reach. Ingresses name it (alb.ingress.kubernetes.io/security-groups), and the
# load balancer controller has no right to open another.

resource "aws_security_group" "load_balancer" {
  # checkov:skip=CKV2_AWS_5:load balancers are made by their controller from Ingresses, which name this group
  name        = "${local.prefix}-load-balancer"
  description = "Public load balancer: HTTPS from callers, and on to the pods"
  vpc_id      = aws_vpc.this.id

  tags = merge(local.tags, { Name = "${local.prefix}-load-balancer" })
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer_https" {
  for_each = toset(var.load_balancer_ingress_cidrs)

  security_group_id = aws_security_group.load_balancer.id
  description       = "HTTPS from callers"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = local.tags
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_targets" {
  for_each = local.private_cidrs

  security_group_id = aws_security_group.load_balancer.id
  description       = "Predictor pods in ${each.key}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = var.load_balancer_target_port
  to_port           = var.load_balancer_target_port

  tags = local.tags
}
