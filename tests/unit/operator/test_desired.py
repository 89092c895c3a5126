from collections.abc import Iterator
from typing import Any

import pytest
from builders import UID, by_kind, desired_model, serve_target

from psm_operator.decide.desired import PredictorDefaults, children, serving_selector
from psm_operator.values import Manifest


def built(**changes: Any) -> dict[str, Manifest]:
    return by_kind(children(desired_model(**changes)))


def container(deployment: Manifest) -> Manifest:
    return deployment["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return]  # JSON


def environment(deployment: Manifest) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in container(deployment)["env"]}


def test_a_serving_model_has_one_child_of_each_kind() -> None:
    """In the order in which they are applied: protection before pods, traffic last."""
    manifests = children(desired_model(candidate=18, networking={"ingress": {"host": "prices.example.com"}}))
    assert [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests] == [
        ("ServiceAccount", "uk-grocery"),
        ("NetworkPolicy", "uk-grocery"),
        ("Service", "uk-grocery"),
        ("Deployment", "uk-grocery.candidate"),
        ("Deployment", "uk-grocery"),
        ("HorizontalPodAutoscaler", "uk-grocery"),
        ("PodDisruptionBudget", "uk-grocery"),
        ("Ingress", "uk-grocery"),
    ]


def test_before_a_version_is_chosen_there_is_nothing_to_scale() -> None:
    """The names are there already, the pods are not."""
    assert built(serving=None).keys() == {"ServiceAccount", "Service", "NetworkPolicy"}


def test_what_the_spec_switches_off_is_not_there() -> None:
    """Each optional child has its switch."""
    assert "Ingress" not in built()
    assert "NetworkPolicy" not in built(networking={"networkPolicy": {"enabled": False}})
    assert "HorizontalPodAutoscaler" not in built(replicas=3)


def test_every_child_is_owned_by_its_model() -> None:
    """Deleting the model leaves nothing behind."""
    for manifest in children(desired_model(candidate=18, networking={"ingress": {"host": "a.example"}})):
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert owner == {
            "apiVersion": "retail.mlops/v1alpha1",
            "kind": "PriceSensitivityModel",
            "name": "uk-grocery",
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        assert manifest["metadata"]["namespace"] == "mlops"
        assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "psm-operator"


@pytest.mark.parametrize("kind", ["Deployment", "Candidate"])
def test_pods_are_confined(kind: str) -> None:
    """The restricted Pod Security Standard, and a read-only root besides."""
    deployment = built(candidate=18)[kind]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(deployment)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (volume,) = pod["volumes"]
    assert volume["emptyDir"]["sizeLimit"]


def test_a_rollout_never_has_fewer_pods_than_wanted() -> None:
    """One new pod is ready before an old one goes, and it drains before it ends."""
    deployment = built()["Deployment"]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = deployment["spec"]["template"]["spec"]
    pause = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause < pod["terminationGracePeriodSeconds"]


def test_the_pod_template_names_the_version() -> None:
    """A crash of the operator at any moment loses nothing: the Deployment itself says what it runs."""
    template = built(serving=17)["Deployment"]["spec"]["template"]
    assert template["metadata"]["labels"]["retail.mlops/version"] == "17"
    assert template["metadata"]["annotations"]["retail.mlops/version"] == "17"


def test_a_candidate_gets_no_traffic() -> None:
    """The Service, the budget and the autoscaler speak of serving pods alone."""
    manifests = built(candidate=18)
    candidate_labels = manifests["Candidate"]["spec"]["template"]["metadata"]["labels"]
    serving_labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        manifests["Service"]["spec"]["selector"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        dict(pair.split("=") for pair in serving_selector(desired_model().ref).split(",")),
    ):
        assert selector.items() <= serving_labels.items()
        assert not selector.items() <= candidate_labels.items()
    assert manifests["Candidate"]["spec"]["replicas"] == 1


def test_selectors_never_change_with_the_version() -> None:
    """A Deployment's selector is immutable."""
    one, other = built(serving=1), built(serving=2)
    assert one["Deployment"]["spec"]["selector"] == other["Deployment"]["spec"]["selector"]
    assert one["Service"] == other["Service"]


def test_the_environment_says_which_model_to_serve() -> None:
    """What the predictor reads at start."""
    target = serve_target(17)
    variables = environment(built(serving=17, predictor={"workers": 3})["Deployment"])
    assert variables == {
        "AWS_REGION": "ap-southeast-1",
        "PSM_WORKERS": "3",
        "PSM_MODEL_DATA_URL": target.model_data_url,
        "PSM_MODEL_SHA256": target.sha256,
        "PSM_MODEL_PACKAGE_ARN": target.arn,
        "PSM_MODEL_PACKAGE_VERSION": "17",
    }


def test_the_users_environment_wins_over_the_operators() -> None:
    """But for what says which model it is, which the API refuses to set."""
    defaults = PredictorDefaults(image="default:1", env={"AWS_ENDPOINT_URL": "http://default:5000", "LEVEL": "info"})
    source = {"fieldRef": {"fieldPath": "metadata.name"}}
    env = [{"name": "LEVEL", "value": "debug"}, {"name": "POD", "valueFrom": source}]
    deployment = built(defaults=defaults, predictor={"env": env})["Deployment"]
    variables = environment(deployment)
    assert (variables["AWS_ENDPOINT_URL"], variables["LEVEL"]) == ("http://default:5000", "debug")
    assert {"name": "POD", "valueFrom": source} in container(deployment)["env"]
    names = [variable["name"] for variable in container(deployment)["env"]]
    assert len(names) == len(set(names))


def test_a_path_prefix_of_the_ingress_reaches_the_predictor() -> None:
    """Or it would answer 404 below the prefix."""
    ingress = {"host": "a.example", "path": "/models/price/"}
    variables = environment(built(networking={"ingress": ingress})["Deployment"])
    assert variables["PSM_ROOT_PATH"] == "/models/price"
    assert "PSM_ROOT_PATH" not in environment(built(networking={"ingress": {"host": "a.example"}})["Deployment"])


def test_an_image_of_the_spec_wins_over_the_default() -> None:
    """Without one, the operator's own setting."""
    assert container(built()["Deployment"])["image"] == "localhost/mlops/api-price-sensitivity:dev"
    assert container(built(predictor={"image": "b:2"})["Deployment"])["image"] == "b:2"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 2),
        ({"replicas_hint": 6}, 6),
        ({"replicas_hint": 60}, 10),
        ({"replicas": 3}, 3),
        ({"replicas": 0}, 0),
        ({"held_at": 0}, 0),
        ({"held_at": 0, "replicas": 3}, 0),
    ],
)
def test_the_size_a_deployment_starts_with(changes: dict[str, Any], expected: int) -> None:
    """A Deployment made anew under an autoscaler begins at its last size, within bounds."""
    assert built(**changes)["Deployment"]["spec"]["replicas"] == expected


def test_an_autoscaler_cannot_hold_zero() -> None:
    """At zero there is none; it would set the size back."""
    assert "HorizontalPodAutoscaler" not in built(held_at=0)


def test_autoscaling_is_passed_on_verbatim() -> None:
    """Whatever autoscaling/v2 knows; no metrics at all leaves the choice to Kubernetes."""
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}},
    }
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    hpa = built(autoscaling={"metrics": [metric], "behavior": behavior})["HorizontalPodAutoscaler"]
    assert hpa["spec"]["metrics"] == [metric]
    assert hpa["spec"]["behavior"] == behavior
    assert "metrics" not in built(autoscaling={"metrics": []})["HorizontalPodAutoscaler"]["spec"]


def test_egress_reaches_dns_https_and_the_aws_endpoints() -> None:
    """An emulator's port is open as long as the environment names it, and only then."""

    def ports(manifests: dict[str, Manifest]) -> set[int]:
        rules = [rule for rule in manifests["NetworkPolicy"]["spec"]["egress"] if "to" not in rule]  # to everybody
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert ports(built()) == {53, 443}
    env = {
        "AWS_ENDPOINT_URL_S3": "http://10.0.0.1:8333",
        "AWS_ENDPOINT_URL": "https://aws.example",
        "OTHER": "http://b:9",
    }
    assert ports(built(defaults=PredictorDefaults(image="a", env=env))) == {53, 443, 8333}
    user = [{"name": "AWS_ENDPOINT_URL_S3", "value": "http://minio"}]
    assert ports(built(defaults=PredictorDefaults(image="a", env=env), predictor={"env": user})) == {53, 443, 80}
    broken = [{"name": "AWS_ENDPOINT_URL_S3", "value": "http://[:x"}]
    assert ports(built(predictor={"env": broken})) == {53, 443}


def test_ingress_is_open_to_anyone_or_to_the_named_peers() -> None:
    """Only the predictor's port either way."""
    (rule,) = built()["NetworkPolicy"]["spec"]["ingress"]
    assert rule == {"ports": [{"protocol": "TCP", "port": 8080}]}
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}}}
    (rule,) = built(networking={"networkPolicy": {"allowFrom": [peer]}})["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"] == [peer]


def test_a_role_is_annotated_on_the_service_account() -> None:
    """IRSA; the pod's own Kubernetes token stays unmounted."""
    role = "arn:aws:iam::123456789012:role/mlops-dev-predictor"
    account = built(predictor={"serviceAccount": {"roleARN": role}})["ServiceAccount"]
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}
    assert account["automountServiceAccountToken"] is False


def containers_of(value: Any) -> Iterator[int]:
    """Identities of every map and list inside a value."""
    if isinstance(value, dict | list):
        yield id(value)
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers_of(item)


def test_no_two_places_share_a_value() -> None:
    """Changing one child's manifest in one place changes nothing elsewhere, not even in the spec."""
    model = desired_model(
        candidate=18,
        networking={"ingress": {"host": "a.example"}, "networkPolicy": {"allowFrom": [{"podSelector": {}}]}},
        autoscaling={"behavior": {"scaleDown": {}}},
        predictor={"env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
    )
    kept = [*children(model), *children(model)]  # all alive at once, so that no identity is used twice
    assert model.spec.autoscaling is not None
    verbatim = [*model.spec.autoscaling.metrics, *model.spec.networking.network_policy.allow_from]
    places = [identity for value in (*kept, *verbatim) for identity in containers_of(value)]
    assert len(set(places)) == len(places)
