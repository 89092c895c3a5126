"""The SageMaker Pipeline: validate -> features -> train -> evaluate -> condition -> register. Pure.

Written as the JSON that CreatePipeline takes, without the SDK: it is data, and a test holds it against AWS's shapes.
Every step is our image with the steps of psm-train that it is named after; between steps travels a workspace in S3.
"""

from typing import Any, Final

from psm_training.model_quality import KPIS, ROOT
from psm_training.sagemaker.order import AUTO, OF_DATA
from psm_training.sagemaker.requests import Json, Place, processing_arguments, training_arguments

VERSION: Final = "2020-12-01"
IN: Final = "/opt/ml/processing/input"
OUT: Final = "/opt/ml/processing/output"

KPI_PATHS: Final = {
    "MinAccuracy": ("accuracy", ("accuracy.value",)),
    "MinMacroF1": ("macro_f1", ("macro_f1.value",)),
    "MinPrecision": ("precision_min_class", tuple(f"precision.{name}.value" for name in ("LA", "MM", "UM"))),
}
"""Parameter -> KPI and where its values are in the evaluation document."""


def definition(place: Place, *, source: str, data: str, group: str, bucket: str, predictor_image: str) -> Json:
    """The pipeline's definition.

    Args:
        place: Where its jobs run.
        source: Name of the source.
        data: s3:// prefix of its files; the default of parameter DataUrl.
        group: Model package group.
        bucket: Of the registered artifacts.
        predictor_image: That serves the models.
    """
    texts = {
        "Source": source, "DataUrl": data, "Recipe": "v2", "Group": group, "Bucket": bucket,
        "PredictorImage": predictor_image, "Approve": AUTO,
    }  # fmt: skip
    return {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": [
            *({"Name": name, "Type": "String", "DefaultValue": value} for name, value in texts.items()),
            *({"Name": name, "Type": "Float", "DefaultValue": KPIS[kpi]} for name, (kpi, _) in KPI_PATHS.items()),
        ],
        "Steps": [_validate(place), _features(place), _train(place), _evaluate(place), _condition(place)],
    }


def _validate(place: Place) -> Json:
    """Raw files -> validated, split workspace; data that fails validation ends the execution here."""
    return _processing(
        "Validate",
        place,
        ",".join(OF_DATA),
        ["--data", f"{IN}/data"],
        {"data": (_parameter("DataUrl"), f"{IN}/data")},
    )


def _features(place: Place) -> Json:
    return _processing("Features", place, "features", [], {"workspace": _workspace_of("Validate")})


def _train(place: Place) -> Json:
    hyperparameters = {
        "recipe": _parameter("Recipe"),
        "source": _parameter("Source"),
        "steps": "train,evaluate",  # so that the training job's own metrics are filled in
    }
    uri, _ = _workspace_of("Features")
    checkpoints = _join("/", f"{place.prefix}/checkpoints", {"Get": "Execution.PipelineExecutionId"})
    arguments = training_arguments(place, hyperparameters, uri, checkpoints)
    return {"Name": "Train", "Type": "Training", "Arguments": arguments}


def _evaluate(place: Place) -> Json:
    """Measures what the training job left, on another machine, and packs it; the condition reads its document."""
    step = _processing(
        "Evaluate",
        place,
        "evaluate,package",
        [],
        {
            "workspace": _workspace_of("Features"),
            "model": ({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, f"{IN}/model"),
        },
    )
    file = {"PropertyFileName": "Evaluation", "OutputName": "workspace", "FilePath": "evaluation.json"}
    step["PropertyFiles"] = [file]
    return step


def _condition(place: Place) -> Json:
    """Registers only what meets every KPI; whether it also beats the approved version is the registration's to say."""
    conditions = [
        {
            "Type": "GreaterThanOrEqualTo",
            "LeftValue": {
                "Std:JsonGet": {
                    "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
                    "Path": f"{ROOT}.{path}",
                }
            },
            "RightValue": _parameter(parameter),
        }
        for parameter, (_, paths) in KPI_PATHS.items()
        for path in paths
    ]
    return {
        "Name": "MeetsKpis",
        "Type": "Condition",
        "Arguments": {"Conditions": conditions, "IfSteps": [_register(place)], "ElseSteps": [_refuse()]},
    }


def _register(place: Place) -> Json:
    settings = {"group": "Group", "bucket": "Bucket", "image": "PredictorImage", "approve": "Approve"}
    more = [word for name, given in settings.items() for word in ("--set", _join("=", name, _parameter(given)))]
    return _processing("Register", place, "register", more, {"workspace": _workspace_of("Evaluate")})


def _refuse() -> Json:
    words = ["A KPI is not met; see", {"Get": "Execution.PipelineExecutionArn"}, "step Evaluate, evaluation.json"]
    return {"Name": "BelowKpis", "Type": "Fail", "Arguments": {"ErrorMessage": _join(" ", *words)}}


def _processing(name: str, place: Place, steps: str, more: list[Any], inputs: dict[str, tuple[Any, str]]) -> Json:
    """A processing step: its inputs but the data are what its workspace begins with, its output is the workspace."""
    begin = [word for given, (_, folder) in inputs.items() if given != "data" for word in ("--input", folder)]
    common = [
        "--set",
        _join("=", "recipe", _parameter("Recipe")),
        "--set",
        _join("=", "source", _parameter("Source")),
        "--out",
        OUT,
    ]
    arguments = ["process", "--steps", steps, *begin, *common, *more]
    target = _join("/", place.prefix, {"Get": "Execution.PipelineExecutionId"}, name.lower())
    outputs = {"workspace": (target, OUT)}
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": processing_arguments(place, arguments, inputs, outputs),
    }


def _workspace_of(step: str) -> tuple[Json, str]:
    """The workspace that a step left, and where the next one finds it."""
    path = f"Steps.{step}.ProcessingOutputConfig.Outputs['workspace'].S3Output.S3Uri"
    return {"Get": path}, f"{IN}/workspace"


def _parameter(name: str) -> Json:
    return {"Get": f"Parameters.{name}"}


def _join(separator: str, *values: Any) -> Json:
    return {"Std:Join": {"On": separator, "Values": list(values)}}
