"""SageMaker's model registry as moto has it, with what moto gets wrong corrected.

Each correction names its source: [B] botocore's service model, [A] the ACK SageMaker controller's generator, [C] code
written against live AWS, [I] inference that nobody has checked on AWS. The contract tests
(tests/component/local/test_registry_emulator.py) hold them one by one.
"""

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker import urls
from moto.sagemaker.exceptions import ConflictException, ValidationError
from moto.sagemaker.models import ModelPackage
from moto.sagemaker.responses import SageMakerResponse

from psm_local.emulator import events

_LOCK = threading.RLock()  # moto's backends are plain dictionaries and the server has threads
_GROUP_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_KEPT = (
    "SourceUri",
    "ModelLifeCycle",
    "SkipModelValidation",
    "SecurityConfig",
    "ModelCard",
    "ModelPackageRegistrationType",
    "ManagedStorageType",
)
_KEPT_ON_UPDATE = ("SourceUri", "ModelLifeCycle", "ModelCard", "ModelPackageRegistrationType")
_TOLD = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "CustomerMetadataProperties",
    "InferenceSpecification",
    *_KEPT_ON_UPDATE,
)
_TOLD_TWICE = 3
"""Every third change is told twice: often enough for a test, at known places."""
_MAX_METADATA = 50  # [B] CustomerMetadataMap
_MAX_KEY = 128  # [B] CustomerMetadataKey
_MAX_VALUE = 256  # [B] CustomerMetadataValue
_MAX_RESULTS = 100  # [B] MaxResults


class NotSharedError(ServiceException):
    """Another account's resource, without a policy that shares it."""

    code = "AccessDeniedException"


@dataclass
class _Memory:
    """What the corrections remember beside moto's own backend; a reset of moto forgets it too."""

    last_version: dict[str, int] = field(default_factory=dict)
    by_token: dict[str, str] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: int = 0


class RegistryResponse(SageMakerResponse):
    """moto's SageMaker API with the registry operations corrected."""

    def _get_param(self, param_name: str, if_none: Any = None) -> Any:
        """Return a request parameter; a group may be named by its ARN everywhere [B pattern]."""
        value = super()._get_param(param_name, if_none)
        if param_name == "ModelPackageGroupName" and isinstance(value, str) and value.startswith("arn:"):
            return self._own_group(value)
        return value

    def _own_group(self, arn: str) -> str:
        """The name in an ARN of this region [C] and account: another account's is not shared with us [I]."""
        region, account = arn.split(":")[3:5]
        if region != self.sagemaker_backend.region_name:
            raise ValidationError(f"ARN should be scoped to correct region: {self.sagemaker_backend.region_name}")
        if account != self.sagemaker_backend.account_id:
            raise NotSharedError(f"User of account {self.sagemaker_backend.account_id} is not authorized on {arn}")
        return arn.rpartition("/")[2]

    @property
    def _memory(self) -> _Memory:
        memory = self.sagemaker_backend.__dict__.setdefault("registry_memory", _Memory())
        if not isinstance(memory, _Memory):
            raise TypeError("moto's backend has an attribute of our name")
        return memory

    def create_model_package_group(self) -> ActionResult:
        """Create a group; refuse a name that exists [C] or breaks the pattern [B]."""
        name = self._get_param("ModelPackageGroupName")
        with _LOCK:
            if not _GROUP_NAME.fullmatch(name):
                raise ValidationError(f"Value '{name}' at 'modelPackageGroupName' failed to satisfy constraint")
            if name in self.sagemaker_backend.model_package_groups:
                raise ValidationError(f"Model Package Group already exists: {self._group_arn(name)}")
            return super().create_model_package_group()

    def create_model_package(self) -> ActionResult:
        """Create a package: versions grow and are never reused [I], a client token makes it idempotent [B]."""
        with _LOCK:
            token = self._get_param("ClientToken")
            if token and token in self._memory.by_token:
                return ActionResult({"ModelPackageArn": self._memory.by_token[token]})
            group = self._get_param("ModelPackageGroupName")
            self._check_new(group)
            before = dict(self.sagemaker_backend.model_packages)
            arn = _fields(super().create_model_package())["ModelPackageArn"]
            package = self.sagemaker_backend.model_packages[arn]
            if group:
                self._renumber(package, group, before)
                if package.model_approval_status is None:
                    package.set_model_approval_status("PendingManualApproval")  # [C]
            self._memory.kept[package.arn] = self._given(_KEPT)
            if token:
                self._memory.by_token[token] = package.arn
            self._tell(package, [])
            return ActionResult({"ModelPackageArn": package.arn})

    def describe_model_package(self) -> ActionResult:
        """Describe a package by ARN, or an unversioned one by name."""
        with _LOCK:
            return ActionResult(self._described(self._package(self._get_param("ModelPackageName"))))

    def list_model_packages(self) -> ActionResult:
        """List packages; at most 100 per page [B]."""
        if (self._get_param("MaxResults") or 0) > _MAX_RESULTS:
            raise ValidationError(f"MaxResults must be at most {_MAX_RESULTS}")
        with _LOCK:
            listed = _fields(super().list_model_packages())
            for summary in listed["ModelPackageSummaryList"]:
                summary.update(self._memory.kept.get(summary["ModelPackageArn"], {}))
            return ActionResult(listed)

    def update_model_package(self) -> ActionResult:
        """Change what the call names and nothing else [C]; metadata merges [I] and has its own removal list [B]."""
        with _LOCK:
            package = self._package(self._get_param("ModelPackageArn"))
            metadata = self._merged_metadata(package)
            if (status := self._get_param("ModelApprovalStatus")) is not None:
                package.set_model_approval_status(status)
            if (description := self._get_param("ApprovalDescription")) is not None:
                package.approval_description = description
            package.customer_metadata_properties = metadata
            if (specification := self._get_param("InferenceSpecification")) is not None:
                package.inference_specification = specification
            if (more := self._get_param("AdditionalInferenceSpecificationsToAdd")) is not None:
                package.add_additional_inference_specifications(more)
            self._memory.kept.setdefault(package.arn, {}).update(self._given(_KEPT_ON_UPDATE))
            package.modifications_done()
            self._tell(package, [name for name in _TOLD if self._get_param(name) is not None])
            return ActionResult({"ModelPackageArn": package.arn})

    def delete_model_package(self) -> EmptyResult:
        """Delete one package [B]."""
        with _LOCK:
            package = self._package(self._get_param("ModelPackageName"))
            del self.sagemaker_backend.model_packages[package.arn]
            self._memory.kept.pop(package.arn, None)
            return EmptyResult()

    def delete_model_package_group(self) -> EmptyResult:
        """Delete an empty group; one that still holds packages is a conflict [B]."""
        name = self._get_param("ModelPackageGroupName")
        with _LOCK:
            if name not in self.sagemaker_backend.model_package_groups:
                raise ValidationError(f"ModelPackageGroup {self._group_arn(name)} does not exist.")
            if any(p.model_package_group_name == name for p in self.sagemaker_backend.model_packages.values()):
                raise ConflictException(f"Model Package Group {self._group_arn(name)} still contains Model Packages")
            del self.sagemaker_backend.model_package_groups[name]
            return EmptyResult()

    def _check_new(self, group: str | None) -> None:
        if group and group not in self.sagemaker_backend.model_package_groups:
            raise ValidationError(f"ModelPackageGroup {self._group_arn(group)} does not exist.")
        if group and self._get_param("Tags"):
            raise ValidationError("Tags are not supported for versioned Model Packages")  # [A]
        _check_metadata(self._get_param("CustomerMetadataProperties") or {})

    def _renumber(self, package: ModelPackage, group: str, before: dict[str, ModelPackage]) -> None:
        """Give a new package the next number of its group; moto takes the count, which deletions lower."""
        backend = self.sagemaker_backend
        version = self._memory.last_version.get(group, 0) + 1
        self._memory.last_version[group] = version
        del backend.model_packages[package.arn]
        if package.arn in before:
            backend.model_packages[package.arn] = before[package.arn]
        package.model_package_version = version
        package.arn = f"{package.arn.rpartition('/')[0]}/{version}"
        backend.model_packages[package.arn] = package
        backend.model_package_name_mapping.pop(group, None)  # a group's name is no package's name

    def _package(self, name: str) -> ModelPackage:
        backend = self.sagemaker_backend
        package = backend.model_packages.get(name) or backend.model_packages.get(
            backend.model_package_name_mapping.get(name, "")
        )
        if package is None:
            raise ValidationError(f"ModelPackage {name} does not exist.")  # [A] the ending that ACK matches
        return package

    def _described(self, package: ModelPackage) -> dict[str, Any]:
        details: dict[str, list[Any]] = {
            "ValidationStatuses": [],
            "ImageScanStatuses": [],
        }  # AWS's example event of a versioned package
        return {
            **package.gen_response_object(),
            **self._memory.kept.get(package.arn, {}),
            "ModelPackageStatusDetails": details,
        }

    def _tell(self, package: ModelPackage, updated: list[str]) -> None:
        backend, memory = self.sagemaker_backend, self._memory
        memory.told += 1
        times = 2 if memory.told % _TOLD_TWICE == 0 else 1
        events.tell(backend.account_id, backend.region_name, self._described(package), updated, times=times)

    def _merged_metadata(self, package: ModelPackage) -> dict[str, str] | None:
        given = self._get_param("CustomerMetadataProperties") or {}
        removed = self._get_param("CustomerMetadataPropertiesToRemove") or []
        kept = package.customer_metadata_properties
        if not given and not removed:
            return dict(kept) if kept else kept
        merged = {key: value for key, value in {**(kept or {}), **given}.items() if key not in removed}
        _check_metadata(merged)
        return merged

    def _given(self, names: tuple[str, ...]) -> dict[str, Any]:
        values = {name: self._get_param(name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def _group_arn(self, name: str) -> str:
        backend = self.sagemaker_backend
        return f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:model-package-group/{name}"


def _fields(result: ActionResult) -> dict[str, Any]:
    if not isinstance(result.result, dict):
        raise TypeError("moto answered with something else than fields")
    return result.result


def _check_metadata(properties: dict[str, str]) -> None:
    if len(properties) > _MAX_METADATA:
        raise ValidationError(f"CustomerMetadataProperties: {len(properties)} entries, at most {_MAX_METADATA}")
    for key, value in properties.items():
        if len(key) > _MAX_KEY or len(value) > _MAX_VALUE:
            raise ValidationError(f"CustomerMetadataProperties: '{key[:_MAX_KEY]}' or its value is too long")


def install() -> None:
    """Let moto's server answer SageMaker requests with the corrected API; call before the server starts."""
    urls.url_paths = dict.fromkeys(urls.url_paths, RegistryResponse.dispatch)
