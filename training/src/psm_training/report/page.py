"""Report as one HTML file: text, tables and pictures inside, nothing loaded from anywhere."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from psm_contract.schema import CLASSES
from psm_training.model_quality import KPIS, ROOT, metrics_of
from psm_training.report import figures_of_data as data_figures
from psm_training.report import figures_of_models as model_figures

KPI_WORDS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "precision_min_class": "Precision of the worst class",
}


def write_page(path: Path, document: dict[str, Any]) -> None:
    """Writes the HTML.

    Args:
        path: File to write.
        document: What `build.report` collected.
    """
    path.write_text(render("report.html.j2", **_content(document)), encoding="utf-8")


def render(template: str, **content: Any) -> str:
    """A template of this package with its content; a name that is not there is an error."""
    environment = Environment(
        loader=PackageLoader("psm_training.report"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        count="{:,}".format, number="{:.3f}".format, percent="{:.1%}".format, estimate=_estimate, error=_error
    )
    return environment.get_template(template).render(**content)


def _content(document: dict[str, Any]) -> dict[str, Any]:
    models = document["models"]
    figures = {name: _figures(name, model) for name, model in models.items()}
    return {
        "classes": CLASSES,
        "root": ROOT,
        "best": document["best"],
        "models": models,
        "figures": figures,
        "source": document["source"],
        "validation": document["validation"],
        "data": document["data"],
        "data_figures": {
            "balance": Markup(data_figures.class_balance(document["data"]["weeks"])),  # noqa: S704  # our own drawing
            "histograms": Markup(data_figures.histograms(document["data"]["histograms"])),  # noqa: S704
            "boxes": Markup(data_figures.boxes(document["data"]["boxes"])),  # noqa: S704
            "correlation": Markup(data_figures.correlation(document["data"]["correlation"])),  # noqa: S704
        },
        "comparison": sorted(document["comparison"], key=lambda row: -row["accuracy"]),
        "comparison_figure": Markup(model_figures.comparison(document["comparison"])),  # noqa: S704
        "kpis": [_kpi(name, words, models) for name, words in KPI_WORDS.items()],
    }


def _figures(name: str, model: dict[str, Any]) -> dict[str, Markup]:
    accuracy = model[ROOT]["accuracy"]["value"]
    found = {
        "quality": model_figures.quality(name, model),
        "importance": model_figures.importance(name, model["importance"]),
        "slices": model_figures.slices(name, model["slices"], accuracy),
    }
    if "learning_curve" in model:
        found["learning_curve"] = model_figures.learning_curve(name, model["learning_curve"])
    return {key: Markup(svg) for key, svg in found.items()}  # noqa: S704  # our own drawing


def _kpi(name: str, words: str, models: dict[str, Any]) -> dict[str, Any]:
    """One row of the table of KPIs: what each model reaches."""
    values = {model: metrics_of(document)[name] for model, document in models.items()}
    return {
        "words": words,
        "minimum": KPIS[name],
        "values": [
            {"value": value, "met": value >= KPIS[name], "interval": _interval(name, models[model])}
            for model, value in values.items()
        ],
    }


def _interval(name: str, document: dict[str, Any]) -> list[float]:
    metrics = document[ROOT]
    if name in metrics:
        return list(metrics[name]["confidence_interval_95"])
    worst = min(metrics["precision"].values(), key=lambda found: found["value"])
    return list(worst["confidence_interval_95"])


def _estimate(found: dict[str, Any]) -> str:
    """A number with its interval."""
    low, high = found["confidence_interval_95"]
    return f"{found['value']:.3f} ({low:.3f}\N{EN DASH}{high:.3f})"


def _error(found: dict[str, Any]) -> str:
    """A calibration error, and what chance alone may make of it."""
    return f"{found['value']:.3f} (chance: {found['by_chance']:.3f})"
