# The predictor reads one archive at its start (psm_predictor/artifact/s3.py) and writes nothing: its metrics are lines of
# its log in CloudWatch's embedded metric format.

locals {
  predictor_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadArtifacts"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.models
      },
      {
        Sid      = "TellMissingFromForbidden"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.models_bucket_arn
      },
      {
        Sid      = "DecryptArtifacts"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.lake_key_arn
      },
    ]
  })
}
