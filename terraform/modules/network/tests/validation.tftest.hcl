# Every value that cannot work is refused before AWS is asked. A run starts the provider, which takes a second, so each run
# has one wrong value of many variables; each of them must be refused.

mock_provider "aws" {}

override_data {
  target = data.aws_partition.current
  values = {
    partition = "aws"
  }
}

override_data {
  target = data.aws_availability_zones.available
  values = {
    names = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  }
}

variables {
  environment = "dev"
}

run "refuses_wrong_values_1" {
  command = plan

  variables {
    environment                 = "Dev"                                                                                # a capital
    vpc_cidr                    = "10.0.0.0"                                                                           # no network
    az_count                    = 1                                                                                    # one zone
    interface_endpoints         = ["com.amazonaws.ap-southeast-1.SQS", "ec2", "ecr.api", "ecr.dkr", "eks-auth", "sts"] # a service by its full name
    readable_bucket_arns        = ["arn:aws:s3:::their-models/*"]                                                      # objects of a bucket
    load_balancer_ingress_cidrs = []                                                                                   # nobody may call
    load_balancer_target_port   = 80                                                                                   # a port of root
    flow_log_retention_days     = 31                                                                                   # CloudWatch has no such retention
    flow_log_traffic            = "DENY"                                                                               # no such traffic
    registry_account_ids        = ["2222"]                                                                             # no account
  }

  expect_failures = [
    var.environment,
    var.vpc_cidr,
    var.az_count,
    var.interface_endpoints,
    var.readable_bucket_arns,
    var.load_balancer_ingress_cidrs,
    var.load_balancer_target_port,
    var.flow_log_retention_days,
    var.flow_log_traffic,
    var.registry_account_ids,
  ]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    endpoint_az_overrides       = { secretsmanager = 2 } # a service that has no endpoint
    endpoint_az_count           = 4                      # more zones than there are
    environment                 = "developmental1"       # it makes names too long
    vpc_cidr                    = "10.0.1.0/16"          # it starts inside its network
    readable_bucket_arns        = ["their-models"]       # a name, not an ARN
    load_balancer_ingress_cidrs = ["203.0.113.1"]        # an address, not a network
    load_balancer_target_port   = 65536                  # no port
  }

  expect_failures = [
    var.endpoint_az_overrides,
    var.endpoint_az_count,
    var.environment,
    var.vpc_cidr,
    var.readable_bucket_arns,
    var.load_balancer_ingress_cidrs,
    var.load_balancer_target_port,
  ]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    az_count            = 5                                                      # no room for five zones
    interface_endpoints = ["ec2", "ecr.api", "ecr.dkr", "eks-auth", "s3", "sts"] # S3 has the gateway
    vpc_cidr            = "10.0.0.0/20"                                          # too small for load balancers
  }

  expect_failures = [
    var.az_count,
    var.interface_endpoints,
    var.vpc_cidr,
  ]
}

run "refuses_wrong_values_4" {
  command = plan

  variables {
    endpoint_az_count     = 0             # no zone
    endpoint_az_overrides = { sts = 6 }   # more zones than there are
    vpc_cidr              = "11.0.0.0/16" # public addresses
  }

  expect_failures = [
    var.endpoint_az_count,
    var.endpoint_az_overrides,
    var.vpc_cidr,
  ]
}

run "refuses_wrong_values_5" {
  command = plan

  variables {
    interface_endpoints = ["ec2", "ecr.api", "ecr.dkr", "sts"] # no Pod Identity
    endpoint_az_count   = 1.5                                  # half a zone
  }

  expect_failures = [
    var.interface_endpoints,
    var.endpoint_az_count,
  ]
}

run "refuses_wrong_values_6" {
  command = plan

  variables {
    endpoint_az_overrides = { sts = 0 } # no zone
  }

  expect_failures = [
    var.endpoint_az_overrides,
  ]
}
