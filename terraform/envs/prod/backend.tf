# The state lies in the bucket that terraform/bootstrap made: terraform init -backend-config=bucket=<its name>.
# The lock is an object beside it.

terraform {
  backend "s3" {
    key          = "prod/terraform.tfstate"
    region       = "ap-southeast-1"
    encrypt      = true
    use_lockfile = true
  }
}
