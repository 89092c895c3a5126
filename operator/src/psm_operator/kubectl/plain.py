"""Names of plain values, for modules that must not import what makes them."""

from typing import Any

Manifest = dict[str, Any]
"""One Kubernetes object as JSON."""
