# Every value that cannot work is refused before AWS is asked. A run starts the provider, which takes a second, so each run
# has one wrong value of many variables; each of them must be refused.

mock_provider "aws" {}

override_data {
  target = data.aws_partition.current
  values = {
    partition = "aws"
  }
}

variables {
  environment                     = "dev"
  vpc_id                          = "vpc-0123456789abcdef0"
  private_subnet_ids              = ["subnet-0a", "subnet-0b"]
  load_balancer_security_group_id = "sg-0123456789abcdef0"
  admin_principal_arns            = ["arn:aws:iam::123456789012:role/platform"]
}

run "refuses_wrong_values_1" {
  command = plan

  variables {
    off_hours                     = { time_zone = "SGT", begins = "0 19 * * 1-5", ends = "0 9 * * 1-5", nodes = { api = 0 } }                # an abbreviation
    environment                   = "Dev"                                                                                                    # a capital
    private_subnet_ids            = ["subnet-0a"]                                                                                            # one subnet
    kubernetes_version            = "1.33"                                                                                                   # out of standard support
    endpoint_public_access_cidrs  = ["0.0.0.0/0"]                                                                                            # the Internet
    endpoint_private_access_cidrs = ["0.0.0.0/0"]                                                                                            # the Internet
    admin_principal_arns          = []                                                                                                       # nobody
    access_entries                = { ci = { principal_arn = "arn:aws:iam::123456789012:role/ci", kubernetes_groups = ["system:masters"] } } # a group of Kubernetes' own
    load_balancer_target_port     = 80                                                                                                       # a port of root
    hosted_zone_ids               = ["example.com"]                                                                                          # a name, not an ID
    addon_versions                = { coredns = "1.12.1" }                                                                                   # no build
    control_plane_log_types       = ["api"]                                                                                                  # nothing says who changed what
    log_retention_days            = 31                                                                                                       # CloudWatch has no such retention
  }

  expect_failures = [
    var.off_hours,
    var.environment,
    var.private_subnet_ids,
    var.kubernetes_version,
    var.endpoint_public_access_cidrs,
    var.endpoint_private_access_cidrs,
    var.admin_principal_arns,
    var.access_entries,
    var.load_balancer_target_port,
    var.hosted_zone_ids,
    var.addon_versions,
    var.control_plane_log_types,
    var.log_retention_days,
  ]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    off_hours                     = { time_zone = "Asia/Singapore", begins = "19:00", ends = "0 9 * * 1-5", nodes = { api = 0 } } # a time, not cron
    endpoint_public_access_cidrs  = ["128.0.0.0/1"]                                                                               # half of the Internet
    endpoint_private_access_cidrs = ["10.20.0.1"]                                                                                 # an address
    admin_principal_arns          = ["arn:aws:iam::123456789012:root"]                                                            # an account
    access_entries                = { ci = { principal_arn = "arn:aws:iam::123456789012:role/ci", kubernetes_groups = [] } }      # no group
    control_plane_log_types       = ["audit", "kubelet"]                                                                          # no such log
    kubernetes_version            = "1.36.3"                                                                                      # a patch
    load_balancer_target_port     = 70000                                                                                         # no port
    environment                   = "developmental1"                                                                              # it makes names too long
  }

  expect_failures = [
    var.off_hours,
    var.endpoint_public_access_cidrs,
    var.endpoint_private_access_cidrs,
    var.admin_principal_arns,
    var.access_entries,
    var.control_plane_log_types,
    var.kubernetes_version,
    var.load_balancer_target_port,
    var.environment,
  ]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    off_hours = { time_zone = "Asia/Singapore", begins = "0 19 * * 1-5", ends = "0 19 * * 1-5", nodes = { api = 0 } } # over as they begin
  }

  expect_failures = [
    var.off_hours,
  ]
}

run "refuses_wrong_values_4" {
  command = plan

  variables {
    off_hours = { time_zone = "Asia/Singapore", begins = "0 19 * * 1-5", ends = "0 9 * * 1-5", nodes = { gpu = 0 } } # a group that is not there
  }

  expect_failures = [
    var.off_hours,
  ]
}

run "refuses_wrong_values_5" {
  command = plan

  variables {
    off_hours = { time_zone = "Asia/Singapore", begins = "0 19 * * 1-5", ends = "0 9 * * 1-5", nodes = { api = 5 } } # more nodes than there may be
  }

  expect_failures = [
    var.off_hours,
  ]
}

run "refuses_wrong_values_6" {
  command = plan

  variables {
    node_groups = {
      Api = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 2 }
    } # a name with a capital
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_7" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["t3.medium", "t3a.medium", "m5.large"], min_size = 2, max_size = 4, desired_size = 2, capacity_type = "SPOT" }
    } # nothing that stays
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_8" {
  command = plan

  variables {
    node_groups = {
      batch = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 2, dedicated = true }
    } # nowhere but on dedicated nodes
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_9" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["t3.medium"], min_size = 0, max_size = 4, desired_size = 2 }
    } # no node that stays
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_10" {
  command = plan

  variables {
    node_groups = {
      api   = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 2 }
      batch = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 2, capacity_type = "CAPACITY_BLOCK" }
    } # no such capacity
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_11" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 5 }
    } # more wanted than allowed
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_12" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["m7g.large"], min_size = 2, max_size = 4, desired_size = 2 }
    } # Graviton
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_13" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["c6gn.large"], min_size = 2, max_size = 4, desired_size = 2 }
    } # Graviton with more network
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_14" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["a1.large"], min_size = 2, max_size = 4, desired_size = 2 }
    } # the first Graviton
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_15" {
  command = plan

  variables {
    node_groups = {
      api   = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 2 }
      batch = { instance_types = ["m5.large", "m5.large", "m6i.large"], min_size = 2, max_size = 4, desired_size = 2, capacity_type = "SPOT" }
    } # spot without replacements
  }

  expect_failures = [
    var.node_groups,
  ]
}

run "refuses_wrong_values_16" {
  command = plan

  variables {
    node_groups = {
      api = { instance_types = ["t3.medium"], min_size = 2, max_size = 4, desired_size = 2, disk_gib = 10 }
    } # a disk too small for the images
  }

  expect_failures = [
    var.node_groups,
  ]
}
