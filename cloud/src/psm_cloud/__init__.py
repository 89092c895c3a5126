"""The AWS account around the operator: terraform runs, what it costs, how it is torn down."""
