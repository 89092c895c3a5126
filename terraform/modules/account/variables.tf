variable "environment" {
  description = "Name of the environment; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "alert_emails" {
  description = "Addresses that alarms and the budget write to; each must confirm AWS's first mail."
  type        = set(string)

  validation {
    condition     = length(var.alert_emails) > 0
    error_message = "alert_emails must have an address: nobody hears of an alarm without one."
  }
}

variable "monthly_budget_usd" {
  description = "US dollars that a month may cost."
  type        = number

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be more than 0."
  }
}

variable "budget_by_tag" {
  description = "Whether the budget counts this environment's tag only; needs the cost allocation tag Environment."
  type        = bool
  default     = false
}

variable "github_repository" {
  description = "GitHub repository whose workflows take the github roles, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name."
  }
}

variable "github_oidc_provider_arn" {
  description = "ARN of GitHub's OIDC provider, if the account has it already, of which there can be only one; null: it is made here."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null ? true : endswith(var.github_oidc_provider_arn, ":oidc-provider/token.actions.githubusercontent.com")
    error_message = "github_oidc_provider_arn must end with :oidc-provider/token.actions.githubusercontent.com, or be null."
  }
}

variable "admin_principal_arns" {
  description = "Roles and users that administer the cluster."
  type        = set(string)

  validation {
    condition     = alltrue([for arn in var.admin_principal_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "admin_principal_arns must be ARNs of roles or users, such as arn:aws:iam::123456789012:role/platform-admin."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Addresses that reach the cluster's API from outside the VPC; none: it is private."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_public_access_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "endpoint_public_access_cidrs must be networks such as 203.0.113.0/24, and never everybody."
  }
}

variable "node_groups" {
  description = "Managed node groups, by name: api serves, batch trains on spot."
  type = map(object({
    instance_types = list(string)
    capacity_type  = optional(string, "ON_DEMAND")
    min_size       = number
    max_size       = number
    desired_size   = number
    disk_gib       = optional(number, 20)
    dedicated      = optional(bool, false)
  }))

  validation {
    condition     = contains(keys(var.node_groups), "api")
    error_message = "node_groups must have api: nothing serves without it."
  }
}

variable "off_hours" {
  description = "When node groups shrink, by cron expressions on the clock of a time zone, and to how many nodes; null: never."
  type = object({
    time_zone = string
    begins    = string
    ends      = string
    nodes     = map(number)
  })
  default = null

  validation {
    condition     = var.off_hours == null ? true : length(setsubtract(keys(var.off_hours.nodes), keys(var.node_groups))) == 0
    error_message = "off_hours.nodes must name groups of node_groups."
  }
}

variable "container_insights" {
  description = "Whether logs and metrics of containers are collected; paid by observation and by what is logged."
  type        = bool
  default     = true
}

variable "kubernetes_version" {
  description = "Kubernetes of control plane and nodes."
  type        = string
  default     = "1.36"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version, such as 1.36."
  }
}

variable "endpoint_private_access_cidrs" {
  description = "Addresses outside the cluster that reach the private API, such as a VPN's or a build runner's."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_private_access_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "endpoint_private_access_cidrs must be networks such as 172.16.0.0/16, and never everybody."
  }
}

variable "hosted_zone_ids" {
  description = "Route 53 zones whose records ExternalDNS keeps; none: ExternalDNS is not installed."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.hosted_zone_ids : can(regex("^Z[A-Z0-9]+$", id))])
    error_message = "hosted_zone_ids must be ids of hosted zones, such as Z0123456789ABCDEFGHIJ."
  }
}

variable "endpoint_az_overrides" {
  description = "Number of zones of single endpoints, by service, where it is not endpoint_az_count."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for zones in values(var.endpoint_az_overrides) : contains([1, 2, 3], zones)])
    error_message = "endpoint_az_overrides must give 1, 2 or 3 zones."
  }
}

variable "log_retention_days" {
  description = "Days that logs of the network, the control plane and containers are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.log_retention_days)
    error_message = "log_retention_days must be 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400, which CloudWatch Logs has."
  }
}

variable "flow_log_traffic" {
  description = "Traffic that flow logs record: ALL, ACCEPT or REJECT."
  type        = string
  default     = "ALL"

  validation {
    condition     = contains(["ALL", "ACCEPT", "REJECT"], var.flow_log_traffic)
    error_message = "flow_log_traffic must be ALL, ACCEPT or REJECT."
  }
}

variable "load_balancer_ingress_cidrs" {
  description = "Addresses that may call the public load balancer on port 443."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.load_balancer_ingress_cidrs) > 0 && alltrue([for cidr in var.load_balancer_ingress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "load_balancer_ingress_cidrs must be one or more networks, such as 203.0.113.0/24."
  }
}

variable "readable_bucket_arns" {
  description = "Buckets of other accounts that pods read, such as where another account keeps its models."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.readable_bucket_arns : can(regex("^arn:[^:]+:s3:::[a-z0-9.-]+$", arn))])
    error_message = "readable_bucket_arns must be ARNs of whole buckets, such as arn:aws:s3:::their-models."
  }
}

variable "endpoint_az_count" {
  description = "Number of zones in which each interface endpoint has an address; each one is paid by the hour."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 3], var.endpoint_az_count)
    error_message = "endpoint_az_count must be 1, 2 or 3."
  }
}

variable "model_package_groups" {
  description = "SageMaker model package groups that are read and written; psm-train register makes them."
  type        = list(string)
  default     = ["price-sensitivity"]

  validation {
    condition     = length(var.model_package_groups) > 0
    error_message = "model_package_groups must name at least one group."
  }
}

variable "model_package_account_ids" {
  description = "Other accounts with model package groups that the operator reads."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.model_package_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "model_package_account_ids must be account ids of 12 digits, as strings."
  }
}

variable "deletable" {
  description = "Whether buckets may be destroyed with what is in them; never in prod."
  type        = bool
  default     = false

  validation {
    condition     = !(var.deletable && var.environment == "prod")
    error_message = "deletable must be false in prod: its buckets are emptied by hand or by make teardown."
  }
}

variable "training_schedule" {
  description = "When a model is trained, as EventBridge Scheduler writes it; null: never by itself."
  type        = string
  default     = null

  validation {
    condition     = var.training_schedule == null ? true : can(regex("^(cron|rate)\\(.+\\)$", var.training_schedule))
    error_message = "training_schedule must be cron(…) or rate(…), such as cron(0 3 ? * MON *), or null."
  }
}

variable "etl_image" {
  description = "Training image that brings raw files to silver and gold each night; null: no nightly job, as before the first image is pushed."
  type        = string
  default     = null

  validation {
    condition     = var.etl_image == null ? true : can(regex("@sha256:[0-9a-f]{64}$|:[A-Za-z0-9_][A-Za-z0-9._-]*$", var.etl_image))
    error_message = "etl_image must be an image with its tag or digest."
  }
}

variable "request_metrics" {
  description = "Whether S3 measures the requests of the lake, which the shared dashboard shows; paid as custom metrics."
  type        = bool
  default     = true
}

variable "secrets" {
  description = "Secrets by name, with what each is for. Values are written by a person, never by Terraform."
  type        = map(string)
  default     = {}
}

variable "github_ids" {
  description = "Numeric ids of the repository and of its owner (gh api repos/<owner>/<name>), which tokens of repositories made, renamed or transferred since mid-2026 carry; null: names alone."
  type        = object({ owner = string, repository = string })
  default     = null

  validation {
    condition     = var.github_ids == null ? true : alltrue([for id in values(var.github_ids) : can(regex("^[1-9][0-9]*$", id))])
    error_message = "github_ids must be numbers, as strings: { owner = \"1234\", repository = \"5678\" }."
  }
}

variable "image_account_ids" {
  description = "Other accounts whose images jobs of SageMaker run, such as prod's in dev; their registries must let this account pull."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.image_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "image_account_ids must be account ids of 12 digits, as strings."
  }
}

variable "image_reader_account_ids" {
  description = "Other accounts whose clusters and jobs pull images and charts from this one, such as dev's from prod."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.image_reader_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "image_reader_account_ids must be account ids of 12 digits, as strings."
  }
}
