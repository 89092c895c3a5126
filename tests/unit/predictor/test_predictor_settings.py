import dataclasses
import re
from pathlib import Path

import pytest

from psm_contract import environment
from psm_predictor import settings as settings_module
from psm_predictor.errors import SettingsError
from psm_predictor.settings import (
    ArchiveLimits,
    ConnectionLimits,
    GuardSettings,
    LiveSettings,
    PackageRef,
    RequestLimits,
    ServerSettings,
    Settings,
    parse,
)

SHA256 = "ab" * 32
NEEDED = {
    "PSM_MODEL_DATA_URL": "s3://mlops-dev-models/price-sensitivity/x/model.tar.gz",
    "PSM_MODEL_SHA256": SHA256,
    "PSM_MODEL_PACKAGE_ARN": "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/3",
    "PSM_MODEL_PACKAGE_VERSION": "3",
}


def test_four_variables_are_enough_and_the_rest_has_defaults() -> None:
    """Changing a default is a change of behaviour: it shows here."""
    settings = parse(NEEDED)

    assert settings == Settings(
        package=PackageRef(
            data_url=NEEDED["PSM_MODEL_DATA_URL"], sha256=SHA256, arn=NEEDED["PSM_MODEL_PACKAGE_ARN"], version=3
        )
    )
    assert dataclasses.astuple(settings.requests) == (2_097_152, 1000, 2000, 16, 256, 33_554_432, 10.0)
    assert dataclasses.astuple(settings.connections) == (32_768, 10.0, 30.0, 1024)
    assert dataclasses.astuple(settings.archive) == (268_435_456, 536_870_912, 64)
    assert dataclasses.astuple(settings.server) == ("0.0.0.0", 8080, 1, "", 120, 5.0, 15)  # noqa: S104  # the default under test
    assert dataclasses.astuple(settings.guard) == ((), None, "", "", "", "authorization")
    assert dataclasses.astuple(settings.live) == (3600, 32_768, 10_000, 86_400, False, "", False)
    assert (settings.engine, settings.access_log, settings.tracing) == ("auto", "errors", "off")
    assert settings.cache_dir.parts[1:] == ("tmp", "psm-predictor")
    assert str(settings.termination_log) == "/dev/termination-log"


def test_every_setting_has_a_variable() -> None:
    """Each field of the settings can be set from outside."""
    numbers = {
        "PSM_MAX_BODY_BYTES": "1",
        "PSM_MAX_INSTANCES": "2",
        "PSM_MAX_LINES": "3",
        "PSM_MAX_EXPLAINED": "14",
        "PSM_MAX_IN_FLIGHT": "4",
        "PSM_MAX_IN_FLIGHT_BYTES": "15",
        "PSM_MAX_HEADER_BYTES": "1024",
        "PSM_HEADER_TIMEOUT_S": "2.5",
        "PSM_SEND_TIMEOUT_S": "3.5",
        "PSM_MAX_CONNECTIONS": "16",
        "PSM_DRIFT_WINDOW_S": "60",
        "PSM_FEEDBACK_MEMORY": "17",
        "PSM_FEEDBACK_LABELS": "18",
        "PSM_FEEDBACK_WINDOW_S": "19",
        "PSM_EMF": "1",
        "PSM_PREDICTION_LOG": "1",
        "PSM_BODY_TIMEOUT_S": "0.5",
        "PSM_MAX_ARCHIVE_BYTES": "6",
        "PSM_MAX_UNPACKED_BYTES": "7",
        "PSM_MAX_ARCHIVE_FILES": "8",
        "PSM_LISTEN_PORT": "9",
        "PSM_WORKERS": "10",
        "PSM_KEEP_ALIVE_S": "11",
        "PSM_DRAIN_S": "1.5",
        "PSM_SHUTDOWN_TIMEOUT_S": "13",
    }
    texts = {
        "PSM_LISTEN_HOST": "::",
        "PSM_ROOT_PATH": "/models/price/",
        "PSM_LOG_LEVEL": "warning",
        "PSM_ACCESS_LOG": "All",
        "PSM_TRACING": "otlp",
        "PSM_ENGINE": "onnx",
        "PSM_API_KEYS": f"{SHA256}, {SHA256.upper()},",
        "PSM_API_KEYS_FILE": "/etc/keys",
        "PSM_JWT_JWKS": "https://issuer/keys",
        "PSM_JWT_ISSUER": "https://issuer",
        "PSM_JWT_AUDIENCE": "psm",
        "PSM_JWT_HEADER": "X-Amzn-Oidc-Accesstoken",
        "PSM_MODEL_NAME": "psm/mlops/uk-grocery",
    }

    settings = parse({**NEEDED, **numbers, **texts})

    assert settings.requests == RequestLimits(1, 2, 3, 14, 4, 15, 0.5)
    assert settings.connections == ConnectionLimits(1024, 2.5, 3.5, 16)
    assert settings.guard == GuardSettings(
        (SHA256, SHA256), Path("/etc/keys"), "https://issuer/keys", "https://issuer", "psm", "x-amzn-oidc-accesstoken"
    )
    assert settings.live == LiveSettings(
        60, 17, 18, 19, emf=True, model_name="psm/mlops/uk-grocery", prediction_log=True
    )
    assert settings.archive == ArchiveLimits(6, 7, 8)
    assert settings.server == ServerSettings("::", 9, 10, "/models/price", 11, 1.5, 13)
    assert (settings.log_level, settings.access_log, settings.tracing) == ("WARNING", "all", "otlp")
    assert settings.engine == "onnx"


def test_an_empty_environment_names_all_that_is_missing() -> None:
    """One start tells everything that must be set."""
    with pytest.raises(SettingsError) as caught:
        parse({})

    assert all(f"{name} is not set" in str(caught.value) for name in NEEDED)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("PSM_MODEL_SHA256", "abc", "expected 64 hex digits", id="a digest that is none"),
        pytest.param("PSM_MODEL_DATA_URL", "https://x/y", "expected s3://… or file://…", id="another kind of URL"),
        pytest.param("PSM_MODEL_PACKAGE_VERSION", "0", "expected at least 1", id="a version below 1"),
        pytest.param("PSM_LISTEN_PORT", "tcp://10.0.0.1:80", "expected a whole number", id="a service link's variable"),
        pytest.param("PSM_DRAIN_S", "soon", "expected a number of seconds", id="a duration in words"),
        pytest.param("PSM_DRAIN_S", "nan", "expected at least 0", id="a duration that is no number"),
        pytest.param("PSM_ROOT_PATH", "models", "expected a path", id="a root path without slash"),
        pytest.param("PSM_LOG_LEVEL", "loud", "expected one of DEBUG", id="an unknown log level"),
        pytest.param("PSM_ACCESS_LOG", "some", "expected one of off, errors, all", id="an unknown choice of requests"),
        pytest.param("PSM_TRACING", "jaeger", "expected one of off, otlp", id="an unknown way of tracing"),
        pytest.param("PSM_MAX_HEADER_BYTES", "100", "expected at least 1024", id="less than a request line"),
        pytest.param("PSM_JWT_JWKS", "http://x", "expected https://… or file://…", id="keys over a plain connection"),
        pytest.param("PSM_JWT_AUDIENCE", "psm", "set all or none", id="tokens without keys"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(name: str, value: str, message: str) -> None:
    """The variable, its value and the expectation are in the message."""
    with pytest.raises(SettingsError, match=name) as caught:
        parse({**NEEDED, name: value})

    assert message in str(caught.value)
    assert value.lower() in str(caught.value).lower()


SAID_BY_THE_OPERATOR = {environment.EMF, environment.MODEL_NAME}
"""Like those that are needed, they are spelt in the contract."""


def test_the_readme_lists_every_variable_and_no_other() -> None:
    """A setting that nobody can find is none."""
    package = Path(settings_module.__file__).parent
    variable = re.compile(r"\bPSM_[A-Z0-9_]+\b")
    ours = set(variable.findall((package / "settings.py").read_text()))

    assert (
        set(variable.findall((package.parents[1] / "README.md").read_text()))
        == ours | set(NEEDED) | SAID_BY_THE_OPERATOR
    )


@pytest.mark.parametrize("allowed", ["", "0", "yes"])
def test_nothing_is_unpickled_unless_two_variables_say_so(allowed: str) -> None:
    """PSM_ENGINE=joblib alone is refused, and so is a word that might have meant yes."""
    environ = {**NEEDED, "PSM_ENGINE": "joblib", "PSM_ALLOW_JOBLIB": allowed}

    with pytest.raises(SettingsError, match="set PSM_ALLOW_JOBLIB=1 if you trust whoever can register a model"):
        parse(environ)
    assert parse({**environ, "PSM_ALLOW_JOBLIB": "1"}).engine == "joblib"


def test_an_unknown_engine_is_named_with_those_that_exist() -> None:
    """A typing error must not fall back to anything."""
    with pytest.raises(SettingsError, match="PSM_ENGINE is 'tree', expected one of auto, trees, onnx, joblib"):
        parse({**NEEDED, "PSM_ENGINE": "tree"})
