variable "account_id" {
  description = "Account of the environment; Terraform refuses to run in another."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits, as a string."
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

variable "admin_principal_arns" {
  description = "Roles and users that administer the cluster."
  type        = set(string)

  validation {
    condition     = alltrue([for arn in var.admin_principal_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "admin_principal_arns must be ARNs of roles or users, such as arn:aws:iam::123456789012:role/platform-admin."
  }
}

variable "github_repository" {
  description = "GitHub repository whose workflows take the github roles, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name."
  }
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
