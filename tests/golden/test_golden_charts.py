"""The charts as helm renders them; needs helm, which is built on first use."""

from collections.abc import Callable

import pytest
from helm import rendered

pytestmark = pytest.mark.component

CASES: dict[str, tuple[str, ...]] = {
    "default": (),
    "everything": (
        "--set=replicas=2,image.digest=sha256:" + "0" * 64,
        "--set=serviceAccount.roleARN=arn:aws:iam::123456789012:role/mlops-dev-operator",
        "--set=registryEvents.queueUrl=https://sqs.ap-southeast-1.amazonaws.com/123456789012/registry-events",
        "--set=cloudWatch.enabled=true,cloudWatch.prefix=mlops-dev,cloudWatch.clusterName=mlops-dev",
        "--set=cloudWatch.region=ap-southeast-1,cloudWatch.tags.Project=PriceSensitivityMLOps",
        "--set=aws.region=ap-southeast-1,networkPolicy.enabled=true,priorityClassName=system-cluster-critical",
        "--set=predictor.env.AWS_ENDPOINT_URL_S3=http://10.200.0.1:8333",
        "--set=extraEnv[0].name=AWS_ENDPOINT_URL,extraEnv[0].value=http://10.200.0.1:5000",
        "--set=imagePullSecrets[0].name=registry-credentials,nodeSelector.pool=system,podLabels.team=mlops",
        "--set=tolerations[0].operator=Exists,podAnnotations.a=b,metrics.service.annotations.c=d",
    ),
    "two-namespaces": ("--set=watchNamespaces={mlops,mlops-test},rbac.aggregate=false",),
    "observability": (
        "--set=serviceMonitor.enabled=true,serviceMonitor.labels.release=kps",
        "--set=podMonitor.enabled=true,podMonitor.labels.release=kps",
        "--set=prometheusRule.enabled=true,prometheusRule.labels.release=kps",
        "--set=prometheusRule.ruleLabels.team=mlops,prometheusRule.disabled={PsmVersionBehind}",
        "--set=prometheusRule.runbookBaseURL=https://git.example.com/runbooks",
    ),
    "own-namespace": ("--set=watchNamespaces={psm-system},metrics.service.enabled=false",),
}


TRAINING: dict[str, tuple[str, ...]] = {
    "default": (),
    "everything": (
        "--set=image.digest=sha256:" + "0" * 64,
        "--set=serviceAccount.roleARN=arn:aws:iam::123456789012:role/mlops-dev-training",
        "--set=runNow=true,data.claim=till,data.subPath=files,checkpoints.claim=kept,networkPolicy.enabled=true",
        "--set=hyperparameters.source=source-files,hyperparameters.approve=auto",
        "--set=aws.region=ap-southeast-1,priorityClassName=batch,nodeSelector.pool=spot,tolerations[0].operator=Exists",
        "--set=imagePullSecrets[0].name=registry-credentials,extraEnv[0].name=A,extraEnv[0].value=b,podLabels.team=mlops",
        "--set=podMonitor.enabled=true,podMonitor.labels.release=kps",
        "--set=prometheusRule.enabled=true,prometheusRule.labels.release=kps,prometheusRule.ruleLabels.team=mlops",
        "--set=prometheusRule.disabled={PsmTrainingStepSlow}",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_operators_chart_is_as_reviewed(name: str, golden: Callable[[str, str], None]) -> None:
    """A value that changes more than it should shows in the diff."""
    golden(f"charts/psm-operator-{name}.yaml", rendered("psm-operator", *CASES[name]))


@pytest.mark.parametrize("name", TRAINING)
def test_the_training_chart_is_as_reviewed(name: str, golden: Callable[[str, str], None]) -> None:
    """Likewise."""
    golden(f"charts/psm-training-{name}.yaml", rendered("psm-training", *TRAINING[name]))
