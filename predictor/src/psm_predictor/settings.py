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
AccessLogging = Literal["off", "errors", "all"]
Tracing = Literal["off", "otlp"]
EngineChoice = Literal["auto", "trees", "onnx", "joblib"]
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

    @property
    def group(self) -> str:
        """The group in arn:aws:sagemaker:region:account:model-package/group/version; another text as it is."""
        parts = self.arn.rpartition(":")[2].split("/")
        return parts[1] if len(parts) > 1 else self.arn


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may ask for, and how many may wait.

    Attributes:
        body_bytes: Largest body; 2 MiB hold 1000 instances of 35 named features. Larger -> 413.
        instances: Most instances in one request; 1000 take about 10 ms of the one core. More -> 422.
        lines: Most till lines of one basket; the longest real one has a few hundred. More -> 422.
        explained: Most baskets explained in one request; with 100,000 leaves each costs 0.3 s of the batch thread. More -> 422.
        in_flight: Most unanswered requests per worker; at 5000 requests/s 256 are 50 ms of queue. More -> 503.
        in_flight_bytes: Most bytes of bodies that are being received or wait for their answer, per worker. More -> 503.
        body_timeout_s: Longest wait for the rest of a body; a slower client gets 408.
    """

    body_bytes: int = 2 * _MEBIBYTE
    instances: int = 1000
    lines: int = 2000
    explained: int = 16
    in_flight: int = 256
    in_flight_bytes: int = 32 * _MEBIBYTE
    body_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost before and beside its requests' bodies; of each worker.

    Attributes:
        header_bytes: Longest request line with headers; a load balancer's identity headers have up to 11 KiB. More -> 431.
        header_timeout_s: Longest wait from the first byte of a request, or from the connection's start, to the end of
            its headers; the connection is closed.
        send_timeout_s: Longest time in which a client does not take its answers in full; the connection is cut.
        connections: Most open ones; beyond it the longest idle are closed. 1024 with unfinished headers hold 32 MiB.
    """

    header_bytes: int = 32 * 1024
    header_timeout_s: float = 10.0
    send_timeout_s: float = 30.0
    connections: int = 1024


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Who may ask; nobody is kept out as long as nothing is set.

    Attributes:
        api_keys: SHA-256 digests of allowed API keys, separated by commas.
        api_keys_file: File with one digest per line, as sha256sum writes them; read again when it changes.
        jwks: Where the public keys of the tokens' issuer are: https:// or file://; with it, tokens are accepted.
        issuer: The tokens' `iss`.
        audience: One of the tokens' `aud`.
        header: Header that carries the token, lower case; after "Bearer " if it is authorization.
    """

    api_keys: tuple[str, ...] = ()
    api_keys_file: Path | None = None
    jwks: str = ""
    issuer: str = ""
    audience: str = ""
    header: str = "authorization"


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
class LiveSettings:
    """Drift, live accuracy, and what is told of them.

    Attributes:
        drift_window_s: Baskets of so many last seconds are compared with the training window.
        remembered: Requests, and as many labels, that each writer of a pod keeps for feedback: 21 bytes of each.
        labels: Newest labels that live accuracy is about, of a pod.
        labels_window_s: Labels that arrived longer ago do not count; they come late and seldom, so a day.
        emf: Whether a line of CloudWatch's embedded metric format is logged each minute.
        model_name: Dimension of the pod's metrics in those lines; empty: none of its own, and no metrics of requests.
        prediction_log: Whether each prediction and each feedback is logged, without the basket.
    """

    drift_window_s: int = 3600
    remembered: int = 32_768
    labels: int = 10_000
    labels_window_s: int = 86_400
    emf: bool = False
    model_name: str = ""
    prediction_log: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one predictor.

    Attributes:
        package: What to serve.
        requests: Limits of requests.
        connections: Limits of connections.
        archive: Limits of the archive.
        server: The HTTP server.
        guard: Who may ask.
        live: Drift and live accuracy.
        engine: What answers; auto is the kernel where the model is an ensemble of trees, else ONNX.
        cache_dir: Where a fetched archive is kept, so that a restarted container need not fetch it again.
        termination_log: File whose text Kubernetes shows as the container's termination message; used if it exists.
        log_level: Least severity logged.
        access_log: Which requests are logged: none, refused and failed ones, all.
        tracing: Where spans of requests go; OpenTelemetry's own OTEL_* variables say the rest.
    """

    package: PackageRef
    requests: RequestLimits = RequestLimits()
    connections: ConnectionLimits = ConnectionLimits()
    archive: ArchiveLimits = ArchiveLimits()
    server: ServerSettings = ServerSettings()
    guard: GuardSettings = GuardSettings()
    live: LiveSettings = LiveSettings()
    engine: EngineChoice = "auto"
    cache_dir: Path = Path("/tmp/psm-predictor")  # noqa: S108  # the one writable directory of the container
    termination_log: Path = Path("/dev/termination-log")
    log_level: LogLevel = "INFO"
    access_log: AccessLogging = "errors"
    tracing: Tracing = "off"


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

    def switch(self, name: str) -> bool:
        return self.choice(name, "0", ("0", "1")) == "1"

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        self.findings.append(f"{name} is {value!r}, expected one of {', '.join(choices)}")
        return default

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
        connections=_connections(read, ConnectionLimits()),
        archive=_archive(read, ArchiveLimits()),
        server=_server(read, ServerSettings()),
        guard=_guard(read),
        live=_live(read, LiveSettings()),
        engine=_engine(read),
        cache_dir=Path(read.text("PSM_CACHE_DIR", "/tmp/psm-predictor")),  # noqa: S108  # as in Settings
        termination_log=Path(read.text("PSM_TERMINATION_LOG", "/dev/termination-log")),
        log_level=cast(LogLevel, read.choice("PSM_LOG_LEVEL", "INFO", get_args(LogLevel))),
        access_log=cast(AccessLogging, read.choice("PSM_ACCESS_LOG", "errors", get_args(AccessLogging))),
        tracing=cast(Tracing, read.choice("PSM_TRACING", "off", get_args(Tracing))),
    )
    if read.findings:
        raise SettingsError("; ".join(read.findings))
    return settings


def read() -> Settings:
    """Settings from this process' environment; raises SettingsError."""
    return parse(os.environ)  # noqa: TID251  # the only reader of the environment


def read_for_batch(data_url: str | None, sha256: str | None) -> Settings:
    """Settings of a batch run, as of a pod: what is given here wins, and the model need not be a registered package."""
    given = {environment.MODEL_DATA_URL: data_url, environment.MODEL_SHA256: sha256}
    unregistered = {environment.MODEL_PACKAGE_ARN: "unregistered", environment.MODEL_PACKAGE_VERSION: "1"}
    named = {name: value for name, value in given.items() if value}
    return parse({**unregistered, **os.environ, **named})  # noqa: TID251  # the only reader of the environment


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
        explained=read.integer("PSM_MAX_EXPLAINED", default.explained, 1),
        in_flight=read.integer("PSM_MAX_IN_FLIGHT", default.in_flight, 1),
        in_flight_bytes=read.integer("PSM_MAX_IN_FLIGHT_BYTES", default.in_flight_bytes, 1),
        body_timeout_s=read.seconds("PSM_BODY_TIMEOUT_S", default.body_timeout_s),
    )


def _connections(read: _Reader, default: ConnectionLimits) -> ConnectionLimits:
    return ConnectionLimits(
        header_bytes=read.integer("PSM_MAX_HEADER_BYTES", default.header_bytes, 1024),
        header_timeout_s=read.seconds("PSM_HEADER_TIMEOUT_S", default.header_timeout_s),
        send_timeout_s=read.seconds("PSM_SEND_TIMEOUT_S", default.send_timeout_s),
        connections=read.integer("PSM_MAX_CONNECTIONS", default.connections, 1),
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


def _guard(read: _Reader) -> GuardSettings:
    keys_file = read.text("PSM_API_KEYS_FILE", "")
    guard = GuardSettings(
        api_keys=tuple(key.strip().lower() for key in read.text("PSM_API_KEYS", "").split(",") if key.strip()),
        api_keys_file=Path(keys_file) if keys_file else None,
        jwks=read.text("PSM_JWT_JWKS", ""),
        issuer=read.text("PSM_JWT_ISSUER", ""),
        audience=read.text("PSM_JWT_AUDIENCE", ""),
        header=read.text("PSM_JWT_HEADER", GuardSettings().header).lower(),
    )
    for number, key in enumerate(guard.api_keys, start=1):
        if not _SHA256.fullmatch(key):  # not shown: somebody may have put the key itself there
            read.findings.append(f"PSM_API_KEYS: entry {number} is no SHA-256 digest of 64 hex digits")
    if guard.jwks and not guard.jwks.startswith(("https://", "file://")):
        read.findings.append(f"PSM_JWT_JWKS is {guard.jwks!r}, expected https://… or file://…")
    if len({bool(guard.jwks), bool(guard.issuer), bool(guard.audience)}) > 1:
        read.findings.append("PSM_JWT_JWKS, PSM_JWT_ISSUER and PSM_JWT_AUDIENCE belong together; set all or none")
    return guard


def _engine(read: _Reader) -> EngineChoice:
    engine = cast(EngineChoice, read.choice("PSM_ENGINE", "auto", get_args(EngineChoice)))
    may_unpickle = read.choice("PSM_ALLOW_JOBLIB", "0", ("0", "1")) == "1"
    if engine == "joblib" and not may_unpickle:
        read.findings.append(
            "PSM_ENGINE is joblib, which runs whatever the archive's model.joblib says; "
            "set PSM_ALLOW_JOBLIB=1 if you trust whoever can register a model"
        )
    return engine


def _live(read: _Reader, default: LiveSettings) -> LiveSettings:
    return LiveSettings(
        drift_window_s=read.integer("PSM_DRIFT_WINDOW_S", default.drift_window_s, 60),
        remembered=read.integer("PSM_FEEDBACK_MEMORY", default.remembered, 1),
        labels=read.integer("PSM_FEEDBACK_LABELS", default.labels, 1),
        labels_window_s=read.integer("PSM_FEEDBACK_WINDOW_S", default.labels_window_s, 1),
        emf=read.switch(environment.EMF),
        model_name=read.text(environment.MODEL_NAME, default.model_name),
        prediction_log=read.switch("PSM_PREDICTION_LOG"),
    )
