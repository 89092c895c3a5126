"""Golden rows and baskets of a manifest as a client would send them: for the self-test and for the documentation."""

from typing import Any

from psm_contract.manifest import GoldenBasket, GoldenRow, Manifest


def golden_instance(manifest: Manifest, row: GoldenRow) -> dict[str, float | str]:
    """A golden row as one instance."""
    return {feature.name: value for feature, value in zip(manifest.features, row.instance, strict=True)}


def golden_lines(basket: GoldenBasket) -> dict[str, Any]:
    """A golden basket as till lines."""
    return {"lines": [dict(line) for line in basket.lines]}
