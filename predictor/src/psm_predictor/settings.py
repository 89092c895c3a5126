"""Everything that the environment decides, read once at start; the only reader of the environment.

Called by `__main__`. Must not import anything slow: `psm-predictor healthcheck` reads it too.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args

from psm_contract import environment
from psm_predictor.errors import SettingsError

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ROOT_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackageRef:
    """The model package version that this process serves."""

    data_url: str
    sha256: str
    arn: str
    version: int


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may ask for, and how many may wait.

    Attributes:
        body_bytes: Largest body; 2 MiB hold 1000 instances of 35 named features. Larger -> 413.
        instances: Most instances in one request; 1000 take about 10 ms of the one core. More -> 422.
        lines: Most till lines of one basket; the longest real one has a few hundred. More -> 422.
        in_flight: Most unanswered requests per worker; at 5000 requests/s 256 are 50 ms of queue. More -> 503.
        body_timeout_s: Longest wait for the rest of a body; a slower client gets 408.
    """

    body_bytes: int = 2 * _MEBIBYTE
    instances: int = 1000
    lines: int = 2000
    in_flight: int = 256
    body_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What a model archive may hold; a forest of 300 deep trees is about 30 MiB packed, 150 MiB unpacked.

    Attributes:
        packed_bytes: Largest model.tar.gz.
        unpacked_bytes: Most bytes that come out of it, tar headers included.
        files: Most members.
    """

    packed_bytes: int = 256 * _MEBIBYTE
    unpacked_bytes: int = 512 * _MEBIBYTE
    files: int = 64


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The HTTP server and its life.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose (tests).
        workers: Processes that share the port; each holds its own copy of the model.
        root_path: Prefix that requests may carry, such as /models/price; stripped before routing.
        keep_alive_s: Idle connections live longer than any usual proxy keeps them (60-90 s), so that it is never the
            server that closes a connection on which a request is under way.
        drain_s: After SIGTERM: time in which new requests are still answered while the endpoints forget this pod.
        shutdown_timeout_s: After the drain: longest wait for requests that are being answered.
    """

    host: str = "0.0.0.0"  # noqa: S104  # a container listens on all of its own addresses
    port: int = 8080
    workers: int = 1
    root_path: str = ""
    keep_alive_s: int = 120
    drain_s: float = 5.0
    shutdown_timeout_s: int = 15


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one predictor.

    Attributes:
        package: What to serve.
        requests: Limits of requests.
        archive: Limits of the archive.
        server: The HTTP server.
        cache_dir: Where a fetched archive is kept, so that a restarted container need not fetch it again.
        termination_log: File whose text Kubernetes shows as the container's termination message; used if it exists.
        log_level: Least severity logged.
    """

    package: PackageRef
    requests: RequestLimits = RequestLimits()
    archive: ArchiveLimits = ArchiveLimits()
    server: ServerSettings = ServerSettings()
    cache_dir: Path = Path("/tmp/psm-predictor")  # noqa: S108  # the one writable directory of the container
    termination_log: Path = Path("/dev/termination-log")
    log_level: LogLevel = "INFO"


class _Reader:
    """Typed look-ups that collect what is wrong instead of stopping at the first finding."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.findings: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.findings.append(f"{name} is not set")
        return default or ""

    def integer(self, name: str, default: int | None, least: int) -> int:
        return int(self._number(name, default, least, whole=True))

    def seconds(self, name: str, default: float) -> float:
        return self._number(name, default, 0, whole=False)

    def _number(self, name: str, default: float | None, least: int, *, whole: bool) -> float:
        raw = self.text(name, None if default is None else str(default))
        if not raw:
            return least
        try:
            value = int(raw) if whole else float(raw)
        except ValueError:
            self.findings.append(f"{name} is {raw!r}, expected {'a whole number' if whole else 'a number of seconds'}")
            return least
        if not least <= value < float("inf"):
            self.findings.append(f"{name} is {raw}, expected at least {least}")
        return value


def parse(environ: Mapping[str, str]) -> Settings:
    """Settings from the given environment.

    Raises:
        SettingsError: Something required is missing or malformed; all findings are listed.
    """
    read = _Reader(environ)
    settings = Settings(
        package=_package(read),
        requests=_requests(read, RequestLimits()),
        archive=_archive(read, ArchiveLimits()),
        server=_server(read, ServerSettings()),
        cache_dir=Path(read.text("PSM_CACHE_DIR", "/tmp/psm-predictor")),  # noqa: S108  # as in Settings
        termination_log=Path(read.text("PSM_TERMINATION_LOG", "/dev/termination-log")),
        log_level=_log_level(read),
    )
    if read.findings:
        raise SettingsError("; ".join(read.findings))
    return settings


def read() -> Settings:
    """Settings from this process' environment; raises SettingsError."""
    return parse(os.environ)  # noqa: TID251  # the only reader of the environment


def listen_port() -> int:
    """The port alone, for the health check, which needs no model."""
    reader = _Reader(os.environ)  # noqa: TID251  # the only reader of the environment
    port = reader.integer("PSM_LISTEN_PORT", ServerSettings().port, 1)
    if reader.findings:
        raise SettingsError("; ".join(reader.findings))
    return port


def _package(read: _Reader) -> PackageRef:
    package = PackageRef(
        data_url=read.text(environment.MODEL_DATA_URL),
        sha256=read.text(environment.MODEL_SHA256).lower(),
        arn=read.text(environment.MODEL_PACKAGE_ARN),
        version=read.integer(environment.MODEL_PACKAGE_VERSION, None, 1),
    )
    if package.sha256 and not _SHA256.fullmatch(package.sha256):
        read.findings.append(f"{environment.MODEL_SHA256} is {package.sha256!r}, expected 64 hex digits")
    if package.data_url and not package.data_url.startswith(("s3://", "file://")):
        read.findings.append(f"{environment.MODEL_DATA_URL} is {package.data_url!r}, expected s3://… or file://…")
    return package


def _requests(read: _Reader, default: RequestLimits) -> RequestLimits:
    return RequestLimits(
        body_bytes=read.integer("PSM_MAX_BODY_BYTES", default.body_bytes, 1),
        instances=read.integer("PSM_MAX_INSTANCES", default.instances, 1),
        lines=read.integer("PSM_MAX_LINES", default.lines, 1),
        in_flight=read.integer("PSM_MAX_IN_FLIGHT", default.in_flight, 1),
        body_timeout_s=read.seconds("PSM_BODY_TIMEOUT_S", default.body_timeout_s),
    )


def _archive(read: _Reader, default: ArchiveLimits) -> ArchiveLimits:
    return ArchiveLimits(
        packed_bytes=read.integer("PSM_MAX_ARCHIVE_BYTES", default.packed_bytes, 1),
        unpacked_bytes=read.integer("PSM_MAX_UNPACKED_BYTES", default.unpacked_bytes, 1),
        files=read.integer("PSM_MAX_ARCHIVE_FILES", default.files, 1),
    )


def _server(read: _Reader, default: ServerSettings) -> ServerSettings:
    root_path = read.text("PSM_ROOT_PATH", "/").rstrip("/")
    if not _ROOT_PATH.fullmatch(root_path):
        read.findings.append(f"PSM_ROOT_PATH is {root_path!r}, expected a path such as /models/price")
    return ServerSettings(
        host=read.text("PSM_LISTEN_HOST", default.host),
        port=read.integer("PSM_LISTEN_PORT", default.port, 0),
        workers=read.integer("PSM_WORKERS", default.workers, 1),
        root_path=root_path,
        keep_alive_s=read.integer("PSM_KEEP_ALIVE_S", default.keep_alive_s, 1),
        drain_s=read.seconds("PSM_DRAIN_S", default.drain_s),
        shutdown_timeout_s=read.integer("PSM_SHUTDOWN_TIMEOUT_S", default.shutdown_timeout_s, 1),
    )


def _log_level(read: _Reader) -> LogLevel:
    level = read.text("PSM_LOG_LEVEL", "INFO").upper()
    if level not in get_args(LogLevel):
        read.findings.append(f"PSM_LOG_LEVEL is {level!r}, expected one of {', '.join(get_args(LogLevel))}")
    return cast(LogLevel, level)
