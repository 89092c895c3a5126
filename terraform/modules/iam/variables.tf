variable "environment" {
  description = "Environment that the roles belong to; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits that begin with a letter, such as dev."
  }
}

variable "cluster_name" {
  description = "EKS cluster whose pods take the roles."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name must be the name of an EKS cluster, not its ARN."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's IAM OIDC provider, for roles of service accounts (IRSA)."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be arn:aws:iam::<account>:oidc-provider/<issuer without https://>."
  }
}

variable "oidc_issuer" {
  description = "URL of the cluster's OIDC issuer, with or without https://."
  type        = string

  validation {
    condition     = can(regex("^(https://)?[a-z0-9.-]+/[A-Za-z0-9/_.-]+$", var.oidc_issuer))
    error_message = "oidc_issuer must be the issuer's URL, such as https://oidc.eks.<region>.amazonaws.com/id/<id>."
  }
}

variable "operator_service_account" {
  description = "Service account of charts/psm-operator."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "psm-system", name = "psm-operator" }

  validation {
    condition     = alltrue([for part in values(var.operator_service_account) : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", part))])
    error_message = "operator_service_account must have a namespace and a name without wildcards: the role writes alarms."
  }
}

variable "training_service_account" {
  description = "Service account of charts/psm-training."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "mlops", name = "psm-training" }

  validation {
    condition     = alltrue([for part in values(var.training_service_account) : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", part))])
    error_message = "training_service_account must have a namespace and a name without wildcards: the role registers models."
  }
}

variable "etl_service_account" {
  description = "Service account of jobs that fill the lake."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "mlops", name = "psm-etl" }

  validation {
    condition     = alltrue([for part in values(var.etl_service_account) : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", part))])
    error_message = "etl_service_account must have a namespace and a name without wildcards: the role writes the lake."
  }
}

variable "model_namespaces" {
  description = "Namespaces whose models may be served by the predictor's role; the operator makes a service account per model in them."
  type        = list(string)
  default     = ["mlops"]

  validation {
    condition     = length(var.model_namespaces) > 0 && alltrue([for name in var.model_namespaces : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", name))])
    error_message = "model_namespaces must name at least one namespace, without wildcards."
  }
}

variable "lake_bucket_arn" {
  description = "ARN of the bucket with raw files, silver, gold and what jobs leave."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:s3:::[a-z0-9.-]+$", var.lake_bucket_arn))
    error_message = "lake_bucket_arn must be a bucket's ARN, such as arn:aws:s3:::mlops-dev-lake-111111111111."
  }
}

variable "models_bucket_arn" {
  description = "ARN of the bucket with registered artifacts."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:s3:::[a-z0-9.-]+$", var.models_bucket_arn))
    error_message = "models_bucket_arn must be a bucket's ARN, such as arn:aws:s3:::mlops-dev-models-111111111111."
  }
}

variable "lake_key_arn" {
  description = "ARN of the KMS key that both buckets are encrypted with."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.lake_key_arn))
    error_message = "lake_key_arn must be a key's ARN; an alias is no resource of a policy."
  }
}

variable "model_package_groups" {
  description = "SageMaker model package groups that are read and written; psm-train register makes them."
  type        = list(string)
  default     = ["price-sensitivity"]

  validation {
    condition     = length(var.model_package_groups) > 0 && alltrue([for name in var.model_package_groups : can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", name))])
    error_message = "model_package_groups must name at least one group: letters, digits and hyphens, 63 at most, no wildcard."
  }
}

variable "model_package_account_ids" {
  description = "Other accounts with model package groups; the operator assumes mlops-<environment>-registry-reader there."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.model_package_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "model_package_account_ids must be account ids of 12 digits, as strings."
  }
}

variable "events_queue_arn" {
  description = "ARN of the queue with registry events."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:sqs:[^:]+:[0-9]{12}:.+$", var.events_queue_arn))
    error_message = "events_queue_arn must be a queue's ARN, not its URL."
  }
}

variable "alerts_topic_arn" {
  description = "ARN of the SNS topic that alarms of training tell."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:sns:[^:]+:[0-9]{12}:.+$", var.alerts_topic_arn))
    error_message = "alerts_topic_arn must be an SNS topic's ARN."
  }
}

variable "repository_arns" {
  description = "ECR repositories by name: mlops/api-price-sensitivity, mlops/train-price-sensitivity, mlops/psm-operator."
  type        = map(string)

  validation {
    condition     = length(setsubtract(["mlops/api-price-sensitivity", "mlops/train-price-sensitivity"], keys(var.repository_arns))) == 0
    error_message = "repository_arns must have mlops/api-price-sensitivity and mlops/train-price-sensitivity: jobs pull both."
  }
}

variable "github_repository" {
  description = "GitHub repository whose workflows take the github roles, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name, without wildcards: everybody else's workflows have the same issuer."
  }
}

variable "github_branch" {
  description = "Branch whose workflows may plan, beside pull requests."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.github_branch))
    error_message = "github_branch must be a branch's name, without wildcards."
  }
}

variable "github_oidc_provider_arn" {
  description = "ARN of the account's OIDC provider of GitHub, of which there can be only one; null: this module makes it."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null ? true : endswith(var.github_oidc_provider_arn, ":oidc-provider/token.actions.githubusercontent.com")
    error_message = "github_oidc_provider_arn must end with :oidc-provider/token.actions.githubusercontent.com, or be null."
  }
}

variable "state_bucket_arn" {
  description = "ARN of the bucket with Terraform's state."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:s3:::[a-z0-9.-]+$", var.state_bucket_arn))
    error_message = "state_bucket_arn must be a bucket's ARN."
  }
}

variable "state_key_arn" {
  description = "ARN of the KMS key of that bucket; null: it is encrypted with S3's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.state_key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.state_key_arn))
    error_message = "state_key_arn must be a key's ARN, or null."
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
