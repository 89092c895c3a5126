"""What is deleted, in which order, with whose word: decided without an account."""

import pytest

from psm_cloud.errors import CloudError
from psm_cloud.teardown.adapters.terraform import kept_addresses
from psm_cloud.teardown.consent import Wish, consented
from psm_cloud.teardown.decide import Found, Keep, Kind, decide
from psm_cloud.teardown.scope import PROJECT, Scope

DEV = Scope("dev", "123456789012", "ap-southeast-1")
PROD = Scope("prod", "123456789012", "ap-southeast-1")
OURS = {"Project": PROJECT, "Environment": "dev"}


def found(kind: Kind, name: str = "mlops-dev-x", **tags: str) -> Found:
    """Return something with dev's tags and more."""
    return Found(kind, name, name, {**OURS, **tags})


def test_what_uses_another_goes_before_it() -> None:
    kinds = [kind for kind in Kind if kind is not Kind.TERRAFORM]
    name = {Kind.DASHBOARD: "mlops-dev-m-0a1b2c3d"}
    for some in (kinds[::-1], kinds[5:] + kinds[:5], sorted(kinds, key=lambda kind: kind.name)):
        decision = decide([found(kind, name.get(kind, "mlops-dev-x")) for kind in some], DEV, Keep())
        assert [one.kind for one in decision.delete] == kinds


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Project": PROJECT},
        {"Environment": "dev"},
        {"Project": PROJECT, "Environment": "prod"},
        {"Project": "Another", "Environment": "dev"},
        {"project": PROJECT, "environment": "dev"},
    ],
)
@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.TERRAFORM, Kind.DASHBOARD}))
def test_nothing_is_deleted_without_both_tags(kind: Kind, tags: dict[str, str]) -> None:
    assert not decide([Found(kind, "mlops-dev-x", "mlops-dev-x", tags)], DEV, Keep()).delete


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.TERRAFORM, Kind.DASHBOARD}))
def test_what_is_terraforms_is_emptied_or_scheduled_but_not_deleted_before_it(kind: Kind) -> None:
    decision = decide([found(kind, Component="lake")], DEV, Keep())
    assert bool(decision.delete) == (kind in {Kind.BUCKET, Kind.REPOSITORY, Kind.SECRET, Kind.KEY})


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("mlops-dev-mlops-uk-grocery-0a1b2c3d", True),
        ("mlops-dev-shared", False),
        ("mlops-dev2-mlops-uk-grocery-0a1b2c3d", False),
        ("mlops-prod-mlops-uk-grocery-0a1b2c3d", False),
        ("somebody-0a1b2c3d", False),
    ],
)
def test_of_dashboards_those_of_models_of_the_environment_go(name: str, goes: bool) -> None:  # noqa: FBT001
    assert bool(decide([Found(Kind.DASHBOARD, name, name)], DEV, Keep()).delete) == goes


@pytest.mark.parametrize(
    ("name", "tags", "goes"),
    [
        ("mlops-dev-a-0a1b2c3d-latency", {"Project": PROJECT, "ManagedBy": "psm-operator"}, True),
        ("mlops-prod-a-0a1b2c3d-latency", {"Project": PROJECT, "ManagedBy": "psm-operator"}, False),
        ("mlops-dev-queue-age", {**OURS, "Component": "events"}, False),
        ("mlops-dev-by-hand", {"ManagedBy": "psm-operator"}, False),
    ],
)
def test_of_alarms_those_of_models_go(name: str, tags: dict[str, str], goes: bool) -> None:  # noqa: FBT001
    assert bool(decide([Found(Kind.ALARM, name, name, tags)], DEV, Keep()).delete) == goes


@pytest.mark.parametrize(
    ("name", "keep", "reason"),
    [
        ("mlops-dev-terraform-state-1", Keep(), "keeps Terraform's state (--include-state)"),
        ("mlops-dev-logs-1", Keep(), "keeps the audit trail (--include-audit)"),
        ("mlops-dev-terraform-state-1", Keep(state=False), None),
        ("mlops-dev-logs-1", Keep(audit=False), None),
        ("mlops-dev-lake-1", Keep(), None),
    ],
)
def test_state_and_audit_trail_stay_unless_they_are_asked_for(name: str, keep: Keep, reason: str | None) -> None:
    decision = decide([found(Kind.BUCKET, name)], DEV, keep)
    assert [one.reason for one in decision.kept] == ([reason] if reason else [])
    assert bool(decision.delete) == (reason is None)


def test_what_is_named_like_ours_without_tags_is_shown_and_kept() -> None:
    decision = decide([Found(Kind.LOG_GROUP, "/x/mlops-dev/a", "/x/mlops-dev/a")], DEV, Keep())
    assert not decision.delete
    assert "delete it by hand" in decision.kept[0].reason


REFUSED = [
    pytest.param(PROD, Wish(execute=False, yes=True, account=PROD.account), "", "'nothing'", id="prod, nobody types"),
    pytest.param(PROD, Wish(execute=False, yes=True, account=PROD.account), "prod\n", "'prod' was", id="prod, a word"),
    pytest.param(PROD, Wish(execute=True, yes=False, account=PROD.account), "mlops-dev", "'mlops-dev'", id="prod, dev"),
    pytest.param(
        DEV, Wish(execute=True, yes=False, account=None), "1", "not '123456789012'", id="another account typed"
    ),
    pytest.param(DEV, Wish(execute=False, yes=True, account="1"), "", "12, not 1: nothing", id="another account given"),
    pytest.param(DEV, Wish(execute=False, yes=False, account="1"), "", "12, not 1: nothing", id="also in a dry run"),
]


@pytest.mark.parametrize(("scope", "wish", "typed", "told"), REFUSED)
def test_nothing_is_deleted_without_the_right_words(scope: Scope, wish: Wish, typed: str, told: str) -> None:
    with pytest.raises(CloudError, match=told):
        consented(wish, scope, lambda _: typed)


def test_a_dry_run_asks_nothing() -> None:
    def nobody(_: str) -> str:
        raise AssertionError

    assert not consented(Wish(execute=False, yes=False, account=None), PROD, nobody)


def test_account_and_name_are_typed_where_neither_is_given() -> None:
    answers = iter(["123456789012\n", "mlops-dev\n"])
    assert consented(Wish(execute=True, yes=False, account=None), DEV, lambda _: next(answers))


def test_the_state_forgets_the_audit_trails_bucket_and_its_settings() -> None:
    def made(address: str, bucket: str) -> dict[str, object]:
        return {
            "address": address,
            "type": address.split(".", maxsplit=1)[0],
            "mode": "managed",
            "values": {"bucket": bucket},
        }

    logs = [made("aws_s3_bucket.logs", "mlops-dev-logs-1"), made("aws_s3_bucket_versioning.logs", "mlops-dev-logs-1")]
    lake = [made("aws_s3_bucket.lake", "mlops-dev-lake-1")]
    state = {"values": {"root_module": {"resources": lake, "child_modules": [{"resources": logs}]}}}
    assert list(kept_addresses(state, DEV, Keep())) == ["aws_s3_bucket.logs", "aws_s3_bucket_versioning.logs"]
    assert not list(kept_addresses(state, DEV, Keep(audit=False)))
    assert not list(kept_addresses({}, DEV, Keep()))
