# What the environment is given from outside. No secret: the values of secrets are written by a person.
account_id           = "123456789012" # yours; Terraform refuses any other account
alert_emails         = ["data-team@example.com"]
admin_principal_arns = ["arn:aws:iam::123456789012:role/platform-admin"]
github_repository    = "example/price-sensitivity"
