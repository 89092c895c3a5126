"""Where the objects of one kind live in the Kubernetes API; no client, so that importing it costs nothing."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """Where objects of one kind live.

    Attributes:
        plural: as in the URL.
    """

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The URL path of a collection or an object; no namespace is every namespace."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version, *(("namespaces", quote(namespace)) if namespace else ()), self.plural]
        return "/".join([*parts, *(quote(part) for part in (name, subresource) if part)])

    @property
    def group(self) -> str:
        """API group; empty for core."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """API version without its group."""
        return self.api_version.rpartition("/")[2]
