"""What a job is asked to do, out of its hyperparameters, which are texts. Imports nothing heavy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

from psm_training.errors import PipelineError
from psm_training.recipes import Recipe, recipe_named
from psm_training.register import DEFAULT_BUCKET, DEFAULT_GROUP, DEFAULT_IMAGE

OF_DATA: Final = ("ingest", "validate", "split", "validate-gold")
VALIDATIONS: Final = ("validate", "validate-gold")
"""Raw and silver before the split, gold too after it."""
OF_RECIPE: Final = ("features", "train", "evaluate", "package")
REGISTER: Final = "register"
STEPS: Final = (*OF_DATA, *OF_RECIPE, REGISTER)
"""In order."""

NEVER: Final = "never"
AUTO: Final = "auto"

DEFAULTS: Final[Mapping[str, str]] = {
    "source": "complete-journey",
    "recipe": "v2",
    "steps": ",".join((*OF_DATA, *OF_RECIPE)),
    "allow_failed_validation": "false",
    "group": DEFAULT_GROUP,
    "bucket": DEFAULT_BUCKET,
    "image": DEFAULT_IMAGE,
    "approve": NEVER,
}
"""Every hyperparameter but those of the recipe, which are written with a dot: forest.trees."""


@dataclass(frozen=True)
class Target:
    """Where `register` puts the model.

    Attributes:
        group: Model package group.
        bucket: Of the artifacts.
        image: That serves the model.
        approve: NEVER, or AUTO: approve what meets every KPI and beats the approved version.
    """

    group: str
    bucket: str
    image: str
    approve: str


@dataclass(frozen=True)
class JobOrder:
    """One job.

    Attributes:
        source: Name of the source.
        recipe: With the changes that the hyperparameters make to it.
        steps: To be run, in order.
        allow_failed_validation: Train on data that failed validation; the verdict stays with the model.
        target: Where `register` puts the model.
    """

    source: str
    recipe: Recipe
    steps: tuple[str, ...]
    allow_failed_validation: bool
    target: Target

    @classmethod
    def of(cls, hyperparameters: Mapping[str, str]) -> "JobOrder":
        """Reads hyperparameters; what is not given has its default.

        Raises:
            PipelineError: One is unknown or has no meaning.
        """
        given = {key: _plain(value) for key, value in hyperparameters.items() if not key.startswith("_")}
        own = {key: value for key, value in given.items() if "." not in key}
        unknown = sorted(own.keys() - DEFAULTS.keys())
        if unknown:
            raise PipelineError(
                f"unknown hyperparameter {unknown[0]!r}; known are {', '.join(DEFAULTS)}, and fields of the recipe "
                "such as tables.effect_penalty"
            )
        words = {**DEFAULTS, **own}
        changes = {key: value for key, value in given.items() if "." in key}
        return cls(
            source=words["source"],
            recipe=changed(recipe_named(words["recipe"]), changes),
            steps=steps_of(words["steps"]),
            allow_failed_validation=_truth("allow_failed_validation", words["allow_failed_validation"]),
            target=Target(
                words["group"], words["bucket"], words["image"], _one_of("approve", words["approve"], (NEVER, AUTO))
            ),
        )


def steps_of(text: str) -> tuple[str, ...]:
    """Names of steps separated by commas, in the pipeline's order whatever the order given."""
    names = {name.strip() for name in text.split(",")}
    unknown = sorted(names - set(STEPS))
    if unknown:
        raise PipelineError(f"unknown step {unknown[0]!r}; known are {', '.join(STEPS)}")
    return tuple(name for name in STEPS if name in names)


def changed(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """A recipe with some fields replaced, named by their path with dots; the type is that of the field.

    Raises:
        PipelineError: There is no such field, or the text is no value of its type.
    """
    for path, text in changes.items():
        recipe = _replaced(recipe, path.split("."), text, path)
    return recipe


def _replaced(value: Any, path: list[str], text: str, whole: str) -> Any:
    """A value with the field at `path` replaced."""
    if not path:
        return _typed(value, text, whole)
    name, rest = path[0], path[1:]
    if is_dataclass(value) and not isinstance(value, type) and name in {field.name for field in fields(value)}:
        return replace(value, **{name: _replaced(getattr(value, name), rest, text, whole)})
    if isinstance(value, Mapping) and name in value:
        return {**value, name: _replaced(value[name], rest, text, whole)}
    raise PipelineError(f"the recipe has no field {whole!r} that hyperparameter could set")


def _typed(there: Any, text: str, name: str) -> Any:
    """A text as a value of the type that is there."""
    try:
        match there:
            case bool():
                return _truth(name, text)
            case int():
                return int(float(text)) if float(text).is_integer() else int(text)
            case float():
                return float(text)
            case str():
                return text
            case None:
                return json.loads(text)
    except ValueError as err:
        raise PipelineError(f"hyperparameter {name}={text!r} is no {type(there).__name__}") from err
    raise PipelineError(f"hyperparameter {name} names a part of the recipe that holds several fields; name one of them")


def _plain(value: str) -> str:
    """The SageMaker SDK writes texts as JSON, with quotes; everybody else does not."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        return str(json.loads(value))
    return value


def _truth(name: str, text: str) -> bool:
    return _one_of(name, text.lower(), ("true", "false")) == "true"


def _one_of(name: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise PipelineError(f"hyperparameter {name}={text!r}; expected {' or '.join(known)}")
    return text
