"""SageMaker and S3 with a person's own AWS credentials, through the operator's own adapters. The only module that brings boto3."""

from collections.abc import Callable
from typing import Final, Self

from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.s3 import S3Artifacts
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.errors import Retryable, Stalled
from psm_operator.timers import Timer
from psm_operator.values import GroupRef, RegistryUnknown, RegistryView

IMPATIENT: Final = AwsLimits(threads=4, connect_timeout_s=2.0, read_timeout_s=8.0, attempts=2)
"""A person waits for the answer."""


class RegistryLook:
    """Reads a group as the operator's poll does, until every version that counts is described."""

    def __init__(self, timer: Timer) -> None:
        self._clients = AwsClients(IMPATIENT)
        self._registry = SageMakerRegistry(self._clients, clock=SystemClock())
        self.artifacts = S3Artifacts(self._clients, timer=timer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()

    async def read(self, group: GroupRef, versions: Callable[[RegistryView], frozenset[int]]) -> RegistryView:
        """One snapshot, or why there is none.

        Args:
            group: what to read.
            versions: which versions to describe, as far as is known.
        """
        wanted: frozenset[int] = frozenset()
        try:
            view = await self._registry.read_group(group, wanted, 1)
            wanted = versions(view)
            if not wanted <= view.packages.keys():
                view = await self._registry.read_group(group, wanted, 1)
        except (Retryable, Stalled) as err:
            return RegistryUnknown(err.reason, str(err))
        return view
