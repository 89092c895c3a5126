variable "kept_images" {
  description = "Images that each repository keeps; a cluster may run none older than these."
  type        = number
  default     = 30

  validation {
    condition     = var.kept_images >= 5 && var.kept_images <= 500 && floor(var.kept_images) == var.kept_images
    error_message = "kept_images must be a whole number from 5 to 500: a rollback needs some, and each costs money every month."
  }
}

variable "untagged_days" {
  description = "Days after which an image without a tag goes: what a failed push left."
  type        = number
  default     = 7

  validation {
    condition     = var.untagged_days >= 1 && var.untagged_days <= 90 && floor(var.untagged_days) == var.untagged_days
    error_message = "untagged_days must be a whole number from 1 to 90."
  }
}

variable "key_arn" {
  description = "ARN of a KMS key for the images; null: ECR's own AES-256, which costs nothing."
  type        = string
  default     = null

  validation {
    condition     = var.key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.key_arn))
    error_message = "key_arn must be a key's ARN, or null."
  }
}

variable "reader_account_ids" {
  description = "Other accounts whose clusters pull from here, such as prod's from dev's registry."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.reader_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "reader_account_ids must be account ids of 12 digits, as strings."
  }
}
