# The real provider, without an account: what AWS would be asked for. A run starts the provider, which takes a second, so
# that few runs make many assertions.

provider "aws" {
  region                      = "ap-southeast-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

mock_provider "aws" {
  alias = "mock"

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:ap-southeast-1:123456789012:log-group:mock"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/mock"
    }
  }
}

override_data {
  target = data.aws_availability_zones.available
  values = {
    names = ["ap-southeast-1c", "ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1d"]
  }
}

override_data {
  target = data.aws_caller_identity.current
  values = {
    account_id = "123456789012"
  }
}

variables {
  environment = "dev"
}

run "by_default" {
  command = plan

  assert {
    condition     = output.availability_zones == tolist(["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"])
    error_message = "The first three zones by name, whatever order AWS lists them in."
  }
  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { "ap-southeast-1a" = "10.0.0.0/19", "ap-southeast-1b" = "10.0.32.0/19", "ap-southeast-1c" = "10.0.64.0/19" }
    error_message = "Private subnets take an eighth of the VPC each."
  }
  assert {
    condition     = { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == { "ap-southeast-1a" = "10.0.224.0/24", "ap-southeast-1b" = "10.0.225.0/24", "ap-southeast-1c" = "10.0.226.0/24" }
    error_message = "Public subnets lie past the room of four private ones."
  }
  assert {
    condition     = alltrue([for zone, subnet in merge(aws_subnet.private, aws_subnet.public) : subnet.availability_zone == zone])
    error_message = "Each subnet lies in the zone that it is named after."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch && subnet.tags["kubernetes.io/role/elb"] == "1" && !contains(keys(subnet.tags), "kubernetes.io/role/internal-elb")])
    error_message = "Public subnets are the load balancer controller's for public load balancers, and give no machine an address."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.map_public_ip_on_launch == false && subnet.tags["kubernetes.io/role/internal-elb"] == "1" && !contains(keys(subnet.tags), "kubernetes.io/role/elb")])
    error_message = "Private subnets are for internal load balancers only."
  }
  assert {
    condition     = aws_vpc.this.cidr_block == "10.0.0.0/16" && aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames
    error_message = "The private names of endpoints need both DNS settings."
  }

  assert {
    condition = keys(aws_vpc_endpoint.interface) == [
      "autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "logs",
      "monitoring", "sagemaker.api", "sagemaker.featurestore-runtime", "sns", "sqs", "sts",
    ]
    error_message = "The fourteen services that nodes, pods and jobs call."
  }
  assert {
    condition     = alltrue([for service, endpoint in aws_vpc_endpoint.interface : endpoint.service_name == "com.amazonaws.ap-southeast-1.${service}" && endpoint.vpc_endpoint_type == "Interface" && endpoint.private_dns_enabled])
    error_message = "Interface endpoints answer to the services' usual names."
  }
  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.service_name == "com.amazonaws.ap-southeast-1.s3"
    error_message = "S3 has a gateway endpoint, which costs nothing."
  }
  assert {
    condition     = length(aws_vpc_endpoint.route53) == 0
    error_message = "Only ExternalDNS calls Route 53, and not every environment has it."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.tags.Zones == "ap-southeast-1a"])
    error_message = "One zone each unless more are paid for."
  }

  assert {
    condition     = [for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : statement.Sid] == ["OwnBuckets", "LayersOfImages"]
    error_message = "No bucket of another account is reachable unless it is named."
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.load_balancer_https) == ["0.0.0.0/0"] && alltrue([for rule in aws_vpc_security_group_ingress_rule.load_balancer_https : rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp"])
    error_message = "Callers reach the load balancer on 443 only."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints_https.cidr_ipv4 == "10.0.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints_https.from_port == 443 && aws_vpc_security_group_ingress_rule.endpoints_https.to_port == 443
    error_message = "Endpoints are called from inside the VPC."
  }
  assert {
    condition     = { for zone, rule in aws_vpc_security_group_egress_rule.load_balancer_targets : zone => rule.cidr_ipv4 } == { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } && alltrue([for rule in aws_vpc_security_group_egress_rule.load_balancer_targets : rule.from_port == 8080 && rule.to_port == 8080])
    error_message = "The load balancer calls predictor pods and nothing else."
  }

  assert {
    condition = alltrue([
      for tags in concat(
        [for subnet in aws_subnet.private : subnet.tags],
        [for subnet in aws_subnet.public : subnet.tags],
        [for table in aws_route_table.private : table.tags],
        [for endpoint in aws_vpc_endpoint.interface : endpoint.tags],
        [for rule in aws_vpc_security_group_ingress_rule.load_balancer_https : rule.tags],
        [for rule in aws_vpc_security_group_egress_rule.load_balancer_targets : rule.tags],
        [
          aws_vpc.this.tags, aws_default_security_group.closed.tags, aws_internet_gateway.this.tags, aws_route_table.public.tags,
          aws_vpc_endpoint.s3.tags, aws_security_group.endpoints.tags, aws_security_group.load_balancer.tags, aws_flow_log.this.tags,
          aws_vpc_security_group_ingress_rule.endpoints_https.tags, aws_kms_key.flow_logs.tags, aws_cloudwatch_log_group.flow_logs.tags, aws_iam_role.flow_logs.tags,
        ],
      ) : tags.Component == "network" && try(startswith(tags.Name, "mlops-dev-"), true)
    ])
    error_message = "Everything says Component = network, and names begin with mlops-dev-."
  }
  assert {
    condition     = aws_vpc_endpoint.interface["ecr.api"].tags.Name == "mlops-dev-ecr-api" && aws_security_group.load_balancer.name == "mlops-dev-load-balancer" && aws_kms_alias.flow_logs.name == "alias/mlops-dev-flow-logs"
    error_message = "mlops-<environment>-<component>."
  }
}

run "as_an_environment_wants_it" {
  command = plan

  variables {
    endpoint_az_count           = 2
    endpoint_az_overrides       = { sts = 3, sqs = 1 }
    flow_log_retention_days     = 14
    flow_log_traffic            = "REJECT"
    load_balancer_ingress_cidrs = ["203.0.113.0/24", "198.51.100.0/24"]
    readable_bucket_arns        = ["arn:aws:s3:::their-models"]
    registry_account_ids        = ["222222222222"]
    route53_endpoint            = true
  }

  assert {
    condition     = aws_vpc_endpoint.interface["ecr.api"].tags.Zones == "ap-southeast-1a ap-southeast-1b"
    error_message = "endpoint_az_count holds for services without a number of their own."
  }
  assert {
    condition     = aws_vpc_endpoint.interface["sts"].tags.Zones == "ap-southeast-1a ap-southeast-1b ap-southeast-1c" && aws_vpc_endpoint.interface["sqs"].tags.Zones == "ap-southeast-1a"
    error_message = "endpoint_az_overrides holds for its services."
  }

  assert {
    condition = alltrue([
      for service in ["ec2", "ecr.api", "ecr.dkr", "logs", "monitoring", "sagemaker.api", "sagemaker.featurestore-runtime", "sns", "sqs", "sts"] :
      jsondecode(aws_vpc_endpoint.interface[service].policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == "123456789012"
    ])
    error_message = "Where data could leave, only this account's identities pass."
  }
  assert {
    condition     = length(jsondecode(aws_vpc_endpoint.interface["sqs"].policy).Statement) == 1
    error_message = "No second statement widens a policy."
  }
  assert {
    condition     = jsondecode(aws_vpc_endpoint.interface["sts"].policy).Statement[1].Action == "sts:AssumeRoleWithWebIdentity" && jsondecode(aws_vpc_endpoint.interface["sts"].policy).Statement[1].Resource == "arn:aws:iam::123456789012:role/*"
    error_message = "Pods without an identity yet get a role of this account."
  }
  assert {
    condition     = { for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : statement.Sid => try(statement.Condition.StringEquals["aws:ResourceAccount"], null) } == { OwnBuckets = "123456789012", LayersOfImages = null, BucketsOfOthers = null }
    error_message = "S3: this account's buckets, image layers, and buckets that are named."
  }
  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3.policy).Statement[1].Resource == "arn:aws:s3:::prod-ap-southeast-1-starport-layer-bucket/*" && jsondecode(aws_vpc_endpoint.s3.policy).Statement[1].Action == "s3:GetObject"
    error_message = "Image layers are read from ECR's own bucket."
  }
  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3.policy).Statement[2].Resource == ["arn:aws:s3:::their-models", "arn:aws:s3:::their-models/*"] && !anytrue([for action in jsondecode(aws_vpc_endpoint.s3.policy).Statement[2].Action : can(regex("Put|Delete|\\*", action))])
    error_message = "Buckets of others are read, never written."
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.load_balancer_https : rule.cidr_ipv4]) == toset(["203.0.113.0/24", "198.51.100.0/24"])
    error_message = "One rule per network of callers."
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow_logs.name == "/aws/vpc/mlops-dev-network" && aws_cloudwatch_log_group.flow_logs.retention_in_days == 14 && aws_flow_log.this.traffic_type == "REJECT"
    error_message = "Retention and traffic are the environment's."
  }
  assert {
    condition     = aws_kms_key.flow_logs.enable_key_rotation && jsondecode(aws_kms_key.flow_logs.policy).Statement[1].Condition.ArnEquals["kms:EncryptionContext:aws:logs:arn"] == "arn:aws:logs:ap-southeast-1:123456789012:log-group:/aws/vpc/mlops-dev-network"
    error_message = "The key rotates and serves one log group."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.flow_logs.policy).Statement[0].Resource == ["arn:aws:logs:ap-southeast-1:123456789012:log-group:/aws/vpc/mlops-dev-network", "arn:aws:logs:ap-southeast-1:123456789012:log-group:/aws/vpc/mlops-dev-network:log-stream:*"] && length(jsondecode(aws_iam_role_policy.flow_logs.policy).Statement) == 1
    error_message = "The role writes to one log group."
  }
  assert {
    condition     = jsondecode(aws_iam_role.flow_logs.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012" && jsondecode(aws_iam_role.flow_logs.assume_role_policy).Statement[0].Principal.Service == "vpc-flow-logs.amazonaws.com"
    error_message = "Flow logs of other accounts cannot borrow the role."
  }

  assert {
    condition     = aws_vpc_endpoint.route53[0].service_name == "com.amazonaws.route53" && aws_vpc_endpoint.route53[0].service_region == "us-east-1" && aws_vpc_endpoint.route53[0].tags.Zones == "ap-southeast-1a ap-southeast-1b"
    error_message = "Route 53 answers in one region only."
  }
}

run "two_zones_of_a_smaller_vpc" {
  command = plan

  variables {
    az_count = 2
    vpc_cidr = "172.20.0.0/19"
  }

  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["172.20.0.0/22", "172.20.4.0/22"] && [for subnet in aws_subnet.public : subnet.cidr_block] == ["172.20.28.0/27", "172.20.28.32/27"]
    error_message = "Subnets scale with the VPC; a public one keeps the /27 of a load balancer."
  }
}

run "applied_the_internet_is_a_route_of_the_public_subnets_only" {
  command = apply

  # Apply-time wiring, with an account that is made up.
  providers = {
    aws = aws.mock
  }

  assert {
    condition     = aws_route.internet.route_table_id == aws_route_table.public.id && aws_route.internet.gateway_id == aws_internet_gateway.this.id
    error_message = "The one default route belongs to the public table."
  }
  assert {
    condition     = alltrue([for table in aws_route_table.private : length(table.route) == 0 && table.id != aws_route_table.public.id])
    error_message = "A private table has no route of its own: no NAT, no Internet."
  }
  assert {
    condition     = alltrue([for zone, link in aws_route_table_association.private : link.subnet_id == aws_subnet.private[zone].id && link.route_table_id == aws_route_table.private[zone].id])
    error_message = "Each private subnet has the table of its zone."
  }
  assert {
    condition     = alltrue([for zone, link in aws_route_table_association.public : link.subnet_id == aws_subnet.public[zone].id && link.route_table_id == aws_route_table.public.id])
    error_message = "Each public subnet has the public table."
  }
  assert {
    condition     = aws_vpc_endpoint.s3.route_table_ids == toset(output.private_route_table_ids) && length(output.private_route_table_ids) == 3
    error_message = "Every private table leads to S3."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.subnet_ids == toset([aws_subnet.private["ap-southeast-1a"].id]) && endpoint.security_group_ids == toset([aws_security_group.endpoints.id])])
    error_message = "An endpoint has an address in as many zones as asked for, behind the endpoints' group."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints_https.security_group_id == aws_security_group.endpoints.id && alltrue([for rule in aws_vpc_security_group_ingress_rule.load_balancer_https : rule.security_group_id == aws_security_group.load_balancer.id])
    error_message = "Each rule belongs to its group."
  }
  assert {
    condition     = aws_default_security_group.closed.vpc_id == aws_vpc.this.id && length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default group lets nothing in or out."
  }
  assert {
    condition     = aws_flow_log.this.vpc_id == aws_vpc.this.id && aws_flow_log.this.log_destination == aws_cloudwatch_log_group.flow_logs.arn && aws_cloudwatch_log_group.flow_logs.kms_key_id == aws_kms_key.flow_logs.arn
    error_message = "The flow log is of this VPC, in its encrypted group."
  }
}
