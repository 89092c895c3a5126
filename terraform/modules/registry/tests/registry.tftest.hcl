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

run "repositories" {
  command = plan

  assert {
    condition = length(setsubtract(
      ["mlops/api-price-sensitivity", "mlops/train-price-sensitivity", "mlops/psm-operator"], keys(aws_ecr_repository.this)
    )) == 0
    error_message = "the three images have a repository"
  }
  assert {
    condition     = alltrue([for made in aws_ecr_repository.this : made.image_tag_mutability == "IMMUTABLE"])
    error_message = "a tag never changes"
  }
  assert {
    condition     = alltrue([for made in aws_ecr_repository.this : made.image_scanning_configuration[0].scan_on_push])
    error_message = "every push is scanned"
  }
  assert {
    condition     = alltrue([for made in aws_ecr_repository.this : made.encryption_configuration[0].encryption_type == "AES256"])
    error_message = "without a key, ECR's own encrypts"
  }
  assert {
    condition     = alltrue([for made in aws_ecr_lifecycle_policy.this : jsondecode(made.policy).rules[1].selection.countNumber == 30])
    error_message = "thirty images are kept"
  }
  assert {
    condition     = output.repository_urls["mlops/psm-operator"] == "111111111111.dkr.ecr.ap-southeast-1.amazonaws.com/mlops/psm-operator"
    error_message = "the address is known before the repository is there"
  }
  assert {
    condition     = output.repository_arns["mlops/psm-operator"] == "arn:aws:ecr:ap-southeast-1:111111111111:repository/mlops/psm-operator"
    error_message = "the ARN is known before the repository is there"
  }
  assert {
    condition     = length(aws_ecr_repository_policy.readers) == 0
    error_message = "nobody else reads unless told"
  }
}

run "readers_and_a_key" {
  command = plan
  variables {
    kept_images        = 50
    key_arn            = "arn:aws:kms:ap-southeast-1:111111111111:key/00000000-0000-0000-0000-000000000001"
    reader_account_ids = ["222222222222"]
  }
  assert {
    condition     = alltrue([for made in aws_ecr_repository.this : made.encryption_configuration[0].encryption_type == "KMS"])
    error_message = "a key that is given encrypts"
  }
  assert {
    condition = alltrue([
      for made in aws_ecr_repository_policy.readers :
      jsondecode(made.policy).Statement[0].Principal.AWS == ["arn:aws:iam::222222222222:root"] && !strcontains(made.policy, "Put")
    ])
    error_message = "the other account reads and does not write"
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    kept_images        = 1
    untagged_days      = 0
    key_arn            = "alias/images"
    reader_account_ids = ["*"]
  }
  expect_failures = [var.kept_images, var.untagged_days, var.key_arn, var.reader_account_ids]
}
