"""The protocols in which predictions are asked for, and the paths where each is spoken.

A `Dialect` turns bodies into matrices and probabilities into answers; everything else is the same for all and stays in
`hotpath`. Called by `server`, `app` and `openapi`.
"""

from dataclasses import dataclass

from psm_predictor.answer import Dialect
from psm_predictor.dialects.explained import EXPLAINED, ExplainDialect
from psm_predictor.dialects.predict import PredictDialect
from psm_predictor.dialects.sagemaker import SageMakerDialect
from psm_predictor.dialects.v2 import V2Dialect
from psm_predictor.settings import PackageRef, RequestLimits


@dataclass(frozen=True, slots=True)
class Dialects:
    """All dialects of one process, and the paths where they are spoken; with EXPLAINED behind the path, if asked for."""

    spoken: tuple[Dialect, ...]
    paths: dict[str, Dialect]


def dialects(package: PackageRef, limits: RequestLimits, root_path: str) -> Dialects:
    """The dialects in which the package's model answers, with and without the prefix of an Ingress."""
    predict, explain, sagemaker, v2 = (
        PredictDialect(package.version),
        ExplainDialect(package.version, limits.explained),
        SageMakerDialect(package.version, limits),
        V2Dialect(package, limits),
    )
    model = f"/v2/models/{package.group}"
    paths: dict[str, Dialect] = {
        "/predict": predict,
        f"/predict{EXPLAINED}": explain,
        "/invocations": sagemaker,
        f"{model}/infer": v2,
        f"{model}/versions/{package.version}/infer": v2,
    }
    prefixed = {root_path + path: dialect for path, dialect in paths.items()}
    return Dialects((predict, explain, sagemaker, v2), {**paths, **prefixed})
