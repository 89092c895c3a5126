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

# the key's ARN is known only after apply; fixed here so that policies can be read
override_resource {
  target          = aws_kms_key.lake
  override_during = plan
  values = {
    arn    = "arn:aws:kms:ap-southeast-1:111111111111:key/00000000-0000-0000-0000-000000000001"
    key_id = "00000000-0000-0000-0000-000000000001"
  }
}

variables {
  environment = "dev"
}

run "buckets" {
  command = plan

  assert {
    condition = { for key, made in aws_s3_bucket.this : key => made.bucket } == {
      lake   = "mlops-dev-lake-111111111111"
      models = "mlops-dev-models-111111111111"
      logs   = "mlops-dev-logs-111111111111"
    }
    error_message = "three buckets, named after environment and account"
  }
  assert {
    condition     = output.lake_bucket_arn == "arn:aws:s3:::mlops-dev-lake-111111111111"
    error_message = "ARNs are known before the buckets are there"
  }
  assert {
    condition     = alltrue([for made in aws_s3_bucket.this : made.force_destroy == false])
    error_message = "no bucket is destroyed with what is in it"
  }
  assert {
    condition     = alltrue([for made in aws_s3_bucket_versioning.this : made.versioning_configuration[0].status == "Enabled"])
    error_message = "every bucket keeps versions"
  }
  assert {
    condition = alltrue([
      for made in aws_s3_bucket_public_access_block.this :
      made.block_public_acls && made.block_public_policy && made.ignore_public_acls && made.restrict_public_buckets
    ])
    error_message = "nothing is ever public"
  }
  assert {
    condition     = alltrue([for made in aws_s3_bucket_ownership_controls.this : made.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "policies alone decide, not ACLs"
  }
  assert {
    condition = {
      for key, made in aws_s3_bucket_server_side_encryption_configuration.this :
      key => one(one(made.rule).apply_server_side_encryption_by_default).sse_algorithm
    } == { lake = "aws:kms", models = "aws:kms", logs = "AES256" }
    error_message = "data have a key of ours; access logs come only to S3's own"
  }
  assert {
    condition     = sort(keys(aws_s3_bucket_logging.this)) == tolist(["lake", "models"])
    error_message = "who reads data is logged"
  }
  assert {
    condition     = aws_kms_key.lake.enable_key_rotation && aws_kms_key.lake.deletion_window_in_days == 30
    error_message = "the key rotates, and its deletion can be taken back for thirty days"
  }
}

run "lifecycle" {
  command = plan

  assert {
    condition = alltrue([
      for made in aws_s3_bucket_lifecycle_configuration.this :
      [for rule in made.rule : one(rule.abort_incomplete_multipart_upload).days_after_initiation if rule.id == "leftovers"] == [7]
    ])
    error_message = "uploads that broke off go after a week, in every bucket"
  }
  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule :
      one(rule.transition).storage_class if rule.id == "raw"
    ] == ["INTELLIGENT_TIERING"]
    error_message = "raw files go to Intelligent-Tiering"
  }
  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this["logs"].rule :
      one(rule.transition).storage_class if rule.id == "logs"
    ] == ["GLACIER"]
    error_message = "logs go to Glacier"
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this["models"].rule) == 1
    error_message = "a registered artifact never expires"
  }
}

run "catalog" {
  command = plan

  assert {
    condition     = aws_glue_catalog_database.lake.name == "mlops_dev" && sort(keys(aws_glue_catalog_table.this)) == tolist(["gold", "silver"])
    error_message = "silver and gold are tables"
  }
  assert {
    condition = alltrue([
      for made in aws_glue_catalog_table.this : [for key in made.partition_keys : key.name] == ["shop_week", "store_region"]
    ])
    error_message = "partitioned as the folders are"
  }
  assert {
    condition = aws_glue_catalog_table.this["silver"].parameters["storage.location.template"] == join("", [
      "s3://mlops-dev-lake-111111111111/lake/silver/SHOP_WEEK=$", "{shop_week}/STORE_REGION=$", "{store_region}/",
    ])
    error_message = "folders have the names that training writes"
  }
  assert {
    condition     = aws_athena_workgroup.lake.configuration[0].enforce_workgroup_configuration
    error_message = "a client cannot write results elsewhere"
  }
  assert {
    condition     = aws_athena_workgroup.lake.configuration[0].bytes_scanned_cutoff_per_query == 10737418240
    error_message = "a query stops at ten GiB"
  }
}

run "what_can_be_thrown_away" {
  command = plan
  variables {
    deletable       = true
    raw_expiry_days = 365
    key_reader_arns = ["arn:aws:iam::222222222222:role/mlops-dev-predictor"]
  }
  assert {
    condition     = alltrue([for made in aws_s3_bucket.this : made.force_destroy])
    error_message = "buckets go with what is in them"
  }
  assert {
    condition     = !strcontains(aws_s3_bucket_policy.this["logs"].policy, "LogsStay")
    error_message = "and the trail's files too"
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    environment        = "Dev_1"
    raw_tiering_days   = 400
    noncurrent_days    = 1
    job_output_days    = 1
    log_glacier_days   = 7
    athena_bytes_limit = 1
    regions            = ["*"]
    weeks              = { first = 203001, last = 200601 }
    key_reader_arns    = ["*"]
  }
  expect_failures = [
    var.environment, var.raw_tiering_days, var.noncurrent_days, var.job_output_days, var.log_glacier_days,
    var.athena_bytes_limit, var.regions, var.weeks, var.key_reader_arns,
  ]
}

run "days_in_the_wrong_order_are_refused" {
  command = plan
  variables {
    raw_expiry_days = 40
    log_expiry_days = 120
  }
  expect_failures = [var.raw_expiry_days, var.log_expiry_days]
}
