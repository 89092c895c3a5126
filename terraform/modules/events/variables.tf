variable "environment" {
  description = "Environment that this belongs to; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "alerts_topic_arn" {
  description = "ARN of the SNS topic that alarms tell."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:sns:[^:]+:[0-9]{12}:.+$", var.alerts_topic_arn))
    error_message = "alerts_topic_arn must be an SNS topic's ARN."
  }
}

variable "alerts_key_arn" {
  description = "ARN of the KMS key that the topic is encrypted with; null: it has none of ours."
  type        = string
  default     = null

  validation {
    condition     = var.alerts_key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.alerts_key_arn))
    error_message = "alerts_key_arn must be a key's ARN, or null."
  }
}

variable "model_package_groups" {
  description = "Groups whose events are sent to the operator; empty: those of every group."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.model_package_groups : can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", name))])
    error_message = "model_package_groups must be names of groups, not ARNs."
  }
}

variable "training_pipeline" {
  description = "Name of the SageMaker pipeline that trains (psm-train pipeline --name); null: mlops-<environment>-training."
  type        = string
  default     = null

  validation {
    condition     = var.training_pipeline == null ? true : can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$", var.training_pipeline))
    error_message = "training_pipeline must be a pipeline's name, not its ARN."
  }
}

variable "schedule_expression" {
  description = "When a model is trained; null: never by itself. Then leave out --schedule of psm-train pipeline, or two schedules start it."
  type        = string
  default     = "cron(0 3 ? * MON *)"

  validation {
    condition     = var.schedule_expression == null ? true : can(regex("^(cron|rate)\\(.+\\)$", var.schedule_expression))
    error_message = "schedule_expression must be cron(...) or rate(...), or null."
  }
}

variable "schedule_timezone" {
  description = "Time zone of the schedules."
  type        = string
  default     = "Asia/Singapore"

  validation {
    condition     = can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$", var.schedule_timezone))
    error_message = "schedule_timezone must be a name of the time zone database, such as Asia/Singapore."
  }
}

variable "missing_after_days" {
  description = "Days without a training run that succeeded after which the alerts topic is told."
  type        = number
  default     = 9 # a week, and two days to mend what failed

  validation {
    condition     = var.missing_after_days >= 1 && var.missing_after_days <= 60 && floor(var.missing_after_days) == var.missing_after_days
    error_message = "missing_after_days must be a whole number from 1 to 60."
  }
}

variable "etl" {
  description = "Nightly processing job that brings raw files to validated silver and gold; null: only training's own first steps do."
  type = object({
    image               = string
    role_arn            = string
    data_url            = string
    output_url          = string
    key_arn             = string
    source              = optional(string, "source-files")
    instance_type       = optional(string, "ml.m5.xlarge")
    schedule_expression = optional(string, "cron(0 1 * * ? *)")
  })
  default = null

  validation {
    condition     = var.etl == null ? true : can(regex("@sha256:[0-9a-f]{64}$|:[A-Za-z0-9._-]+$", var.etl.image))
    error_message = "etl.image must have a tag or a digest."
  }

  validation {
    condition     = var.etl == null ? true : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/[^*]+$", var.etl.role_arn))
    error_message = "etl.role_arn must be the ARN of SageMaker's execution role."
  }

  validation {
    condition     = var.etl == null ? true : alltrue([for url in [var.etl.data_url, var.etl.output_url] : can(regex("^s3://[a-z0-9.-]+/.+[^/]$", url))])
    error_message = "etl.data_url and etl.output_url must be s3://bucket/folder, without a slash at the end."
  }
}

variable "oldest_message_s" {
  description = "Age in seconds of a message beyond which the operator is taken not to read its queue."
  type        = number
  default     = 900 # the operator reads within seconds; a change of leader takes half a minute

  validation {
    condition     = var.oldest_message_s >= 60 && var.oldest_message_s <= 86400
    error_message = "oldest_message_s must be from 60 to 86400."
  }
}
