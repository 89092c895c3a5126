"""Handlers translate; kopf's settings are as decided; what we rely on in kopf is still there."""

import itertools
import logging

import kopf
import pytest
from kopf._cogs.structs.references import Resource as KopfResource

from psm_operator.adapters.kinds import CHILDREN, LEASE, MODEL
from psm_operator.adapters.kube_api import Resource
from psm_operator.handlers import WATCHED, JitteredForever, NoDiffBase, operator_settings, selector, watcher_name
from psm_operator.logs import extras


def as_kopf(resource: Resource) -> KopfResource:
    """A resource as kopf finds it in the API's discovery."""
    return KopfResource(*selector(resource), kind=resource.kind)


@pytest.fixture
def settings() -> kopf.OperatorSettings:
    """What kopf runs with."""
    return operator_settings("psm-operator")


def test_nothing_of_kopf_writes_to_anybodys_object(settings: kopf.OperatorSettings) -> None:
    """No log lines as Events, no peering, no last-seen annotation."""
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert isinstance(settings.persistence.diffbase_storage, NoDiffBase)


@pytest.mark.parametrize("resource", CHILDREN, ids=lambda resource: resource.plural)
def test_children_are_selected_by_the_server(settings: kopf.OperatorSettings, resource: Resource) -> None:
    """Objects of others are never sent to us."""
    assert settings.watching.label_selectors.collect(as_kopf(resource)) == ["app.kubernetes.io/managed-by=psm-operator"]


def test_models_are_not_filtered_and_only_our_lease_is_watched(settings: kopf.OperatorSettings) -> None:
    """Kubelets alone renew one Lease per node every ten seconds."""
    assert settings.watching.label_selectors.collect(as_kopf(MODEL)) == []
    assert settings.watching.field_selectors.collect(as_kopf(MODEL)) == []
    assert settings.watching.field_selectors.collect(as_kopf(LEASE)) == ["metadata.name=psm-operator"]


@pytest.mark.parametrize("resource", WATCHED, ids=lambda resource: resource.plural)
def test_watcher_tasks_are_named_as_kopf_names_them(resource: Resource) -> None:
    """The watchdog looks for them by this name (kopf's orchestration.spawn_missing_watchers)."""
    assert watcher_name(resource, None) == f"watcher for {as_kopf(resource)}@None"
    assert watcher_name(resource, "mlops") == f"watcher for {as_kopf(resource)}@mlops"


def test_backoffs_never_end_and_start_anew_for_each_request() -> None:
    """A watch survives any outage, and does not knock in step with the others."""
    backoffs = JitteredForever(lambda: 1.0)
    for _ in range(2):
        assert list(itertools.islice(backoffs, 12)) == [1, 1, 2, 3, 5, 8, 13, 21, 30, 30, 30, 30]
    assert next(iter(JitteredForever(lambda: 0.0))) == 0.5


def test_extras_of_a_log_record_become_fields() -> None:
    """`model` can be filtered by; kopf's own bookkeeping is not shown."""
    record = logging.makeLogRecord({"msg": "x", "model": "mlops/a", "k8s_ref": {}})
    assert extras(record) == {"model": "mlops/a"}
