environment = "prod"
account_id  = "123456789012" # yours; Terraform refuses any other account

alert_emails       = ["data-team@example.com"]
monthly_budget_usd = 500

github_repository    = "example/price-sensitivity"
admin_principal_arns = ["arn:aws:iam::123456789012:role/platform-admin"]

deletable = false
