variable "environment" {
  description = "Name of the environment, which is that of its directory."
  type        = string

  validation {
    condition     = var.environment == basename(abspath(path.root))
    error_message = "environment must be the name of the directory that Terraform runs in, so that no environment is applied to another's state."
  }
}

variable "account_id" {
  description = "Account of the environment; Terraform refuses to run in another."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits, as a string."
  }
}

variable "region" {
  description = "Region of the environment."
  type        = string
  default     = "ap-southeast-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region's name, such as ap-southeast-1."
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
