"""psm-train report: one page, the same as JSON, cards; and nothing in it that comes from elsewhere."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_card_schema import MODEL_CARD_CONTENT
from training_spaces import Ran, copied

from psm_contract.schema import CLASSES
from psm_training.__main__ import main
from psm_training.model_quality import ROOT
from psm_training.models.predictions import Predictions
from psm_training.report.page import write_page
from psm_training.split import TEST
from psm_training.workspace import Workspace, write_json

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What a browser would find: ids, links, and elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "xlink:href", "src", "data", "action"}:
                self.links.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def space(synthetic_run: Ran, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two models on synthetic baskets with their report, made once; only the verdict on the data is written here."""
    space = copied(synthetic_run.space, tmp_path_factory.mktemp("report"))
    check = {"name": "volume", "passed": True, "message": "84,955 lines"}
    write_json(space.validation, {"verdict": "passed", "checks": [check]})
    assert main(["report", "--out", str(space.root)]) == 0
    return space


@pytest.fixture(scope="module")
def document(space: Workspace) -> Any:
    return json.loads((space.root / "report.json").read_text())


@pytest.fixture(scope="module")
def text(space: Workspace) -> str:
    return (space.root / "report.html").read_text()


def test_the_page_loads_nothing_and_forbids_loading(text: str) -> None:
    """Links stay on the page, pictures are inside, no script; the browser is told so too."""
    page = Page(text)
    assert [link for link in page.links if not link.startswith(("#", "data:image/png;base64,"))] == []
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "embed"})
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.findall(r"@import|url\((?!#)", text)


def test_the_page_is_well_formed(text: str) -> None:
    """Every element is closed, no id is there twice and every link has its target."""
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = [link[1:] for link in page.links if link.startswith("#")]
    assert targets
    assert set(targets) <= set(page.ids)


def test_the_pictures_follow_the_colours_of_the_page(text: str) -> None:
    """Readable on white and on black: ink is the page's, backgrounds are not painted."""
    assert "currentColor" in text
    assert "#0a0b0c" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_has_a_picture_of_everything(text: str, document: Any) -> None:
    """Comparison; per model quality, importance, slices; the curve of the best; four of the data."""
    assert text.count("<svg") == 1 + 3 * len(document["models"]) + 1 + 4
    assert text.count("<figure") == text.count("<figcaption")


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_the_json_is_the_evaluation_and_more(space: Workspace, document: Any, name: str) -> None:
    """SageMaker's model-quality shape with the very figures of evaluation.json."""
    evaluation = json.loads(space.of(name).evaluation.read_text())
    assert document["models"][name][ROOT] == evaluation[ROOT]
    assert document["models"][name]["kpis_met"] == evaluation["kpis_met"]


def test_the_best_is_chosen_on_the_validation_households(document: Any) -> None:
    """And only the best gets the learning curve, whose last point it is."""
    accuracy = {name: model["validation_households"]["accuracy"] for name, model in document["models"].items()}
    best = document["best"]
    assert accuracy[best] == max(accuracy.values())
    assert [name for name, model in document["models"].items() if "learning_curve" in model] == [best]
    curve = document["models"][best]["learning_curve"]
    assert curve[-1]["accuracy"]["value"] == pytest.approx(accuracy[best])
    households = [point["households"] for point in curve]
    assert households == sorted(households)


def test_the_slices_of_a_column_hold_every_test_basket(space: Workspace, document: Any) -> None:
    """Counted again from the predictions."""
    test = Predictions.of(space.of("v1").predictions, TEST)
    for entries in document["models"]["v1"]["slices"].values():
        assert sum(entry["baskets"] for entry in entries) == len(test.label)


def test_the_data_is_counted_as_it_is(document: Any) -> None:
    """Baskets over weeks, over parts and in the overview are the same baskets."""
    data = document["data"]
    baskets = data["overview"]["baskets"]
    assert sum(map(sum, data["weeks"]["baskets"].values())) == baskets == sum(row["baskets"] for row in data["parts"])
    for found in data["histograms"].values():
        assert [sum(shares) for shares in found["shares"].values()] == pytest.approx([1.0] * len(CLASSES))
        assert len(found["edges"]) == len(found["shares"]["LA"]) + 1
    correlation = np.array(data["correlation"]["values"])
    assert np.abs(correlation).max() <= 1 + 1e-9
    np.testing.assert_array_equal(correlation, correlation.T)


def test_the_card_is_what_sagemaker_takes(space: Workspace, document: Any) -> None:
    """Content of a model package's card; the same numbers as the report's."""
    for name, model in document["models"].items():
        content = json.loads((space.of(name).folder / "model_card.json").read_text())
        MODEL_CARD_CONTENT.validate(content)
        (evaluation,) = content["evaluation_details"]
        quality = {entry["name"]: entry["value"] for entry in evaluation["metric_groups"][0]["metric_data"]}
        assert quality["accuracy"] == model[ROOT]["accuracy"]["value"]
        page = (space.of(name).folder / "model_card.md").read_text()
        assert f"{quality['accuracy']:.3f}" in page
        assert model["card"]["sha256"] in page
        assert "{{" not in page


def test_the_same_files_give_the_same_report(space: Workspace, document: Any, text: str, tmp_path: Path) -> None:
    """Every figure, and the page to the byte; the curve is left out here, it is a training of its own."""
    out = tmp_path / "out"
    shutil.copytree(space.root, out)
    assert main(["report", "--out", str(out), "--recipe", "v1", "--no-curve"]) == 0
    again = json.loads((out / "report.json").read_text())
    assert again["data"]["weeks"] == document["data"]["weeks"]
    expected = {name: found for name, found in document["models"]["v1"].items() if name != "learning_curve"}
    assert again["models"]["v1"] == expected
    write_page(tmp_path / "report.html", document)
    assert (tmp_path / "report.html").read_text() == text


def test_what_the_data_says_is_not_markup(document: Any, tmp_path: Path) -> None:
    """A store region that is HTML is shown as it is written, in tables and in pictures."""
    one = {**document, "models": {document["best"]: document["models"][document["best"]]}}
    poisoned = json.loads(json.dumps(one).replace('"value": "E01"', '"value": "<script>alert(1)</script>"'))
    write_page(tmp_path / "report.html", poisoned)
    written = (tmp_path / "report.html").read_text()
    assert "<script" not in written
    assert "&lt;script&gt;" in written


def test_predictions_of_another_training_are_refused(
    space: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page whose figures are not the package's would be believed."""
    out = tmp_path / "out"
    shutil.copytree(space.root, out)
    shutil.copyfile(space.of("v2").predictions, out / "v1" / "predictions.npz")
    assert main(["report", "--out", str(out), "--no-curve"]) == 1
    assert "come from two trainings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "message"),
    [((), "holds no evaluated model"), (("v1",), "train there with `psm-train run --no-cache`")],
    ids=["nothing", "kept outcomes without data"],
)
def test_a_report_of_nothing_says_what_to_run(
    space: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], there: tuple[str, ...], message: str
) -> None:
    """Exit status 1 and one line."""
    for name in there:
        shutil.copytree(space.root / name, tmp_path / name)
    assert main(["report", "--out", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_a_run_writes_its_report_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From raw data to the page in one command."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["run", "--source", "synthetic", "--recipe", "tree", "--out", str(tmp_path), "--report"]) == 0
    assert f"report: {tmp_path / 'report.html'}" in capsys.readouterr().err
    assert list(json.loads((tmp_path / "report.json").read_text())["models"]) == ["tree"]
