# Silver and gold as tables of Athena, for people who look. Training reads the files that manifests name; a table reads the
# whole folder, where a week that was made again has its older file beside the new one until that is removed.

locals {
  database = "mlops_${var.environment}" # a hyphen would need quotes in every query

  # as training's lake/schema.py has them; tests/component/terraform/test_lake_tables.py compares
  partitions = { shop_week = "bigint", store_region = "string" }

  silver = [
    ["shop_date", "bigint"], ["shop_weekday", "bigint"], ["shop_hour", "bigint"], ["quantity", "bigint"],
    ["spend", "double"], ["prod_code", "string"], ["prod_code_10", "string"], ["prod_code_20", "string"],
    ["prod_code_30", "string"], ["prod_code_40", "string"], ["cust_code", "string"], ["seg_1", "string"],
    ["seg_2", "string"], ["basket_id", "bigint"], ["basket_size", "string"], ["basket_price_sensitivity", "string"],
    ["basket_type", "string"], ["basket_dominant_mission", "string"], ["store_code", "string"],
    ["store_format", "string"],
  ]

  gold = [
    ["basket_id", "bigint"], ["household", "string"], ["label", "string"], ["part", "string"],
    ["shop_weekday", "bigint"], ["shop_hour", "bigint"], ["basket_size", "string"], ["basket_type", "string"],
    ["basket_dominant_mission", "string"], ["store_format", "string"], ["seg_1", "string"], ["seg_2", "string"],
    ["prod_code", "array<string>"], ["prod_code_10", "array<string>"], ["prod_code_20", "array<string>"],
    ["prod_code_30", "array<string>"], ["quantity", "array<bigint>"], ["spend", "array<double>"],
  ]

  tables = {
    silver = { description = "Lines: one row per product of a basket", columns = local.silver }
    gold   = { description = "Baskets: label, part and context, lines as lists", columns = local.gold }
  }
}

resource "aws_glue_catalog_database" "lake" {
  name        = local.database
  description = "Silver and gold of ${local.prefix}"
  tags        = local.tags
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  name          = each.key
  database_name = aws_glue_catalog_database.lake.name
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL              = "TRUE"
    classification        = "parquet"
    "parquet.compression" = "SNAPPY"

    # partitions are computed from these, so that nothing has to add them
    "projection.enabled"             = "true"
    "projection.shop_week.type"      = "integer"
    "projection.shop_week.range"     = "${var.weeks.first},${var.weeks.last}"
    "projection.store_region.type"   = "enum"
    "projection.store_region.values" = join(",", var.regions)
    "storage.location.template"      = "s3://${local.names["lake"]}/lake/${each.key}/SHOP_WEEK=$${shop_week}/STORE_REGION=$${store_region}/"
  }

  dynamic "partition_keys" {
    for_each = local.partitions

    content {
      name = partition_keys.key
      type = partition_keys.value
    }
  }

  storage_descriptor {
    location      = "s3://${local.names["lake"]}/lake/${each.key}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value[0]
        type = columns.value[1]
      }
    }
  }
}

resource "aws_athena_workgroup" "lake" {
  name          = "${local.prefix}-lake"
  description   = "Questions to silver and gold"
  force_destroy = var.deletable
  tags          = local.tags

  configuration {
    enforce_workgroup_configuration    = true # a client's own settings would write elsewhere, in clear
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.athena_bytes_limit

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = "s3://${local.names["lake"]}/athena/"
      expected_bucket_owner = local.account

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = aws_kms_key.lake.arn
      }
    }
  }
}
