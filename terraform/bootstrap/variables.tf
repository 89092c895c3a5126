variable "environment" {
  description = "Environment whose state the bucket keeps; part of its name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "region" {
  description = "Region of the bucket, which is that of the environment."
  type        = string
  default     = "ap-southeast-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region's name, such as ap-southeast-1."
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

variable "noncurrent_days" {
  description = "Days that an older state is kept."
  type        = number
  default     = 90

  validation {
    condition     = var.noncurrent_days >= 7 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days must be a whole number from 7: an older state is the way back from a broken one."
  }
}
