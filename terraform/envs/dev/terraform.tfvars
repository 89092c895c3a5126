environment = "dev"
account_id  = "123456789012" # yours; Terraform refuses any other account

alert_emails       = ["data-team@example.com"]
monthly_budget_usd = 300

github_repository    = "example/price-sensitivity"
admin_principal_arns = ["arn:aws:iam::123456789012:role/platform-admin"]

deletable = true
