# Names, who may take a role, and every validation. What each role may do is asked in tests/component/terraform/test_policies.py.

provider "aws" {
  region                      = "ap-southeast-1"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "111111111111" }
}

variables {
  environment               = "dev"
  cluster_name              = "mlops-dev"
  oidc_provider_arn         = "arn:aws:iam::111111111111:oidc-provider/oidc.eks.ap-southeast-1.amazonaws.com/id/ABCDEF"
  oidc_issuer               = "https://oidc.eks.ap-southeast-1.amazonaws.com/id/ABCDEF"
  lake_bucket_arn           = "arn:aws:s3:::mlops-dev-lake-111111111111"
  models_bucket_arn         = "arn:aws:s3:::mlops-dev-models-111111111111"
  lake_key_arn              = "arn:aws:kms:ap-southeast-1:111111111111:key/00000000-0000-0000-0000-000000000001"
  model_package_groups      = ["price-sensitivity", "Weekly-UK"]
  model_package_account_ids = ["222222222222"]
  events_queue_arn          = "arn:aws:sqs:ap-southeast-1:111111111111:mlops-dev-registry-events"
  alerts_topic_arn          = "arn:aws:sns:ap-southeast-1:111111111111:mlops-dev-alerts"
  repository_arns = {
    "mlops/api-price-sensitivity"   = "arn:aws:ecr:ap-southeast-1:111111111111:repository/mlops/api-price-sensitivity"
    "mlops/train-price-sensitivity" = "arn:aws:ecr:ap-southeast-1:111111111111:repository/mlops/train-price-sensitivity"
    "mlops/psm-operator"            = "arn:aws:ecr:ap-southeast-1:111111111111:repository/mlops/psm-operator"
  }
  github_repository = "example/psm-operator"
  github_ids        = { owner = "1234", repository = "5678" }
  image_account_ids = ["333333333333"]
  state_bucket_arn  = "arn:aws:s3:::mlops-terraform-state-111111111111"
  state_key_arn     = "arn:aws:kms:ap-southeast-1:111111111111:key/00000000-0000-0000-0000-000000000002"
}

run "roles" {
  command = plan

  assert {
    condition     = alltrue([for key, role in aws_iam_role.this : role.name == "mlops-dev-${replace(key, "_", "-")}"])
    error_message = "every role is named mlops-<environment>-<role>"
  }
  assert {
    condition     = length(aws_iam_role.this) == 9 && length(aws_iam_role_policy.this) == 9
    error_message = "nine roles, one policy each"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : role.tags["Component"] == "iam"])
    error_message = "every role says its component"
  }
  assert {
    condition = { for key, made in aws_eks_pod_identity_association.this : key => "${made.namespace}/${made.service_account}" } == {
      operator = "psm-system/psm-operator"
      training = "mlops/psm-training"
      etl      = "mlops/psm-etl"
    }
    error_message = "the service accounts of the charts, and no other, have an association"
  }
  assert {
    # of all inline policies of a role together, without white space
    condition     = alltrue([for made in aws_iam_role_policy.this : length(made.policy) <= 10240])
    error_message = "IAM takes 10,240 characters of inline policies"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : length(role.assume_role_policy) <= 2048])
    error_message = "IAM takes 2,048 characters of a trust policy"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 1
    error_message = "without a provider given, the module makes GitHub's"
  }
}

run "one_provider_of_github_per_account" {
  command = plan
  variables {
    github_oidc_provider_arn = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "a provider that is given is not made again"
  }
}

run "without_a_key_of_the_state" {
  command = plan
  variables {
    state_key_arn = null
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.this["github_plan"].policy, "kms:Decrypt")
    error_message = "nothing is decrypted where S3's own keys encrypt"
  }
}

# one run, since each costs a start of the provider; every validation must fail by itself
run "wrong_values_are_refused" {
  command = plan
  variables {
    environment               = "Dev_1"
    cluster_name              = "arn:aws:eks:ap-southeast-1:111111111111:cluster/mlops-dev"
    oidc_provider_arn         = "oidc.eks.ap-southeast-1.amazonaws.com/id/ABCDEF"
    oidc_issuer               = "*"
    operator_service_account  = { namespace = "psm-system", name = "*" }
    training_service_account  = { namespace = "*", name = "psm-training" }
    etl_service_account       = { namespace = "mlops", name = "psm-*" }
    model_namespaces          = ["*"]
    lake_bucket_arn           = "mlops-dev-lake"
    models_bucket_arn         = "arn:aws:s3:::*"
    lake_key_arn              = "alias/mlops-dev-lake"
    state_bucket_arn          = "state"
    state_key_arn             = "alias/state"
    model_package_groups      = ["price-*"]
    model_package_account_ids = ["2222"]
    events_queue_arn          = "https://sqs.ap-southeast-1.amazonaws.com/111111111111/registry-events"
    alerts_topic_arn          = "*"
    repository_arns           = {}
    github_repository         = "example/*"
    github_branch             = "*"
    github_ids                = { owner = "example", repository = "5678" }
    image_account_ids         = ["3333"]
    github_oidc_provider_arn  = "arn:aws:iam::111111111111:oidc-provider/example.com"
  }
  expect_failures = [
    var.environment,
    var.cluster_name,
    var.oidc_provider_arn,
    var.oidc_issuer,
    var.operator_service_account,
    var.training_service_account,
    var.etl_service_account,
    var.model_namespaces,
    var.lake_bucket_arn,
    var.models_bucket_arn,
    var.lake_key_arn,
    var.state_bucket_arn,
    var.state_key_arn,
    var.model_package_groups,
    var.model_package_account_ids,
    var.events_queue_arn,
    var.alerts_topic_arn,
    var.repository_arns,
    var.github_repository,
    var.github_branch,
    var.github_ids,
    var.image_account_ids,
    var.github_oidc_provider_arn,
  ]
}
