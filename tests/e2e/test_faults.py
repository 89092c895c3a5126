"""What data teams and the cloud get wrong, on a real node: each fault is a condition that says what to do.

Every model is started at once by `cast`, and what can be mended is mended at once, so that all wait together. The tests
read what became of the models.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from artifacts import Members, make_artifact
from e2e_lab import Lab, Model, Status, condition, rejection
from fault_record import FaultRecord

from psm_contract.manifest import MANIFEST
from psm_local.demo.load import Load
from psm_local.errors import LocalError

pytestmark = pytest.mark.e2e

NAMESPACE = "faults"
UNVERIFIED = {"minReadySeconds": 0, "soak": "5s", "verification": {"enabled": False}}


@dataclass(frozen=True)
class Update:
    """A model that serves version 1 under a light load, and the digests that the bad version 2 sets against each other."""

    model: Model
    load: Load
    found: str
    registered: str


@dataclass(frozen=True)
class Cast:
    """Every model of this module, each in its own trouble."""

    lab: Lab
    updates: dict[str, Update]
    golden: Model
    groupless: Model
    unapproved: Model
    late: Model
    throttled: Model
    throttled_load: Load
    before: dict[str, Status]
    """What those that were mended said before: name -> status."""


@pytest.fixture(scope="module")
def cast(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Start everything; return once what is to serve serves, all is wrong that can be, and what can be is mended."""
    lab.namespace(NAMESPACE)
    throttled = lab.model(NAMESPACE, "throttled")
    made = Cast(
        lab=lab,
        updates={name: _update(lab, name) for name in ("truncated", "swapped", "replaced")},
        **{name: lab.model(NAMESPACE, name) for name in ("golden", "groupless", "unapproved", "late")},
        throttled=throttled,
        throttled_load=throttled.load(lab.basket),
        before={},
    )
    for update in made.updates.values():
        # S3 knows the digest of `replaced`, so the operator must see the fault without a pod
        update.model.create(**{"rollout": UNVERIFIED} if update.model.name == "replaced" else {})
    lab.offer(throttled)
    throttled.create(rollout=UNVERIFIED)
    _start_without_version(made, tmp_path_factory)
    for update in made.updates.values():
        update.model.wait_serving(1)
        update.load.start()
        lab.registry.approve(update.model.name, 2)
        update.model.look_now()
    throttled.wait_serving(1)
    made.throttled_load.start()
    lab.registry.control.set_faults(throttle_rps=0, naming=throttled.name)
    throttled.look_now()
    _mend(made)
    yield made
    lab.registry.control.set_faults()
    for load in (made.throttled_load, *(update.load for update in made.updates.values())):
        load.stop()


def _update(lab: Lab, name: str) -> Update:
    """Offer a good version 1, and a version 2 that names the second archive and where something else lies."""
    model = lab.model(NAMESPACE, name)
    lab.offer(model)
    right = lab.second.path.read_bytes()
    wrong = right[: len(right) // 2] if name == "truncated" else lab.first.path.read_bytes()
    checksum = {"ChecksumAlgorithm": "SHA256"} if name == "replaced" else {}
    url = lab.registry.upload(f"{name}/2/model.tar.gz", wrong, **checksum)
    lab.registry.register(name, url, lab.second.sha256, approval="PendingManualApproval")
    return Update(model, model.load(lab.basket), hashlib.sha256(wrong).hexdigest(), lab.second.sha256)


def _start_without_version(made: Cast, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The models that have nothing to serve, for now or for ever."""
    registry, late = made.lab.registry, made.late.name
    registry.make_group(made.golden.name)
    registry.publish(made.golden.name, make_artifact(tmp_path_factory.mktemp("golden"), mutate=_misremember))
    registry.make_group(made.unapproved.name)
    registry.publish(made.unapproved.name, made.lab.first, approval="PendingManualApproval")
    registry.make_group(late)
    registry.register(late, registry.address(f"{late}/model.tar.gz"), made.lab.first.sha256)
    for model in (made.golden, made.groupless, made.unapproved, made.late):
        model.create()


def _mend(made: Cast) -> None:
    """Keep what the three that can be helped complain of; then approve, upload, and end the throttling."""
    for model, kind, reason in (
        (made.unapproved, "Stalled", "NoApprovedVersion"),
        (made.late, "Reconciling", "ArtifactMissing"),
        (made.throttled, "VersionResolved", "RegistryThrottled"),
    ):
        made.before[model.name] = model.wait(reason, partial(_has_reason, kind=kind, reason=reason))
    registry = made.lab.registry
    registry.control.set_faults()
    registry.publish(made.throttled.name, made.lab.second)
    registry.approve(made.unapproved.name, 1)
    registry.upload("late/model.tar.gz", made.lab.first.path.read_bytes())
    for model in (made.throttled, made.unapproved):
        model.look_now()


def _has_reason(status: Status, *, kind: str, reason: str) -> bool:
    return condition(status, kind)[1] == reason


def _misremember(members: Members) -> None:
    """The manifest says of its first golden row what the model never said."""
    manifest = json.loads(members[MANIFEST])
    manifest["golden"][0]["probabilities"] = [1.0, 0.0, 0.0]
    members[MANIFEST] = json.dumps(manifest).encode()


# --- a version that must not serve, while another does ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["truncated", "swapped"])
def test_bytes_that_are_not_the_registered_ones_never_serve(cast: Cast, name: str, fault_record: FaultRecord) -> None:
    """The candidate pod ends with the two digests and the advice; the version is rejected and the old one goes on."""
    update = cast.updates[name]
    status = update.model.wait("version 2 to be rejected", lambda s: rejection(s, 2)[0])
    reason, message = rejection(status, 2)
    assert reason == "VerificationFailed"
    assert f"has sha256 {update.found}, the package says {update.registered}; register the model again" in message
    assert condition(status, "UpToDate") == ("False", "Rejected", f"version 2 rejected: {message}")
    assert condition(status, "Ready")[0] == "True"
    count = update.load.stop()
    update.model.the_event("VerificationFailed", f"version 2 rejected: {message}")
    told = len(update.model.events("VerificationFailed"))
    entries = [entry for entry in status["history"] if (entry["version"], entry["result"]) == (2, "Rejected")]
    fault_record.add(
        f"S3 holds a {name} archive",
        survived=int(count.failed == 0 and len(entries) == told == 1),
        lost=(not entries) + (not told),
        duplicated=max(0, len(entries) - 1) + max(0, told - 1),
    )
    _assert_version_1_answers(update)
    assert (len(entries), told) == (1, 1)
    assert update.model.the_event("VerificationFailed", f"version 2 rejected: {message}")["type"] == "Warning"
    update.model.wait_gone("deployment", f"{name}-candidate")


def test_an_object_whose_digest_s3_knows_is_refused_without_a_pod(cast: Cast) -> None:
    """Where S3 keeps the object's SHA-256, the operator compares it by itself."""
    update = cast.updates["replaced"]
    status = update.model.wait("version 2 to be rejected", lambda s: rejection(s, 2)[0])
    reason, message = rejection(status, 2)
    assert reason == "ArtifactMismatch"
    assert f"has sha256 {update.found}, the package says {update.registered}; register it again" in message
    _assert_version_1_answers(update)
    assert len(update.model.items("replicasets", f"retail.mlops/model={update.model.name}")) == 1


def _assert_version_1_answers(update: Update) -> None:
    """All requests since before version 2 was approved were answered, by version 1."""
    count = update.load.stop()
    assert update.load.versions.keys() == {1}
    assert (count.failed, dict(update.load.failures)) == (0, {})
    assert update.model.get("deployment")["spec"]["template"]["metadata"]["labels"]["retail.mlops/version"] == "1"


# --- nothing to serve ------------------------------------------------------------------------------------------------


def test_a_model_that_answers_its_golden_rows_wrongly_never_serves(cast: Cast) -> None:
    """With nothing else to serve the resource is stalled, and says which row, and what to do."""
    message = cast.golden.wait_condition("Stalled", "True", "NoApprovedVersion")
    assert "every approved version of group golden is rejected" in message
    assert "GoldenMismatch: golden[0] is answered with" in message
    assert "train the model again" in message
    assert message.endswith("approve another version or pin one")
    assert rejection(cast.golden.status, 1)[0] == "VerificationFailed"
    assert condition(cast.golden.status, "Ready") == ("False", "Pending", "no version is served yet")
    assert cast.golden.find("deployment") is None


def test_a_missing_group_is_named_with_what_to_do(cast: Cast) -> None:
    """Which group, which region, which endpoint; nothing but the resource's identity is made meanwhile."""
    message = cast.groupless.wait_condition("Stalled", "True", "ModelPackageGroupNotFound")
    assert "model package group groupless does not exist in region ap-southeast-1" in message
    assert cast.lab.cluster.aws.in_cluster_url in message
    assert message.endswith("create it or correct spec.registry")
    assert condition(cast.groupless.status, "VersionResolved")[:2] == ("Unknown", "ModelPackageGroupNotFound")
    assert cast.groupless.the_event("ModelPackageGroupNotFound", message)["type"] == "Warning"


def test_a_group_with_nothing_approved_waits_for_an_approval(cast: Cast) -> None:
    """It says how many versions wait; an approval is all that it needs."""
    message = "none of the 1 versions of group unapproved is approved; approve one"
    assert condition(cast.before["unapproved"], "Stalled") == ("True", "NoApprovedVersion", message)
    assert condition(cast.before["unapproved"], "VersionResolved") == ("False", "NoApprovedVersion", message)
    status = cast.unapproved.wait_serving(1)
    assert condition(status, "Stalled") == ("", "", "")


def test_an_artifact_that_comes_later_is_waited_for(cast: Cast) -> None:
    """A missing object is named; it is no reason to reject; once it is there, it is served."""
    status, _, message = condition(cast.before["late"], "Reconciling")
    assert status == "True"
    assert "has no object late/model.tar.gz; upload it or register the model again" in message
    assert "provingSince" not in cast.before["late"]["candidate"]  # no pod is spent on it
    assert cast.late.wait_serving(1).get("rejected", []) == []


# --- the registry and the API ----------------------------------------------------------------------------------------


def test_a_registry_that_throttles_changes_nothing_that_runs(cast: Cast) -> None:
    """The version is unknown and says so, the model stays ready and answers; when the throttling ends, it follows again."""
    status, _, message = condition(cast.before["throttled"], "VersionResolved")
    assert status == "Unknown"
    assert message.startswith("SageMaker throttles reads of model package group throttled in region ap-southeast-1")
    assert message.endswith("polling slows down by itself, raise spec.interval if it lasts")
    assert condition(cast.before["throttled"], "Ready")[0] == "True"
    assert condition(cast.throttled.wait_serving(2), "VersionResolved")[:2] == ("True", "Resolved")
    assert cast.throttled_load.stop().failed == 0
    assert cast.throttled_load.versions.keys() == {1, 2}


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        pytest.param(
            {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}},
            "replicas and autoscaling exclude each other: remove one of them",
            id="a fixed size and an autoscaler",
        ),
        pytest.param(
            {"version": {"policy": "LatestApproved", "range": ">1"}},
            "version.policy and version.range exclude each other: remove one of them",
            id="a policy and a range",
        ),
        pytest.param({"interval": "5s"}, "interval must be at least 15s", id="an interval too short"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused_at_the_door(
    cast: Cast, spec: dict[str, object], refusal: str
) -> None:
    """The API server answers with the rule's own words; no operator is needed for that."""
    with pytest.raises(LocalError, match=refusal):
        cast.lab.model(NAMESPACE, "contradiction").create(**spec)
