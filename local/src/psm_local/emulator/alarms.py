"""CloudWatch's alarms as moto has them, with what moto gets wrong about their tags corrected.

Each correction names its source: [B] botocore's service model, [I] inference that nobody has checked on AWS. The contract
tests (tests/component/local/test_alarms_emulator.py) hold them one by one.
"""

import threading

from moto.cloudwatch import urls
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.cloudwatch.utils import make_arn_for_alarm
from moto.core.responses import ActionResult

_LOCK = threading.RLock()  # moto's backends are plain dictionaries and the server has threads


class AlarmsResponse(CloudWatchResponse):
    """moto's CloudWatch API with the tags of alarms corrected."""

    def put_metric_alarm(self) -> ActionResult:
        """Put an alarm; one that exists keeps the tags that it has, whatever the call says [B]."""
        name = self._get_param("AlarmName")
        with _LOCK:
            backend = self.cloudwatch_backend
            before = _tags_of(backend, name) if name in backend.alarms else None
            answer = super().put_metric_alarm()
            if before is not None:
                _set_tags(backend, name, before)
            return answer

    def delete_alarms(self) -> ActionResult:
        """Delete alarms with their tags: a successor of the same name has only its own [I]."""
        with _LOCK:
            answer = super().delete_alarms()
            for name in self._get_param("AlarmNames", []):
                _set_tags(self.cloudwatch_backend, name, {})
            return answer


def _arn(backend: CloudWatchBackend, name: str) -> str:
    return make_arn_for_alarm(backend.region_name, backend.account_id, name)


def _tags_of(backend: CloudWatchBackend, name: str) -> dict[str, str]:
    return dict(backend.tagger.get_tag_dict_for_resource(_arn(backend, name)))


def _set_tags(backend: CloudWatchBackend, name: str, tags: dict[str, str]) -> None:
    arn = _arn(backend, name)
    backend.tagger.delete_all_tags_for_resource(arn)
    if tags:
        backend.tagger.tag_resource(arn, backend.tagger.convert_dict_to_tags_input(tags))


def install() -> None:
    """Let moto's server answer CloudWatch requests with the corrected API; call before the server starts."""
    urls.url_paths = dict.fromkeys(urls.url_paths, AlarmsResponse.dispatch)
