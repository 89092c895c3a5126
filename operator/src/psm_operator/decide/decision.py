"""The decision as a whole: settle the release, say what the children should be, and sum it up for people."""

from psm_operator.api.status import ModelStatus, Served
from psm_operator.api.stored import keep_unknown
from psm_operator.decide.desired import DesiredModel, PredictorDefaults, children
from psm_operator.decide.plan import actions
from psm_operator.decide.release import settle
from psm_operator.decide.rollback import Blocked, rollback_decision
from psm_operator.decide.scene import proving, serving_target
from psm_operator.decide.sizing import held_at, size_to_start_with
from psm_operator.decide.summary import summarise
from psm_operator.decide.timing import needs_every_read, refresh_registry_after_s, requeue_after_s
from psm_operator.values import Observation, Plan, ServeTarget


def decide(seen: Observation, defaults: PredictorDefaults) -> Plan:
    """Turn one complete observation into a plan. Pure: the same observation gives the same plan.

    Args:
        seen: everything that may be known.
        defaults: what the operator's installation gives every predictor (image, environment).
    """
    release = settle(seen)
    decision = rollback_decision(seen, release)
    blocked = decision if isinstance(decision, Blocked) else None
    wanted = children(desired_model(seen, release, blocked, defaults))
    return Plan(
        release=keep_unknown(seen.status, summarise(seen, release, blocked)),
        actions=() if seen.spec.suspend else actions(wanted, seen.children),
        requeue_after_s=requeue_after_s(seen, release),
        refresh_registry_after_s=refresh_registry_after_s(seen, release),
        needs_every_read=needs_every_read(seen, release),
    )


def desired_model(
    seen: Observation, release: ModelStatus, blocked: Blocked | None, defaults: PredictorDefaults
) -> DesiredModel:
    """What the children are to express."""
    serving, tried = serving_target(release), proving(seen.spec, release)
    return DesiredModel(
        ref=seen.ref,
        uid=seen.uid,
        spec=seen.spec,
        serving=_serve_target(serving or tried),
        candidate=_serve_target(tried) if serving is not None else None,
        held_at=held_at(seen, release, blocked),
        replicas_hint=size_to_start_with(seen, release),
        defaults=defaults,
    )


def _serve_target(served: Served | None) -> ServeTarget | None:
    if served is None:
        return None
    return ServeTarget(
        version=served.version, arn=served.arn, model_data_url=served.model_data_url, sha256=served.sha256
    )
