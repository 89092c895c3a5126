# What no single model owns. A model's own dashboard is the operator's work.

locals {
  throughput = [
    for metric, label in { BytesDownloaded = "read", BytesUploaded = "written" } :
    ["AWS/S3", metric, "BucketName", var.lake_bucket, "FilterId", "EntireBucket", { stat = "Sum", label = label }]
  ]
  sizes = [
    for bucket in [var.lake_bucket, var.models_bucket] :
    ["AWS/S3", "BucketSizeBytes", "BucketName", bucket, "StorageType", "StandardStorage", { label = bucket }]
  ]
  pipeline = ["AWS/Sagemaker/ModelBuildingPipeline", "ExecutionDuration", "PipelineName", var.training_pipeline]
  started = [
    for metric, label in { ExecutionSucceeded = "succeeded", ExecutionFailed = "failed" } :
    ["AWS/Sagemaker/ModelBuildingPipeline", metric, "PipelineName", var.training_pipeline, { label = label }]
  ]

  # One list of widgets per row; each is 8 of the 24 columns wide.
  rows = [
    [
      {
        title   = "Lake: bytes per minute", region = local.region, period = 60, stat = "Sum", view = "timeSeries"
        metrics = local.throughput
      },
      {
        title   = "Lake: first byte and whole request (ms, p95)", region = local.region, period = 300, stat = "p95", view = "timeSeries"
        metrics = [for metric in ["FirstByteLatency", "TotalRequestLatency"] : ["AWS/S3", metric, "BucketName", var.lake_bucket, "FilterId", "EntireBucket"]]
      },
      {
        title   = "Buckets: bytes in the standard class", region = local.region, period = 86400, stat = "Average", view = "timeSeries"
        metrics = local.sizes
      },
    ],
    [
      {
        title   = "Training: milliseconds of a run", region = local.region, period = 3600, stat = "Maximum", view = "timeSeries"
        metrics = [local.pipeline]
      },
      {
        title   = "Training: seconds of each step", region = local.region, period = 3600, stat = "Maximum", view = "timeSeries"
        metrics = [[{ expression = "SEARCH('{PSM/Training,Step} MetricName=\"StepSeconds\"', 'Maximum', 3600)", id = "steps", label = "" }]]
      },
      {
        title   = "Training: runs in a day", region = local.region, period = 86400, stat = "Sum", view = "timeSeries"
        metrics = local.started
      },
    ],
    [
      {
        # AWS tells charges in one region only, and once "receive billing alerts" is on.
        title   = "Charges of this month (USD)", region = "us-east-1", period = 21600, stat = "Maximum", view = "timeSeries"
        metrics = [["AWS/Billing", "EstimatedCharges", "Currency", "USD"]]
        annotations = {
          horizontal = [{ label = "budget", value = var.monthly_budget_usd }]
        }
      },
      {
        title   = "Charges by service (USD)", region = "us-east-1", period = 21600, stat = "Maximum", view = "timeSeries"
        metrics = [[{ expression = "SEARCH('{AWS/Billing,Currency,ServiceName} MetricName=\"EstimatedCharges\"', 'Maximum', 21600)", id = "services", label = "" }]]
      },
      {
        title   = "Nodes of the cluster", region = local.region, period = 300, stat = "Maximum", view = "timeSeries"
        metrics = [["ContainerInsights", "cluster_node_count", "ClusterName", var.cluster_name]]
      },
    ],
  ]

  widgets = flatten([
    for y, row in local.rows : [
      for x, properties in row : {
        type = "metric", x = x * 8, y = y * 6, width = 8, height = 6, properties = properties
      }
    ]
  ])
}

# Request metrics are what S3's throughput is told by; without them AWS tells sizes only.
resource "aws_s3_bucket_metric" "lake" {
  count = var.request_metrics ? 1 : 0

  bucket = var.lake_bucket
  name   = "EntireBucket"
}

resource "aws_cloudwatch_dashboard" "platform" {
  dashboard_name = "${local.prefix}-platform"
  dashboard_body = jsonencode({ widgets = local.widgets })
}
