output "account" {
  description = "What people and pipelines need of the account, by the names of terraform/modules/account."
  value       = module.account
}
