"""`kubectl psm explain`: the operator's rules about one version, in order, with their values."""

from psm_operator.decide.explain import ROLL_OUT, first_stop, is_served
from psm_operator.decide.explain import explain as explained_steps
from psm_operator.decide.explain_steps import Answer, Step
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.look import Wanted, look
from psm_operator.kubectl.models import name_of, read_one
from psm_operator.kubectl.output import document, paint
from psm_operator.kubectl.session import Session
from psm_operator.kubectl.table import lines_of

HEADERS = ("", "RULE", "ANSWER", "VALUE", "BOUND", "WHY")
ARROW = "->"
STOPS = frozenset({Answer.FAIL, Answer.WAIT})


def explain(session: Session, name: str, version: int | None, *, output: str, registry: str) -> None:
    """Print why a version is, or is not, served."""
    model = read_one(session.client, session.namespace, name)
    found = look(session.client, model, Wanted(registry, version))
    seen, about = found.seen, found.version
    if about is None:
        raise PluginError(f"{name} knows of no version yet: {seen.status.message or 'the operator has not seen it'}")
    steps = explained_steps(seen, about)
    stop = first_stop(steps)
    said = summary(name_of(model), about, stop, is_served=is_served(seen, about))
    if output:
        session.say(document(_as_json(seen.ref.namespace, name, about, said, steps), output))
    else:
        session.say(said)
        session.say("")
        for line in steps_as_lines(steps, has_color=session.has_color):
            session.say(line)
    for sentence in found.missing:
        session.warn(f"warning: {sentence}")


def summary(name: str, version: int, stop: Step | None, *, is_served: bool) -> str:
    """The answer in one sentence."""
    head = f"version {version} of {name} is {'served' if is_served else 'not served'}"
    if stop is None:
        return head if is_served else f"{head} yet: nothing stands in its way, the operator's next pass takes it"
    why = stop.message or f"{stop.value} against {stop.bound}"
    if stop.rule == ROLL_OUT:
        return f"version {version} of {name} is being rolled out: {stop.value}" + (
            f"; {stop.message}" if stop.message else ""
        )
    join = "; but" if is_served else ":"
    if stop.answer is Answer.UNKNOWN:
        return head if is_served else f"{head}{join} nothing known stands in its way, {stop.rule} is unknown ({why})"
    return f"{head}{join} {stop.rule}: {why}"


def steps_as_lines(steps: tuple[Step, ...], *, has_color: bool) -> list[str]:
    """The rules as a table; an arrow marks the first that stands in the way."""
    stop = first_stop(steps)
    rows = [(_arrow(step, stop), step.rule, step.answer.value, step.value, step.bound, step.message) for step in steps]
    lines = zip(lines_of(HEADERS, rows), [HEADERS, *rows], strict=True)
    return [paint(line, [row[2]], has_color=has_color) for line, row in lines]


def _arrow(step: Step, stop: Step | None) -> str:
    return ARROW if step is stop and step.answer in STOPS else ""


def _as_json(namespace: str, name: str, version: int, summary: str, steps: tuple[Step, ...]) -> dict[str, object]:
    return {
        "namespace": namespace,
        "name": name,
        "version": version,
        "summary": summary,
        "steps": [
            {"rule": s.rule, "answer": s.answer.value, "value": s.value, "bound": s.bound, "message": s.message}
            for s in steps
        ],
    }
