variable "environment" {
  description = "Name of the environment, part of every name: mlops-<environment>-<component>; the cluster itself is mlops-<environment>."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits, starting with a letter, such as dev."
  }
}

variable "vpc_id" {
  description = "ID of the VPC."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets of nodes, pods and the control plane's addresses, in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "private_subnet_ids must be two subnets or more, in different zones: EKS asks for two."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes of control plane and nodes, such as 1.36, which the embedded cluster of the tests runs too. Standard support lasts 14 months; past it AWS upgrades the cluster."
  type        = string
  default     = "1.36"

  validation {
    # 1.34 is the oldest in standard support as of November 2026, until 2 December 2026.
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version)) && try(tonumber(split(".", var.kubernetes_version)[1]) >= 34, false)
    error_message = "kubernetes_version must be 1.34 or newer, without a patch: older ones are out of standard support, or soon."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Addresses that may reach the API server from the Internet; none: the API server is private."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_public_access_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, false) && can(cidrhost(cidr, 0))])
    error_message = "endpoint_public_access_cidrs must be networks of /8 or smaller, such as 203.0.113.0/24: never the whole Internet."
  }
}

variable "endpoint_private_access_cidrs" {
  description = "Addresses outside the cluster that may reach the private API server, such as a VPN's or a build runner's."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_private_access_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, false) && can(cidrhost(cidr, 0))])
    error_message = "endpoint_private_access_cidrs must be networks of /8 or smaller, such as 10.20.0.0/16."
  }
}

variable "admin_principal_arns" {
  description = "IAM roles and users that administer the cluster. Written out, since Terraform has to know them when it plans."
  type        = set(string)

  validation {
    condition     = length(var.admin_principal_arns) > 0 && alltrue([for arn in var.admin_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "admin_principal_arns must be one or more ARNs of IAM roles or users: whoever creates the cluster gets no rights in it."
  }
}

variable "access_entries" {
  description = "Others that may use the Kubernetes API, by a name of their own: their ARN, and the groups that role bindings name."
  type = map(object({
    principal_arn     = string
    kubernetes_groups = set(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for entry in var.access_entries : length(entry.kubernetes_groups) > 0 && alltrue([for group in entry.kubernetes_groups : !can(regex("^(system|eks|aws|amazon|iam):", group))])])
    error_message = "access_entries must name one or more groups each, and none that begins with system:, eks:, aws:, amazon: or iam:, which EKS refuses; administrators go to admin_principal_arns."
  }
}

variable "node_groups" {
  description = "Managed node groups, by name. Their nodes have the label workload=<name>; those of a dedicated group also the taint workload=<name>:NoSchedule. desired_size counts at creation only: the Cluster Autoscaler has it afterwards."
  type = map(object({
    instance_types = list(string)
    capacity_type  = optional(string, "ON_DEMAND")
    min_size       = number
    max_size       = number
    desired_size   = number
    disk_gib       = optional(number, 20)
    dedicated      = optional(bool, false)
  }))
  default = {
    api = {
      instance_types = ["t3.medium"]
      min_size       = 2
      max_size       = 4
      desired_size   = 2
    }
    batch = {
      # Of 8 vCPUs and 32 GiB each, so that the autoscaler may take any of them for the same pods.
      instance_types = ["m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge", "m5a.2xlarge"]
      capacity_type  = "SPOT"
      min_size       = 0
      max_size       = 2
      desired_size   = 0
      disk_gib       = 50
      dedicated      = true
    }
  }

  validation {
    condition     = alltrue([for name in keys(var.node_groups) : can(regex("^[a-z][a-z0-9-]{0,19}$", name))])
    error_message = "node_groups must have names of 1 to 20 lower-case letters, digits and hyphens."
  }

  validation {
    condition     = anytrue([for group in var.node_groups : !group.dedicated && group.capacity_type == "ON_DEMAND" && group.min_size >= 1])
    error_message = "node_groups must have one that is on-demand, not dedicated, and has a node or more: add-ons and the operator need a place that stays."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : contains(["ON_DEMAND", "SPOT"], group.capacity_type)])
    error_message = "node_groups must have the capacity_type ON_DEMAND or SPOT."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.max_size >= 1 && group.min_size >= 0 && group.min_size <= group.desired_size && group.desired_size <= group.max_size])
    error_message = "node_groups must have sizes with 0 <= min_size <= desired_size <= max_size and a max_size of 1 or more."
  }

  validation {
    # Graviton types have a g after the generation: m7g, c6gn, t4g, im4gn; and a1.
    condition     = alltrue(flatten([for group in var.node_groups : [for type in group.instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type)) && !can(regex("^(a1|[a-z]+[0-9]+g[a-z]*)\\.", type))]]))
    error_message = "node_groups must have x86-64 instance types, such as t3.medium: the predictor's kernel and the images are built for x86-64 only."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : length(distinct(group.instance_types)) >= (group.capacity_type == "SPOT" ? 3 : 1)])
    error_message = "node_groups must have an instance type, and three or more if they are SPOT, so that one that is taken away has a replacement."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.disk_gib >= 20 && group.disk_gib <= 1000])
    error_message = "node_groups must have a disk_gib from 20, which the images of the add-ons need, to 1000."
  }
}

variable "off_hours" {
  description = "When node groups shrink, on the clock of a time zone, by five-field cron expressions, and to how many nodes. Groups that are not named stay. Null: never."
  type = object({
    time_zone = string
    begins    = string
    ends      = string
    nodes     = map(number)
  })
  default = null

  validation {
    condition     = var.off_hours == null ? true : can(regex("^(UTC|[A-Z][A-Za-z_]+/[A-Za-z_+-]+(/[A-Za-z_]+)?)$", var.off_hours.time_zone))
    error_message = "off_hours must have a time_zone by its IANA name, such as Asia/Singapore: an abbreviation does not follow summer time."
  }

  validation {
    condition     = var.off_hours == null ? true : alltrue([for cron in [var.off_hours.begins, var.off_hours.ends] : can(regex("^[0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+ [A-Za-z0-9*,/-]+ [A-Za-z0-9*,/-]+$", cron))])
    error_message = "off_hours must begin and end by five-field cron expressions, such as \"0 20 * * 1-5\"."
  }

  validation {
    condition     = var.off_hours == null ? true : var.off_hours.begins != var.off_hours.ends
    error_message = "off_hours must end at another time than they begin."
  }

  validation {
    condition     = var.off_hours == null ? true : length(var.off_hours.nodes) > 0 && alltrue([for name, nodes in var.off_hours.nodes : try(nodes >= 0 && nodes <= var.node_groups[name].max_size && floor(nodes) == nodes, false)])
    error_message = "off_hours must give whole numbers of nodes, from 0 to max_size, to groups of node_groups."
  }
}

variable "load_balancer_security_group_id" {
  description = "Security group of the public load balancers, which may call the pods; the network module makes it."
  type        = string
}

variable "load_balancer_target_port" {
  description = "Port of the pods that load balancers call."
  type        = number
  default     = 8080

  validation {
    condition     = var.load_balancer_target_port >= 1024 && var.load_balancer_target_port <= 65535
    error_message = "load_balancer_target_port must be from 1024 to 65535: the pods do not run as root."
  }
}

variable "hosted_zone_ids" {
  description = "Route 53 zones whose records ExternalDNS keeps; none: ExternalDNS is not installed. It needs the network's route53_endpoint."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for zone in var.hosted_zone_ids : can(regex("^Z[A-Z0-9]{1,31}$", zone))])
    error_message = "hosted_zone_ids must be IDs of hosted zones, such as Z0123456789ABCDEFGHIJ."
  }
}

variable "container_insights" {
  description = "Whether the CloudWatch add-on collects logs and metrics of containers. Paid by observation and by what is logged."
  type        = bool
  default     = true
}

variable "addon_versions" {
  description = "Versions of add-ons that must not be AWS's default for the Kubernetes version, by the add-on's name."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "addon_versions must be versions such as v1.20.0-eksbuild.1."
  }
}

variable "control_plane_log_types" {
  description = "What the control plane logs."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  validation {
    condition     = length(setsubtract(var.control_plane_log_types, ["api", "audit", "authenticator", "controllerManager", "scheduler"])) == 0
    error_message = "control_plane_log_types must be of api, audit, authenticator, controllerManager and scheduler."
  }

  validation {
    condition     = contains(var.control_plane_log_types, "audit")
    error_message = "control_plane_log_types must have audit: nothing else says who changed what in the cluster."
  }
}

variable "log_retention_days" {
  description = "Days that the logs of control plane and containers are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch Logs has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or more."
  }
}
