variable "environment" {
  description = "Environment that this belongs to; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "names" {
  description = "Secrets by name, with what each is for. Values are written by a person, never by Terraform."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, what in var.names : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name)) && length(what) > 0])
    error_message = "names must be lower-case letters, digits and hyphens, 63 at most, each with what it is for."
  }
}

variable "reader_arns" {
  description = "Roles that may read the values, by name of the secret; a secret without readers is read by the account's policies."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = alltrue([for arn in flatten(values(var.reader_arns)) : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "reader_arns must be ARNs of roles, without wildcards."
  }

  validation {
    condition     = length(setsubtract(keys(var.reader_arns), keys(var.names))) == 0
    error_message = "reader_arns must name secrets that names has."
  }
}

variable "recovery_days" {
  description = "Days in which a deleted secret can be brought back; 0 deletes at once, for what can be thrown away."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "recovery_days must be 0 or from 7 to 30."
  }
}
