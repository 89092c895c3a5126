variable "environment" {
  description = "Environment that the data belong to; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "raw_tiering_days" {
  description = "Days after which a raw file goes to Intelligent-Tiering, which prices it by how often it is read."
  type        = number
  default     = 30

  validation {
    condition     = var.raw_tiering_days >= 0 && var.raw_tiering_days <= 365
    error_message = "raw_tiering_days must be from 0 to 365."
  }
}

variable "raw_expiry_days" {
  description = "Days after which a raw file is deleted; null: never, since silver can be made again only from raw."
  type        = number
  default     = null

  validation {
    condition     = var.raw_expiry_days == null ? true : var.raw_expiry_days > var.raw_tiering_days + 30
    error_message = "raw_expiry_days must be more than 30 days beyond raw_tiering_days, or null to keep raw files for ever."
  }
}

variable "noncurrent_days" {
  description = "Days that a version is kept after another replaced it, or after its deletion."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 7 && var.noncurrent_days <= 3650
    error_message = "noncurrent_days must be from 7 to 3650: below a week nobody notices a mistake in time."
  }
}

variable "job_output_days" {
  description = "Days that what jobs left between steps is kept (training/)."
  type        = number
  default     = 90

  validation {
    condition     = var.job_output_days >= 14 && var.job_output_days <= 3650
    error_message = "job_output_days must be from 14 to 3650: a run is looked into a week or two later."
  }
}

variable "log_glacier_days" {
  description = "Days after which logs go to Glacier."
  type        = number
  default     = 90

  validation {
    condition     = var.log_glacier_days >= 30
    error_message = "log_glacier_days must be 30 or more: colder is dearer for what is still read."
  }
}

variable "log_expiry_days" {
  description = "Days after which logs are deleted."
  type        = number
  default     = 400

  validation {
    condition     = var.log_expiry_days >= var.log_glacier_days + 90
    error_message = "log_expiry_days must be at least 90 days beyond log_glacier_days: Glacier bills 90 days anyway."
  }
}

variable "athena_bytes_limit" {
  description = "Bytes that one query of Athena may scan before it is stopped."
  type        = number
  default     = 10737418240 # 10 GiB: ten times the real transactions, five cents

  validation {
    condition     = var.athena_bytes_limit >= 10485760
    error_message = "athena_bytes_limit must be 10 MiB (10485760) or more, which is Athena's own least."
  }
}

variable "regions" {
  description = "Values of STORE_REGION, by which partitions are found without a crawler."
  type        = list(string)
  default     = ["E01", "E02", "E03", "N01", "N02", "N03", "S01", "S02", "S03", "W01", "W02", "W03"]

  validation {
    condition     = length(var.regions) > 0 && alltrue([for name in var.regions : can(regex("^[A-Za-z0-9_-]{1,64}$", name))])
    error_message = "regions must name at least one region: letters, digits, hyphens and underscores, 64 at most."
  }
}

variable "weeks" {
  description = "First and last SHOP_WEEK (yyyyww) that queries look for."
  type        = object({ first = number, last = number })
  default     = { first = 200601, last = 203053 }

  validation {
    condition     = var.weeks.first >= 190001 && var.weeks.first <= var.weeks.last && var.weeks.last <= 299953
    error_message = "weeks must be yyyyww from 190001 to 299953, the first not after the last."
  }
}

variable "key_reader_arns" {
  description = "Roles of other accounts that decrypt with the lake's key, such as readers of the model registry."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.key_reader_arns : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "key_reader_arns must be ARNs of roles, without wildcards."
  }
}

variable "deletable" {
  description = "Whether buckets may be destroyed with what is in them: true for what can be thrown away, never for prod."
  type        = bool
  default     = false
}
