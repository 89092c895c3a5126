"""What the run asks of an account; adapters/ has AWS' side of it."""

from collections.abc import Iterator
from typing import Protocol

from psm_cloud.teardown.decide import Found, Kind


class Shelf(Protocol):
    """One kind of resource: what there is, and how one goes. Deleting what is gone already is no error."""

    kind: Kind

    def find(self) -> Iterator[Found]:
        """Yield what there may be of ours, with its tags."""
        ...

    def remove(self, found: Found) -> None:
        """Delete it.

        Raises:
            ClientError: AWS refuses.
            LeftInsideError: Something in it could not be deleted.
        """
        ...


class Destroyer(Protocol):
    """Terraform, for one environment."""

    def destroy(self) -> None:
        """Take away all that its state knows, but what is kept.

        Raises:
            CloudError: Something could not be deleted.
        """
        ...
