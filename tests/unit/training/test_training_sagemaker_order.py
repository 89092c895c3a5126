"""What a job is asked to do, its checkpoints, and what it tells of itself: without a process."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_training.errors import PipelineError
from psm_training.recipes import recipe_named
from psm_training.sagemaker import observed
from psm_training.sagemaker.checkpoints import Checkpoints, stamps
from psm_training.sagemaker.observed import Journal, exposition, metric_definitions, metric_line, quality_lines
from psm_training.sagemaker.order import STEPS, JobOrder, changed
from psm_training.sagemaker.paths import Container


def test_a_job_without_hyperparameters_does_everything_but_register() -> None:
    """The defaults are those of `psm-train run`."""
    order = JobOrder.of({})
    assert (order.source, order.recipe, order.steps) == ("complete-journey", recipe_named("v2"), STEPS[:-1])
    assert order.target.approve == "never"


def test_hyperparameters_change_fields_of_the_recipe() -> None:
    """By their path; texts become what the field is, also those that the SDK wrote as JSON or the tuner as a float."""
    order = JobOrder.of(
        {
            "recipe": '"v2"',
            "estimator.trees": "7.0",
            "tables.effect_penalty": "1",
            "_tuning_objective_metric": "validation:macro_f1",
        }
    )
    described = order.recipe.describe()
    assert described["estimator"]["trees"] == 7
    assert described["tables"]["effect_penalty"] == 1.0
    assert described["tables"]["min_lines"] == recipe_named("v2").tables.min_lines


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"recpie": "v2"}, "unknown hyperparameter 'recpie'"),
        ({"recipe": "v9"}, "unknown recipe 'v9'"),
        ({"steps": "ingest,trian"}, "unknown step 'trian'"),
        ({"estimator.tress": "7"}, "no field 'estimator.tress'"),
        ({"estimator.trees": "many"}, "estimator.trees='many' is no int"),
        ({"estimator.trees": "7.5"}, "estimator.trees='7.5' is no int"),
        ({"estimator.trees.more": "7"}, "no field 'estimator.trees.more'"),
        ({"allow_failed_validation": "maybe"}, "expected true or false"),
        ({"approve": "always"}, "expected never or auto"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mistake_is_named(hyperparameters: dict[str, str], message: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(message)):
        JobOrder.of(hyperparameters)


@given(st.floats(min_value=1e-6, max_value=1e6), st.integers(1, 500))
def test_a_changed_field_is_the_only_change(penalty: float, lines: int) -> None:
    """Whatever the tuner tries."""
    recipe = recipe_named("v1")
    described = changed(recipe, {"tables.effect_penalty": repr(penalty), "tables.min_lines": str(lines)}).describe()
    tables = {**recipe.describe()["tables"], "effect_penalty": penalty, "min_lines": lines}
    assert described == {**recipe.describe(), "tables": tables}


def test_two_channels_of_data_are_refused(tmp_path: Path) -> None:
    """Which one to take would be a guess; a workspace beside the data is fine."""
    container = Container(tmp_path)
    assert container.data() is None
    for name in ("workspace", "training"):
        (tmp_path / "input/data" / name).mkdir(parents=True)
    assert container.data() == tmp_path / "input/data/training"
    (tmp_path / "input/data/other").mkdir()
    with pytest.raises(PipelineError, match="other, training"):
        container.data()


# --- checkpoints ------------------------------------------------------------------------------------------------------


def saved(folder: Path) -> Checkpoints:
    """Two steps; the second changed a file of the first."""
    kept, work = Checkpoints(folder / "checkpoints", "k" * 64), folder / "work"
    work.mkdir()
    for step, files in {"ingest": {"a": "one", "b/c": "two"}, "train": {"a": "changed", "d": "one"}}.items():
        before = stamps(work)
        for name, text in files.items():
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text(text)
        kept.save(step, work, before)
    return kept


def test_finished_steps_come_back(tmp_path: Path) -> None:
    """Files as they were after the last step; nothing of the folder is left half written."""
    kept, back = saved(tmp_path), tmp_path / "back"
    assert kept.restore(["ingest", "train", "evaluate"], back) == ["ingest", "train"]
    assert {name: (back / name).read_text() for name in stamps(back)} == {"a": "changed", "b/c": "two", "d": "one"}
    assert list(kept.folder.rglob("*.partial")) == []


def test_another_order_begins_anew(tmp_path: Path) -> None:
    """Checkpoints of other data, code or hyperparameters in the same folder are not looked at."""
    other = Checkpoints(saved(tmp_path).folder, "j" * 64)
    assert other.restore(["ingest"], tmp_path / "back") == []


def test_whatever_is_damaged_is_run_again(tmp_path: Path) -> None:
    """Each file in turn: cut off, as by a copy taken while it was written, or gone."""
    kept = saved(tmp_path)
    for number, path in enumerate(sorted(path for path in kept.folder.rglob("*") if path.is_file())):
        content = path.read_bytes()
        for damage in (content[:-1], None):
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            back = tmp_path / f"back{number}{damage is None}"
            done = kept.restore(["ingest", "train"], back)
            assert done in ([], ["ingest"]), path
            assert ((back / "a").read_text() if done else "one") == "one"
            path.write_bytes(content)
    assert kept.restore(["ingest", "train"], tmp_path / "last") == ["ingest", "train"]


# --- what a job tells -------------------------------------------------------------------------------------------------


@given(st.sampled_from(observed.METRICS), st.floats(min_value=0, max_value=1))
def test_a_metrics_definition_finds_its_line_and_no_other(name: str, value: float) -> None:
    """Small numbers too: what Python writes as 1e-05 no regular expression finds."""
    line = metric_line(name, value)
    found = {one["Name"]: re.findall(one["Regex"], f"noise {line} noise") for one in metric_definitions()}
    assert {key: [float(text) for text in texts] for key, texts in found.items() if texts} == {
        name: [pytest.approx(value, abs=5e-7)]
    }


def test_a_job_may_have_no_more_metrics_than_sagemaker_takes() -> None:
    """40 definitions, names up to 255 and expressions up to 500 characters."""
    definitions = metric_definitions()
    assert len(definitions) <= 40
    assert all(len(one["Name"]) <= 255 and len(one["Regex"]) <= 500 for one in definitions)


def test_quality_is_told_of_both_sets() -> None:
    lines = list(quality_lines({"accuracy": 0.8, "precision_LA": 0.7}, {"macro_f1": 0.75}))
    assert lines == [
        "metric validation:macro_f1=0.750000;",
        "metric test:accuracy=0.800000;",
        "metric test:precision_LA=0.700000;",
    ]


def test_a_steps_time_is_in_cloudwatchs_embedded_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every metric that the line declares has its value and its dimension beside it."""
    ticks = iter([10.0, 3010.0])
    journal = Journal(tmp_path / "journal", wall=lambda: 1_700_000_000.25, clock=lambda: next(ticks))
    with journal.step("train"):
        pass
    metric, line = capsys.readouterr().out.splitlines()
    assert metric == "metric step:seconds=3000.000000;"
    document = json.loads(line)
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    assert document["_aws"]["Timestamp"] == 1_700_000_000_250
    assert directive["Namespace"] == "PSM/Training"
    names = [name for names in directive["Dimensions"] for name in names]
    assert {name: document[name] for name in names} == {"Step": "train"}
    values = {metric["Name"]: document[metric["Name"]] for metric in directive["Metrics"]}
    assert values == {"StepSeconds": 3000.0, "OverObjective": 1}


def test_prometheus_sees_what_runs_what_ended_and_what_failed(tmp_path: Path) -> None:
    """A step that ended is no longer running."""
    ticks = iter([0.0, 2.0, 5.0, 6.5, 7.0])
    journal = Journal(tmp_path / "journal", wall=lambda: 100.0, clock=lambda: next(ticks))
    with journal.step("ingest"):
        pass
    with pytest.raises(PipelineError), journal.step("validate"):
        raise PipelineError("no")
    journal.note({"event": "started", "step": "split", "time": 100.0})
    journal.path.write_text(journal.path.read_text() + '{"event": "fini')
    text = exposition(journal.read())
    samples = [line for line in text.splitlines() if not line.startswith("#") and "objective" not in line]
    assert samples == [
        'psm_training_step_started_timestamp_seconds{step="split"} 100.0',
        'psm_training_step_seconds{step="ingest"} 2.0',
        'psm_training_step_seconds{step="validate"} 1.5',
        'psm_training_step_failed{step="ingest"} 0',
        'psm_training_step_failed{step="validate"} 1',
    ]


def test_every_step_has_an_objective() -> None:
    """And the run's is longer than all of them together would be told of."""
    assert observed.OBJECTIVES.keys() == set(STEPS)
    assert sum(observed.OBJECTIVES.values()) < observed.RUN_OBJECTIVE_S
