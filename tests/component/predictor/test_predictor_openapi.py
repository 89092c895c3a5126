"""The whole OpenAPI document against a running predictor: what it promises holds, and nothing it allows breaks the server."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from artifacts import make_artifact
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from predictor_process import PredictorProcess, environment, serving
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

TEXTS = ("text/csv", "application/jsonlines")
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@schemathesis.serializer(*TEXTS)
def as_text(_context: Any, value: Any) -> bytes:
    """Text bodies are sent as they are."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PredictorProcess, httpx.Client]]:
    """One ready process for the tests of this file."""
    artifact = make_artifact(tmp_path_factory.mktemp("artifact"))
    with serving(environment(artifact, tmp_path_factory.mktemp("run"))) as pair:
        yield pair


@pytest.fixture(scope="module")
def document(server: tuple[PredictorProcess, httpx.Client]) -> dict[str, Any]:
    read: dict[str, Any] = server[1].get("/openapi.json").raise_for_status().json()
    return read


@pytest.fixture(scope="module")
def api(server: tuple[PredictorProcess, httpx.Client], document: dict[str, Any]) -> BaseSchema:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server[0].url)
    return schema


def test_the_document_is_valid_and_complete(document: dict[str, Any]) -> None:
    """Every route that answers with 200 is described, but the documentation's own."""
    validate(document)

    assert document["paths"].keys() >= {
        "/predict",
        "/feedback",
        "/invocations",
        "/ping",
        "/execution-parameters",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{model_name}",
        "/v2/models/{model_name}/ready",
        "/v2/models/{model_name}/infer",
        "/v2/models/{model_name}/versions/{model_version}",
        "/v2/models/{model_name}/versions/{model_version}/ready",
        "/v2/models/{model_name}/versions/{model_version}/infer",
        "/health",
        "/healthz",
        "/readyz",
        "/model",
        "/metrics",
    }


def test_every_example_is_answered(server: tuple[PredictorProcess, httpx.Client], document: dict[str, Any]) -> None:
    """What /docs offers to try works as it stands; /feedback's names a request that was never made."""
    client = server[1]
    tried = 0
    for path, operations in document["paths"].items():
        if path == "/feedback":
            continue
        for method, operation in operations.items():
            named = {one["name"]: example(one) for one in operation.get("parameters", []) if one["in"] == "path"}
            target = path.format(**named)
            if method == "get":
                client.get(target).raise_for_status()
                continue
            for content_type, content in operation["requestBody"]["content"].items():
                examples = content.get("examples", {"only": {"value": content.get("example")}})
                for one in examples.values():
                    if (value := one["value"]) is None:
                        continue
                    body = {"content": value} if isinstance(value, str) else {"json": value}
                    client.post(target, **body, headers={"content-type": content_type}).raise_for_status()
                    tried += 1
    assert tried == 15


def example(parameter: dict[str, Any]) -> str:
    """An example of a parameter, wherever OpenAPI allows it."""
    value: str = parameter.get("example") or parameter["schema"]["examples"][0]
    return value


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_whatever_is_asked_is_answered_as_the_document_says(api: BaseSchema, mode: GenerationMode) -> None:
    """No 5xx, no undocumented status, header or shape, on any route; for good requests and for bad ones."""
    for found in api.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if mode.is_negative and not operation.body:
            continue  # nothing can be wrong with such a request

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(generation_mode=mode))
        def conforms(case: Case[Any]) -> None:
            case.call_and_validate(checks=list(CHECKS), timeout=10)

        conforms()
