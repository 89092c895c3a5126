"""What SageMaker tells EventBridge when a model package changes; moto tells nothing.

Source `aws.sagemaker`, detail type `SageMaker Model Package State Change` [D]. A change may be told more than once [D],
and a change of metadata alone is told with the approval that was there before [C]; `UpdatedModelPackageFields` names
what the call changed [C]. moto's rules and SQS targets do the rest.
"""

import json
import sys
from datetime import datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.events.models import events_backends

DETAIL_TYPE = "SageMaker Model Package State Change"


def tell(account: str, region: str, described: dict[str, Any], updated: list[str], *, times: int) -> None:
    """Put the event on the default bus of the package's account and region.

    Args:
        account: of the package.
        region: of the package.
        described: as DescribeModelPackage answers.
        updated: names of the fields that an update changed; empty for a new package.
        times: how often.
    """
    detail = {name: value for name, value in described.items() if name != "CreatedBy"}
    if updated:
        detail["UpdatedModelPackageFields"] = updated
    event = {
        "Source": "aws.sagemaker",
        "DetailType": DETAIL_TYPE,
        "Resources": [described["ModelPackageArn"]],
        "Detail": json.dumps(detail, default=_plain),
    }
    for _ in range(times):
        try:
            events_backends[account][region].put_events([event])
        except ServiceException as err:  # a rule whose queue is gone: EventBridge drops the event, the update stays
            print(f"an event was lost: {err!r}", file=sys.stderr, flush=True)  # noqa: T201


def _plain(value: object) -> object:
    """Times as milliseconds since 1970, as in AWS's example event [D]."""
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else str(value)
