"""Metrics: counted once, bounded by what exists, gone with the model."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from world import GROUP, REF, World, spec

from psm_operator.adapters.trouble import Trouble
from psm_operator.telemetry import CALL_OUTCOMES, PrometheusTelemetry
from psm_operator.values import Approval


def samples(telemetry: PrometheusTelemetry, prefix: str = "psm_") -> dict[str, float]:
    """Every sample as `name{label values}` -> value; labels in the order of their names."""
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        f"{sample.name}{{{','.join(sample.labels[label] for label in sorted(sample.labels))}}}": sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


@pytest.fixture
def telemetry() -> PrometheusTelemetry:
    """A fresh one."""
    return PrometheusTelemetry(version="1.2.3")


def test_the_process_counts_passes_waits_calls_and_time(telemetry: PrometheusTelemetry) -> None:
    """What the queue, the adapters and the polls report."""
    telemetry.queue_added(3)
    telemetry.queue_waited(0.2)
    telemetry.queue_retried("RegistryThrottled")
    telemetry.pass_finished("success", 0.02)
    telemetry.aws_called("sagemaker", "ListModelPackages", "throttled", 0.2, retries=2)
    telemetry.polled(0.2)
    telemetry.registry_unknown(GROUP, 1.5)
    telemetry.leading(is_leader=True)
    telemetry.gauge("psm_queue_depth", "Keys waiting.", lambda: 7)
    telemetry.gauges("psm_watch_age_seconds", "Age.", "kind", {"Lease": lambda: 2})
    telemetry.counter("psm_lease_transitions", "Changes.", lambda: 4)
    found = samples(telemetry)
    assert found["psm_queue_adds_total{}"] == 1
    assert found["psm_queue_ahead_keys_bucket{5.0}"] == 1
    assert found["psm_queue_ahead_keys_bucket{2.0}"] == 0
    assert found["psm_queue_wait_seconds_sum{}"] == 0.2
    assert found["psm_queue_retries_total{RegistryThrottled}"] == 1
    assert found["psm_reconcile_duration_seconds_count{success}"] == 1
    assert found["psm_aws_calls_total{ListModelPackages,throttled,sagemaker}"] == 1
    assert found["psm_aws_calls_total{ListModelPackages,denied,sagemaker}"] == 0
    assert found["psm_aws_call_retries_total{ListModelPackages,sagemaker}"] == 2
    assert found["psm_aws_call_duration_seconds_count{ListModelPackages,sagemaker}"] == 1
    assert found["psm_registry_unknown_seconds_total{price-sensitivity,ap-southeast-1,}"] == 90
    assert found["psm_leader{}"] == 1
    assert found["psm_queue_depth{}"] == 7
    assert found["psm_watch_age_seconds{Lease}"] == 2
    assert found["psm_lease_transitions_total{}"] == 4
    assert found["psm_operator_build_info{1.2.3}"] == 1
    telemetry.group_forgotten(GROUP)
    assert not any("registry_unknown_seconds_total{" in name for name in samples(telemetry))


def test_one_group_read_by_two_roles_is_two_groups(telemetry: PrometheusTelemetry) -> None:
    """The one that is forgotten takes nothing from the other."""
    other = replace(GROUP, role_arn="arn:aws:iam::123456789012:role/reader")
    telemetry.registry_unknown(GROUP, 1)
    telemetry.registry_unknown(other, 2)
    telemetry.group_forgotten(GROUP)
    found = {name: value for name, value in samples(telemetry).items() if "registry_unknown" in name}
    assert found == {f"psm_registry_unknown_seconds_total{{price-sensitivity,ap-southeast-1,{other.role_arn}}}": 120}


def test_closed_sets_are_those_of_their_owners() -> None:
    """An outcome that AWS calls can have and nobody foresaw would appear with 1."""
    assert set(CALL_OUTCOMES) == {"ok"} | {trouble.name.lower() for trouble in Trouble}


def of_model(telemetry: PrometheusTelemetry) -> dict[str, float]:
    """Series that carry our model's name."""
    return {name: value for name, value in samples(telemetry).items() if f"{REF.name},{REF.namespace}" in name}


async def test_a_models_series_follow_it_and_go_with_it(telemetry: PrometheusTelemetry) -> None:
    """Gauges say what is served; the rollback is counted once however often it is looked at; nothing is left behind."""
    world = World()
    world.deps = replace(world.deps, telemetry=telemetry)
    world.register()
    await world.serve()
    assert of_model(telemetry)["psm_model_version{uk-grocery,mlops}"] == 1
    assert of_model(telemetry)["psm_model_ready{uk-grocery,mlops}"] == 1
    assert of_model(telemetry)["psm_model_metric{accuracy,uk-grocery,mlops}"] == 0.78
    world.register()
    await world.pass_time(120)
    world.approve(2, Approval.REJECTED)
    await world.pass_time(120)
    found = of_model(telemetry)
    assert world.serving == 1
    assert found["psm_model_rollbacks_total{uk-grocery,mlops}"] == 1
    assert sum(name.startswith("psm_model_info{") for name in found) == 1
    world.cluster.remove("PriceSensitivityModel", REF)
    await world.once()
    assert of_model(telemetry) == {}


async def test_a_stall_that_only_writing_showed_is_shown(telemetry: PrometheusTelemetry) -> None:
    """An object in the way is found when a child is applied, after everything was decided."""
    world = World()
    world.deps = replace(world.deps, telemetry=telemetry)
    foreign = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": REF.name, "namespace": REF.namespace}}
    world.cluster.put(foreign)
    world.register()
    world.create()
    await world.converge()
    assert of_model(telemetry)["psm_model_stalled{uk-grocery,mlops}"] == 1
    assert of_model(telemetry)["psm_model_condition{uk-grocery,mlops,AdoptionConflict,True,Stalled}"] == 1


async def test_a_new_process_counts_no_rollback_of_the_one_before(telemetry: PrometheusTelemetry) -> None:
    """It ended between a rollback's beginning and its end; the next one carries the rollback out and counts nothing."""
    world, first = World(), PrometheusTelemetry(version="0")
    world.deps = replace(world.deps, telemetry=first)
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(120)
    world.approve(2, Approval.REJECTED)
    while not samples(first)["psm_rollbacks_total{ApprovalRevoked}"]:
        world.polls.poll()
        await world.once()
        world.clock.advance(15)
    rollback = world.status.rollback
    assert rollback is not None
    assert rollback.finished_at is None
    world.restart()
    world.deps = replace(world.deps, telemetry=telemetry)
    await world.pass_time(120)
    assert world.serving == 1
    assert samples(first)["psm_rollbacks_total{ApprovalRevoked}"] == 1
    assert samples(telemetry)["psm_rollbacks_total{ApprovalRevoked}"] == 0
    assert samples(telemetry)["psm_model_rollbacks_total{uk-grocery,mlops}"] == 0


async def test_a_resource_that_cannot_be_understood_is_shown(telemetry: PrometheusTelemetry) -> None:
    """A spec from before a rule was there."""
    world = World()
    world.deps = replace(world.deps, telemetry=telemetry)
    world.cluster.put_model(REF, spec(interval="1s"))
    await world.once()
    assert of_model(telemetry)["psm_model_condition{uk-grocery,mlops,InvalidSpec,True,Stalled}"] == 1
