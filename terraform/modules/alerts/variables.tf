variable "environment" {
  description = "Environment that the alerts belong to; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "emails" {
  description = "Addresses that alarms and budgets write to; each must confirm AWS's first mail."
  type        = set(string)

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$", email))])
    error_message = "emails must be addresses, such as team@example.com."
  }

  validation {
    condition     = length(var.emails) > 0 && length(var.emails) <= 10
    error_message = "emails must have 1 to 10 addresses: nobody hears of an alarm without one, and a budget takes no more."
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

variable "budget_thresholds_percent" {
  description = "Percent of the budget at which a mail goes out: of what was spent, and of what the month is forecast to cost."
  type        = object({ actual = list(number), forecast = list(number) })
  default     = { actual = [50, 80, 100], forecast = [100] }

  validation {
    condition = alltrue([
      for percent in concat(var.budget_thresholds_percent.actual, var.budget_thresholds_percent.forecast) : percent > 0 && percent <= 1000
    ])
    error_message = "budget_thresholds_percent must be percentages above 0, such as 80."
  }

  validation {
    condition     = length(var.budget_thresholds_percent.forecast) > 0
    error_message = "budget_thresholds_percent must have a forecast: what was spent is told when it is too late."
  }

  validation {
    condition     = length(var.budget_thresholds_percent.actual) + length(var.budget_thresholds_percent.forecast) <= 10
    error_message = "budget_thresholds_percent must be 10 thresholds at most, which is what a budget takes."
  }
}

variable "budget_by_tag" {
  description = "Whether the budget counts what is tagged with this environment only. Needs the cost allocation tag Environment, which is activated by hand; before that nothing would be counted."
  type        = bool
  default     = false
}

variable "lake_bucket" {
  description = "Name of the lake's bucket, whose throughput is measured and shown."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.lake_bucket))
    error_message = "lake_bucket must be a bucket's name, not its ARN."
  }
}

variable "models_bucket" {
  description = "Name of the bucket with registered artifacts, whose size is shown."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.models_bucket))
    error_message = "models_bucket must be a bucket's name, not its ARN."
  }
}

variable "request_metrics" {
  description = "Whether S3 measures the requests of the lake's bucket; throughput cannot be shown without. Paid as custom metrics."
  type        = bool
  default     = true
}

variable "training_pipeline" {
  description = "Name of the SageMaker pipeline whose duration is shown, which psm-train pipeline makes."
  type        = string
  default     = "psm-training"

  validation {
    condition     = can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$", var.training_pipeline))
    error_message = "training_pipeline must be a SageMaker pipeline's name: letters, digits and hyphens."
  }
}

variable "cluster_name" {
  description = "EKS cluster whose Container Insights the saved queries ask."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name must be the name of an EKS cluster, not its ARN."
  }
}
