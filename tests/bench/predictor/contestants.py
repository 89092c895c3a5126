"""Who is measured: how each is started, where it is asked and in which dialect. A new contestant is one entry.

In a command, a path and a variable, `{name}` is filled in from `Site.places`. The working directory holds the files of
`subject`; a peer's own environment is made by `venvs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.predictor.dialects import COLUMNS_V1, COLUMNS_V2, FRAME, PSM, RECORDS, SPLIT, TENSOR, Dialect
from bench.predictor.subject import PIPELINE
from bench.results import REPOSITORY

OURS: Final = "psm"
FLOOR: Final = "uvicorn-bare"
SERVERS: Final = Path(__file__).parent / "servers"
KERNEL: Final = {
    "PYTHONPATH": ":".join(map(str, (SERVERS, REPOSITORY / "predictor" / "src", REPOSITORY / "contract" / "src")))
}
"""Lets a peer's environment import our kernel, which needs numpy alone."""


@dataclass(frozen=True)
class Contestant:
    """A server.

    Attributes:
        name: In the results.
        title: In the page.
        dialect: How it is asked.
        path: Of the URL.
        command: Starts it.
        venv: The requirements file of its environment; empty for this repository's own.
        variables: Of its environment, besides a few that everybody gets.
        prepare: A command to run once before.
    """

    name: str
    title: str
    dialect: Dialect
    path: str
    command: tuple[str, ...]
    venv: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()

    @property
    def is_floor(self) -> bool:
        """Whether it answers without a model."""
        return self.name == FLOOR


def _psm(name: str, title: str, engine: str, dialect: Dialect = PSM, path: str = "/predict") -> Contestant:
    return Contestant(
        name=name,
        title=title,
        dialect=dialect,
        path=path,
        command=("{bin}/psm-predictor",),
        variables={
            "PSM_ENGINE": engine,
            "PSM_ALLOW_JOBLIB": "1" if engine == "joblib" else "0",
            "PSM_LISTEN_HOST": "127.0.0.1",
            "PSM_LISTEN_PORT": "{port}",
            "PSM_MODEL_DATA_URL": "{archive_url}",
            "PSM_MODEL_SHA256": "{archive_sha256}",
            "PSM_MODEL_PACKAGE_ARN": "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/psm/1",
            "PSM_MODEL_PACKAGE_VERSION": "1",
            "PSM_CACHE_DIR": "{scratch}",
            "PSM_DRAIN_S": "0",
        },
    )


def _mlserver(name: str, title: str, dialect: Dialect, variables: Mapping[str, str]) -> Contestant:
    return Contestant(
        name=name,
        title=title,
        dialect=dialect,
        path="/v2/models/psm/infer",
        venv="mlserver",
        command=("{bin}/mlserver", "start", "{scratch}"),
        variables={
            "MLSERVER_DEBUG": "false",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{port2}",
            "MLSERVER_METRICS_PORT": "{port3}",
            # in the server's own process: a second process costs a hop, and the core is one
            "MLSERVER_PARALLEL_WORKERS": "0",
            "MLSERVER_MODEL_NAME": "psm",
            **variables,
        },
    )


CONTESTANTS: Final = (
    _psm(OURS, "psm-predictor, /predict", "auto"),
    Contestant(
        name=FLOOR,
        title="bare uvicorn, constant answer",
        dialect=PSM,
        path="/{rows}",
        command=(
            *("{bin}/uvicorn", "bare:app", "--app-dir", "{servers}", "--port", "{port}", "--loop", "uvloop"),
            *("--http", "httptools", "--ws", "none", "--lifespan", "off", "--no-access-log", "--no-server-header"),
            "--no-proxy-headers",
        ),
    ),
    _psm("psm-v2", "psm-predictor, /v2, one tensor", "auto", TENSOR, "/v2/models/psm/infer"),
    _psm("psm-onnx", "psm-predictor, PSM_ENGINE=onnx", "onnx"),
    _psm("psm-joblib", "psm-predictor, PSM_ENGINE=joblib", "joblib"),
    _mlserver(
        "mlserver-kernel",
        "MLServer, custom runtime with our kernel",
        TENSOR,
        {**KERNEL, "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_kernel.KernelModel"},
    ),
    Contestant(
        name="kserve-kernel",
        title="KServe, custom model with our kernel",
        dialect=TENSOR,
        path="/v2/models/psm/infer",
        venv="kserve",
        command=("{bin}/python", "{servers}/kserve_kernel.py", "{port}", "{port2}"),
        variables=KERNEL,
    ),
    _mlserver(
        "mlserver",
        "MLServer, sklearn",
        COLUMNS_V2,
        {
            "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_sklearn.SKLearnModel",
            "MLSERVER_MODEL_URI": f"{{subject}}/{PIPELINE}",
        },
    ),
    Contestant(
        name="kserve",
        title="KServe, sklearn server",
        dialect=COLUMNS_V1,
        path="/v1/models/psm:predict",
        venv="kserve",
        command=("{bin}/python", "{servers}/kserve_sklearn.py", "{port}", "{port2}"),
    ),
    Contestant(
        name="bentoml",
        title="BentoML",
        dialect=FRAME,
        path="/predict",
        venv="bentoml",
        command=("{bin}/bentoml", "serve", "bentoml_sklearn:Baskets", "--host", "127.0.0.1", "--port", "{port}"),
        variables={"PYTHONPATH": "{servers}", "BENTOML_DO_NOT_TRACK": "true"},
    ),
    Contestant(
        name="litserve",
        title="LitServe",
        dialect=RECORDS,
        path="/predict",
        venv="litserve",
        command=("{bin}/python", "{servers}/litserve_sklearn.py", "{port}"),
    ),
    Contestant(
        name="mlflow",
        title="MLflow models serve",
        dialect=SPLIT,
        path="/invocations",
        venv="mlflow",
        command=(
            *("{bin}/mlflow", "models", "serve", "--model-uri", "{subject}/mlflow", "--port", "{port}"),
            *("--env-manager", "local", "--workers", "1"),
        ),
        variables={"MLFLOW_DISABLE_TELEMETRY": "true"},
        prepare=("{bin}/python", "{servers}/mlflow_save.py", "{subject}/mlflow"),
    ),
    Contestant(
        name="ray-serve",
        title="Ray Serve",
        dialect=RECORDS,
        path="/",
        venv="ray",
        command=("{bin}/python", "{servers}/ray_sklearn.py", "{port}", f"{{subject}}/{PIPELINE}"),
        variables={
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": "{scratch}",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # or it would run its workers in the environment of the bench
        },
    ),
    Contestant(
        name="tutorial",
        title="the tutorial: FastAPI, pandas, scikit-learn",
        dialect=RECORDS,
        path="/predict",
        venv="tutorial",
        command=("{bin}/uvicorn", "tutorial:app", "--app-dir", "{servers}", "--port", "{port}"),
    ),
)
"""Ours, the floor, then the others; the page keeps this order."""
