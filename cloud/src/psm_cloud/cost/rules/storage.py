"""Buckets, images, keys and secrets."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from psm_cloud.cost.bill import Facts, Line
from psm_cloud.cost.resources import Resource

KINDS: Final = ("models", "logs", "athena", "lake")
"""What a bucket holds, by a word of its address or name; the first that is found."""


def bucket(found: Resource, facts: Facts) -> Iterator[Line]:
    """Objects by storage class, and requests; a bucket of a purpose that the usage does not know holds nothing."""
    name = f"{found.address} {found.values.get('bucket') or ''}"
    match next((kind for kind in KINDS if kind in name), ""):
        case "lake":
            yield from _lake(found, facts)
        case "models":
            yield facts.line(
                "storage", "models, standard", found.address, facts.usage["models_gb"], "s3.standard_gb_month"
            )
        case "logs":
            yield from _logs(found, facts)
        case _:
            return


def _lake(found: Resource, facts: Facts) -> Iterator[Line]:
    usage = facts.usage
    raw, cold = usage["raw_gb"], usage["raw_cold_share"]
    yield facts.line("storage", "lake, silver and gold", found.address, usage["refined_gb"], "s3.standard_gb_month")
    yield facts.line("storage", "lake, raw that is read", found.address, raw * (1 - cold), "s3.standard_gb_month")
    yield facts.line("storage", "lake, raw untouched", found.address, raw * cold, "s3.infrequent_gb_month")
    if cold:
        thousands = usage["raw_objects"] / 1000
        yield facts.line("storage", "lake, tiering", found.address, thousands, "s3.tiering_objects_thousand")
    yield facts.line("storage", "requests, write and list", found.address, usage["s3_writes"], "s3.put_request")
    yield facts.line("storage", "requests, read", found.address, usage["s3_reads"], "s3.get_request")


def _logs(found: Resource, facts: Facts) -> Iterator[Line]:
    gigabytes, cold = facts.usage["log_bucket_gb"], facts.usage["log_bucket_cold_share"]
    warm = gigabytes * (1 - cold)
    yield facts.line("storage", "log bucket, standard", found.address, warm, "s3.standard_gb_month")
    yield facts.line("storage", "log bucket, Glacier", found.address, gigabytes * cold, "s3.glacier_gb_month")


def repository(found: Resource, facts: Facts) -> Iterator[Line]:
    """Images; basic scanning is free."""
    share = facts.usage["images_gb"] / len(facts.plan.of("aws_ecr_repository"))
    yield facts.line("storage", "container images", found.address, share, "ecr.gb_month")


ROTATIONS: Final = Decimal(2)
"""Yearly rotations of a key that are each paid as a key; those after the second are not."""


def key(found: Resource, facts: Facts) -> Iterator[Line]:
    """A key of our own, with its rotations as from the third year on, when no more are added to the bill."""
    yield facts.line("keys and secrets", "KMS keys", found.address, Decimal(1), "kms.key_month")
    if found.values.get("enable_key_rotation"):
        yield facts.line("keys and secrets", "rotations of KMS keys", found.address, ROTATIONS, "kms.key_month")
    share = facts.usage["kms_requests"] / len(facts.plan.of("aws_kms_key"))
    yield facts.line("keys and secrets", "KMS requests", found.address, share, "kms.request")


def secret(found: Resource, facts: Facts) -> Iterator[Line]:
    """A secret and who reads it."""
    yield facts.line("keys and secrets", "secrets", found.address, Decimal(1), "secret.month")


RULES: Final[Mapping[str, Any]] = {
    "aws_s3_bucket": bucket,
    "aws_ecr_repository": repository,
    "aws_kms_key": key,
    "aws_secretsmanager_secret": secret,
}
