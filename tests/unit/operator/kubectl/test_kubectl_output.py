"""What the plugin prints as YAML is read back by kubectl as it was."""

import pytest
import yaml

from psm_operator.kubectl.output import yaml_of


@pytest.mark.parametrize(
    "text", ["71398e07", "1e5", "12E3", "1.5", ".5e1", "-2e10", "0", "true", "2026-11-21", "12:30"]
)
def test_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    """A digest of digits and one e is a number in kubectl's YAML 1.2, and annotations must be text."""
    assert yaml_of({"digest": text}) == f"digest: '{text}'\n"


@pytest.mark.parametrize("text", ["uk-grocery", "1e", "e5", "1.2.3", "v1e5", "12ab34"])
def test_other_text_is_plain(text: str) -> None:
    assert yaml_of({"name": text}) == f"name: {text}\n"


def test_numbers_stay_numbers() -> None:
    value = {"replicas": 2, "accuracy": 0.771, "is_ready": True}
    assert yaml.safe_load(yaml_of(value)) == value
