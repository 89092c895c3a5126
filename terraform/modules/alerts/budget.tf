# What a month may cost. AWS looks at it about three times a day, so it tells of a drift, not of a spike.

locals {
  notifications = concat(
    [for percent in var.budget_thresholds_percent.actual : { type = "ACTUAL", percent = percent }],
    [for percent in var.budget_thresholds_percent.forecast : { type = "FORECASTED", percent = percent }],
  )
}

resource "aws_budgets_budget" "month" {
  name         = "${local.prefix}-month"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = format("%.2f", var.monthly_budget_usd)
  limit_unit   = "USD"

  dynamic "cost_filter" {
    for_each = var.budget_by_tag ? [1] : []

    content {
      name   = "TagKeyValue"
      values = [format("user:Environment$%s", var.environment)]
    }
  }

  dynamic "notification" {
    for_each = local.notifications

    content {
      comparison_operator       = "GREATER_THAN"
      notification_type         = notification.value.type
      threshold                 = notification.value.percent
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alerts.arn]
    }
  }

  tags = local.tags

  depends_on = [aws_sns_topic_policy.alerts] # AWS tries the topic when the budget is made
}
