"""What SageMaker takes of a job's machines, by botocore's model of its API; asked before a request is printed or sent.

Limits of an account (quotas) and of a region (types that it has) are not in that model.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from psm_training.errors import PipelineError

if TYPE_CHECKING:
    from psm_training.sagemaker.requests import Place

TRAINING: Final = "training"
TUNING: Final = "tuning"
PROCESSING: Final = "processing"
TRANSFORM: Final = "transform"

_OF_TRAINING: Final = {
    "instance_type": "TrainingInstanceType",
    "instance_count": "TrainingInstanceCount",
    "volume_gib": "VolumeSizeInGB",
    "max_runtime_s": "MaxRuntimeInSeconds",
    "input_mode": "TrainingInputMode",
}
SHAPES: Final[Mapping[str, Mapping[str, str]]] = {
    TRAINING: _OF_TRAINING,
    TUNING: _OF_TRAINING,
    PROCESSING: {
        "instance_type": "ProcessingInstanceType",
        "instance_count": "ProcessingInstanceCount",
        "volume_gib": "ProcessingVolumeSizeInGB",
        "max_runtime_s": "ProcessingMaxRuntimeInSeconds",
    },
    TRANSFORM: {"instance_type": "TransformInstanceType", "instance_count": "TransformInstanceCount"},
}
"""Kind of job -> field of a place -> shape that limits it; a kind without a field does not use it."""

NAMES: Final[Mapping[str, str]] = {
    TRAINING: "TrainingJobName",
    TUNING: "HyperParameterTuningJobName",
    TRANSFORM: "TransformJobName",
}
"""Kind of job -> shape of its name."""

_FEW: Final = 8
"""Values that a message lists where none is like the one that was given."""

_GRAVITON: Final = re.compile(r"ml\.[a-z]+\d+g")
"""ARM's types, such as ml.m7g.large and ml.c6gn.large; a GPU's have the g before the generation, ml.g5.xlarge."""


def check(place: "Place", *kinds: str) -> None:
    """Refuse a place that SageMaker would refuse for one of these kinds of job, or that our container cannot run on.

    Raises:
        PipelineError: With the option, its value and what is allowed.
    """
    for kind in kinds:
        for fault in _faults(place, kind):
            raise PipelineError(fault)


def check_name(name: str, kind: str) -> None:
    """Refuse a job's name that SageMaker would refuse.

    Raises:
        PipelineError: With the name and what is allowed.
    """
    shape = _shape(NAMES[kind])
    longest = shape.metadata["max"]
    if len(name) > longest or not re.fullmatch(shape.metadata["pattern"], name):
        raise PipelineError(
            f"{name!r} is no name of a {kind} job: letters, digits and hyphens between them, {longest} at most"
        )


def _faults(place: "Place", kind: str) -> Iterator[str]:
    for field, shape in SHAPES[kind].items():
        value = getattr(place, field)
        option = f"--{field.replace('_', '-')} {value}"
        yield from (f"{option}: a {kind} job takes {allowed}" for allowed in _outside(value, shape))
    if _GRAVITON.match(place.instance_type):
        yield f"--instance-type {place.instance_type} is an ARM machine, and the image is built for x86-64"
    if kind != TRANSFORM and place.instance_count > 1:
        yield f"--instance-count {place.instance_count}: a {kind} job runs on one machine; only transform shares its files among several"
    if place.input_mode == "Pipe":
        yield "--input-mode Pipe: the container reads files, not pipes; FastFile streams them as files"


def _outside(value: Any, name: str) -> Iterator[str]:
    """Say what a shape allows, if that is not the value."""
    shape = _shape(name)
    known = getattr(shape, "enum", None)
    if known and value not in known:
        alike = [one for one in known if one.rpartition(".")[0] == str(value).rpartition(".")[0]] or known
        more = f" and {len(alike) - _FEW} more of {name}" if len(alike) > _FEW else ""
        yield f"{', '.join(alike[:_FEW])}{more}"
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if not known and (value < max(least or 0, 1) or (most is not None and value > most)):
        yield f"{max(least or 0, 1)} to {most}" if most is not None else f"{max(least or 0, 1)} or more"


@cache
def _shape(name: str) -> Any:
    return botocore.session.get_session().get_service_model("sagemaker").shape_for(name)
