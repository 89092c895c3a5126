"""The model card: what a model is for, what it learned from, how good it is and where it is not.

model_card.json is the content of a SageMaker model package's model card (ModelCardContent of CreateModelPackage),
model_card.md the same for people.
"""

from pathlib import Path
from typing import Any, Final

from psm_contract.schema import CLASSES
from psm_training.model_quality import KPIS, ROOT, metrics_of
from psm_training.report.page import render
from psm_training.workspace import write_json

LONGEST_NAME: Final = 63
"""Characters of a metric's group, an axis label and the like in SageMaker's schema."""

PURPOSE: Final = (
    "Says of a shopping basket whether its products come from the cheap (LA), the middle (MM) or the dear (UM) price "
    "tier, so that assortment, promotions and reports can tell price-sensitive demand from the rest."
)
USES: Final = (
    "Baskets of the retail chain whose tills the model was trained on, one by one or in batches, within about a year "
    "of the training window. Not for setting the price that one person pays, not for credit, insurance or employment, "
    "and not for guessing anybody's income: a basket is not a person."
)
FACTORS: Final = (
    "Products and price levels that the training window does not know fall back to their product type, category and "
    "department; accuracy falls with the share of such lines, with short baskets and with inflation. Prices, "
    "assortment and opening of stores drift: the operator compares live baskets with the training window."
)
RISK: Final = (
    "Decides nothing about a person by itself; a wrong answer makes a promotion less fitting. The customer segments "
    "seg_1 and seg_2 are made from demographics where the source has them."
)
ETHICS: Final = (
    "Price sensitivity goes along with income. Used on single customers it would let a seller charge those more who can "
    "pay more, or offer less to those who can pay less. Look at the slices by region and store format before use."
)
LABELS: Final = {
    "complete-journey": (
        "The label is derived, not the vendor's: products are placed in a price tier by what other households paid. "
        "All figures are about that label."
    ),
    "synthetic": "The baskets are generated; the figures say nothing about real shoppers.",
    "source-files": "The label is the vendor's BASKET_PRICE_SENSITIVITY; baskets marked XX are not judged.",
}


def card_content(name: str, model: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The card as SageMaker's schema wants it.

    Args:
        name: Of the recipe.
        model: Its part of the report.
        document: The report.
    """
    card, source = model["card"], document["source"]["source"]
    weak = [
        f"{column} {entry['value']}" for column, found in model["slices"].items() for entry in found if entry["worse"]
    ]
    caveats = LABELS.get(source, "")
    if weak:
        caveats += f" Less accurate than on the whole, beyond chance, where {', '.join(weak)}."
    return {
        "model_overview": {"model_creator": f"psm-train, recipe {name}, commit {card['git_sha']}"},
        "intended_uses": {
            "purpose_of_model": PURPOSE,
            "intended_uses": USES,
            "factors_affecting_model_efficiency": FACTORS,
            "risk_rating": "Low",
            "explanations_for_risk_rating": RISK,
        },
        "business_details": {
            "business_problem": "Which baskets are price-sensitive?",
            "line_of_business": "Retail",
        },
        "training_details": _training(card, source),
        "evaluation_details": [_evaluation(model)],
        "additional_information": {
            "ethical_considerations": ETHICS,
            "caveats_and_recommendations": caveats.strip(),
            "custom_details": {
                "archive sha256": card["sha256"],
                "git commit": card["git_sha"],
                "created": card["created_at"],
                "KPIs met": "yes" if model["kpis_met"] else "no",
            },
        },
    }


def _training(card: dict[str, Any], source: str) -> dict[str, Any]:
    training = card["training"]
    return {
        "objective_function": {
            "function": {"function": "Maximize", "facet": "Accuracy", "condition": "on validation households"},
            "notes": (
                "v1 and v2 were chosen by looking at validation and at test baskets: the third digit of their figures is "
                "not to be trusted."
            ),
        },
        "training_observations": (
            f"{training['baskets']:,} labelled baskets of {training['households']:,} households in weeks "
            f"{training['first_week']}-{training['last_week']}; validation and test are other households in later "
            f"weeks. Data validation: {card['data_validation']}."
        ),
        "training_job_details": {
            "training_datasets": [source],
            "user_provided_hyper_parameters": _parameters(card["recipe"]),
        },
    }


def write_card(folder: Path, content: dict[str, Any]) -> Path:
    """Writes model_card.json and model_card.md into the folder of the model; the second's path."""
    write_json(folder / "model_card.json", content)
    page = folder / "model_card.md"
    groups = {group["name"]: group["metric_data"] for group in content["evaluation_details"][0]["metric_groups"]}
    page.write_text(render("model_card.md.j2", card=content, groups=groups, classes=CLASSES), encoding="utf-8")
    return page


def _parameters(recipe: dict[str, Any], prefix: str = "") -> list[dict[str, str]]:
    """The recipe as a flat list of texts."""
    found = []
    for name, value in sorted(recipe.items()):
        if isinstance(value, dict):
            found += _parameters(value, f"{prefix}{name}.")
        else:
            found.append({"name": f"{prefix}{name}", "value": str(value)})
    return found


def _evaluation(model: dict[str, Any]) -> dict[str, Any]:
    """What the model reached on the test baskets."""
    metrics, found = model[ROOT], metrics_of(model)
    quality = [
        _number(name, value, f"needed {KPIS[name]}" if name in KPIS else "") for name, value in sorted(found.items())
    ]
    for name in ("accuracy", "macro_f1"):
        for end, value in zip(("lower", "upper"), metrics[name]["confidence_interval_95"], strict=True):
            quality.append(_number(f"{name}_{end}", value, "95 % interval, by drawing households"))
    return {
        "name": "test baskets",
        "evaluation_observation": (
            f"{model['baskets']:,} baskets of {model['households']:,} households that the model was not trained on, in "
            "later weeks."
        ),
        "metric_groups": [
            {"name": "quality", "metric_data": quality},
            {"name": "confusion", "metric_data": [_confusion(metrics["confusion_matrix"])]},
            {"name": "calibration", "metric_data": _calibration(model["calibration"])},
            {"name": "importance", "metric_data": [_importance(model["importance"]["groups"])]},
            *(
                {"name": f"accuracy by {column}", "metric_data": _slices(found)}
                for column, found in model["slices"].items()
                if not all(entry["too_few"] for entry in found)
            ),
        ],
    }


def _number(name: str, value: float, notes: str = "") -> dict[str, Any]:
    return {"name": name, "type": "number", "value": value, **({"notes": notes} if notes else {})}


def _confusion(matrix: dict[str, dict[str, int]]) -> dict[str, Any]:
    return {
        "name": "confusion matrix",
        "type": "matrix",
        "notes": "rows are what was, columns what was said",
        "value": [[matrix[row][column] for column in CLASSES] for row in CLASSES],
        "x_axis_name": list(CLASSES),
        "y_axis_name": list(CLASSES),
    }


def _calibration(found: dict[str, Any]) -> list[dict[str, Any]]:
    numbers = ("expected_calibration_error", "brier", "log_loss")
    curve = [[each["confidence"], each["accuracy"]["value"]] for each in found["bins"]]
    return [
        *(_number(name, found[name]["value"]) for name in numbers),
        {
            "name": "reliability of the predicted class",
            "type": "linear_graph",
            "value": curve,
            "x_axis_name": "probability",
            "y_axis_name": "share that is so",
        },
    ]


def _importance(groups: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "accuracy lost without a group of features",
        "type": "bar_chart",
        "value": [group["accuracy_lost"]["value"] for group in groups],
        "x_axis_name": [group["name"][:LONGEST_NAME] for group in groups],
        "y_axis_name": "accuracy lost",
    }


def _slices(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        _number(entry["value"], entry["accuracy"]["value"], f"{entry['baskets']} baskets")
        for entry in found
        if not entry["too_few"]
    ]
