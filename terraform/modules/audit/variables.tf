variable "environment" {
  description = "Environment that this belongs to; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "logs_bucket" {
  description = "Bucket that the trail is written to; its policy (module lake) lets this environment's trail write below cloudtrail/."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.logs_bucket))
    error_message = "logs_bucket must be a bucket's name, not its ARN."
  }
}

variable "models_bucket_arn" {
  description = "ARN of the bucket whose every read and write is recorded."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:s3:::[a-z0-9.-]+$", var.models_bucket_arn))
    error_message = "models_bucket_arn must be a bucket's ARN."
  }
}

variable "lake_bucket_arn" {
  description = "ARN of the bucket of which deletions and writes of raw files are recorded; reads are too many."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:s3:::[a-z0-9.-]+$", var.lake_bucket_arn))
    error_message = "lake_bucket_arn must be a bucket's ARN."
  }
}
