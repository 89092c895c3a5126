"""Training on SageMaker and as a Kubernetes Job: the container's side of the contract, and the requests that start it.

`python -m psm_training.sagemaker` is the entry point of the image; `psm-train pipeline` and `psm-train aws-job` write the
requests. Nothing in here decides what a model looks like.
"""
