"""The operator as a process of its own on a real API server, and versions in the registry emulator for it to find."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from psm_local.cluster import Cluster

REGION = "ap-southeast-1"
CONTENT = b"model"


@contextmanager
def running_operator(cluster: Cluster, *namespaces: str) -> Iterator[None]:
    """Run the operator for some namespaces while the block runs."""
    inherited = dict(os.environ)  # noqa: TID251  # a child process inherits what the test run has
    variables = {
        **inherited,
        **cluster.aws.environment(),
        "KUBECONFIG": str(cluster.kubeconfig),
        "PSM_OPERATOR_NAMESPACES": ",".join(namespaces),
        "PSM_OPERATOR_LEASE_NAME": namespaces[0],
        "PSM_OPERATOR_HEALTH_PORT": "0",
        "PSM_OPERATOR_METRICS_PORT": "0",
    }
    process = subprocess.Popen([sys.executable, "-m", "psm_operator"], env=variables)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def register(cluster: Cluster, group: str, accuracy: str) -> None:
    """Register an approved version with an artifact; the first one makes its group."""
    account = cluster.aws.environment()
    keys = {name.lower(): account[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    session = boto3.session.Session(region_name=REGION, **keys)
    s3 = session.client("s3", endpoint_url=cluster.aws.s3_host_url)
    sagemaker = session.client("sagemaker", endpoint_url=cluster.aws.host_url)
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        s3.create_bucket(Bucket=group, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=group, Key="model.tar.gz", Body=CONTENT, ChecksumAlgorithm="SHA256")
    sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": "predictor", "ModelDataUrl": f"s3://{group}/model.tar.gz"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={
            "psm.sha256": hashlib.sha256(CONTENT).hexdigest(),
            "psm.accuracy": accuracy,
            "psm.macro_f1": "0.800000",
            "psm.precision_min_class": "0.790000",
            "psm.data_validation": "passed",
        },
    )
