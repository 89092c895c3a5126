"""What a feature store does, wherever it is; `local` and `aws` are the two, and one suite of tests holds both."""

from collections.abc import Sequence
from typing import Any, Protocol

from psm_training.feature_store.groups import FeatureGroup

Record = dict[str, Any]
"""Features by name, with identifier and event time; a feature that is not known is left out."""


class FeatureStore(Protocol):
    """Keeps records. Online it holds the newest by event time for each identifier, offline all that were ever put."""

    def create(self, group: FeatureGroup) -> None:
        """Makes the group, or finds it as it is defined.

        Raises:
            PipelineError: It is there with other features.
        """
        ...

    def put(self, group: FeatureGroup, records: Any) -> None:
        """Keeps records; of two with one identifier and event time, the later one counts.

        Args:
            group: Which exists.
            records: A pyarrow.Table with the columns of `group.definitions`.
        """
        ...

    def get(self, group: FeatureGroup, identifiers: Sequence[str]) -> dict[str, Record]:
        """The newest record of each identifier that has one."""
        ...

    def delete(self, group: FeatureGroup, identifier: str, event_time: str) -> None:
        """From this time on there is no record, until one with a later event time is put."""
        ...
