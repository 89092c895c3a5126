"""Who may ask: API keys and tokens, both optional; with neither set there is no guard and no cost.

`app` asks `Guard.admit` before any route; `server` calls `Guard.refresh` about once a second. A key is known only by
its SHA-256 digest: looking a digest up tells an attacker nothing about how much of a guess was right.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from psm_predictor.asgi import Header, Scope
from psm_predictor.errors import RequestError, SettingsError
from psm_predictor.settings import GuardSettings

_LOG: Final = logging.getLogger(__name__)
_KEY_HEADER: Final = b"x-api-key"
_OPEN: Final = ("/health", "/healthz", "/readyz", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready")
"""For probes and Prometheus, which carry no key; they say nothing about baskets."""

_LINE: Final = re.compile(r"([0-9a-fA-F]{64})(\s.*)?")
_MOST_FILE_BYTES: Final = 1024 * 1024
_BEARER: Final = re.compile(rb"[Bb]earer +([A-Za-z0-9._~+/=-]{1,16384})")


class Tokens(Protocol):
    """Checks tokens; `tokens.TokenVerifier` is one."""

    def refusal(self, token: str) -> RequestError | None:
        """Why the token does not admit its bearer."""

    def refresh(self) -> None:
        """Looks after its public keys; returns at once."""


class ApiKeys:
    """Digests of the keys that are allowed, from the environment and from a file that may change."""

    def __init__(self, digests: Iterable[str], file: Path | None) -> None:
        self._fixed = frozenset(digests)
        self._file = file
        self._seen: tuple[int, ...] = ()
        self._digests = self._fixed
        if file is not None:
            self._seen = _state(file)
            self._digests = self._fixed | _read(file)

    def __contains__(self, key: bytes) -> bool:
        """Whether the key is allowed."""
        return hashlib.sha256(key).hexdigest() in self._digests

    def refresh(self) -> None:
        """Reads the file again if it has changed; one that cannot be read leaves the keys as they were."""
        if self._file is None:
            return
        try:
            state = _state(self._file)
        except OSError:
            state = ()  # reading it will say the same
        if state == self._seen:
            return
        self._seen = state
        try:
            self._digests = self._fixed | _read(self._file)
        except (OSError, ValueError) as err:
            _LOG.error("the API keys stay as they were", extra={"error": str(err)})  # one line
        else:
            _LOG.info("API keys read again", extra={"keys": len(self._digests)})


class Guard:
    """Admits or refuses; a request needs one of the ways that are configured, not all."""

    def __init__(self, *, keys: ApiKeys | None, tokens: Tokens | None, token_header: str, root_path: str) -> None:
        self._keys = keys
        self._tokens = tokens
        self._token_header = token_header.encode()
        self._open = frozenset({*_OPEN, *(root_path + path for path in _OPEN)})

    def admit(self, scope: Scope) -> RequestError | None:
        """Why the request is refused; None if it may pass."""
        if scope["path"] in self._open:
            return None
        headers: Sequence[Header] = scope["headers"]
        if self._keys is not None:
            sent = [value for name, value in headers if name == _KEY_HEADER]
            if len(sent) == 1 and sent[0] in self._keys:
                return None
            if sent:
                return _refused("the X-Api-Key is not known")
        if self._tokens is None:
            return _refused("send an X-Api-Key")
        token = self._token(headers)
        if token is None:
            return _refused(f"send one {'X-Api-Key or ' if self._keys is not None else ''}{self._named_token()}")
        return self._tokens.refusal(token)

    def refresh(self) -> None:
        """Looks after keys that may have changed; returns at once."""
        if self._keys is not None:
            self._keys.refresh()
        if self._tokens is not None:
            self._tokens.refresh()

    def _token(self, headers: Sequence[Header]) -> str | None:
        sent = [value for name, value in headers if name == self._token_header]
        if len(sent) != 1:
            return None
        bearer = _BEARER.fullmatch(sent[0] if self._token_header == b"authorization" else b"Bearer " + sent[0])
        return bearer[1].decode() if bearer else None

    def _named_token(self) -> str:
        if self._token_header == b"authorization":
            return "Authorization: Bearer token"
        return f"token in {self._token_header.decode()}"


def guard_of(settings: GuardSettings, root_path: str) -> Guard | None:
    """The guard that the settings ask for; None if they ask for none.

    Raises:
        SettingsError: A file that they name cannot be used.
    """
    try:
        keys = ApiKeys(settings.api_keys, settings.api_keys_file)
    except (OSError, ValueError) as err:
        raise SettingsError(f"PSM_API_KEYS_FILE: {err}") from err
    has_keys = bool(settings.api_keys or settings.api_keys_file)
    if not has_keys and not settings.jwks:
        return None
    tokens: Tokens | None = None
    if settings.jwks:
        try:
            from psm_predictor.tokens import TokenVerifier  # noqa: PLC0415  # an extra, of 10 MB
        except ImportError as err:
            raise SettingsError(f"PSM_JWT_JWKS needs psm-predictor[jwt]: {err}") from err
        tokens = TokenVerifier(settings)
    return Guard(keys=keys if has_keys else None, tokens=tokens, token_header=settings.header, root_path=root_path)


def _refused(text: str) -> RequestError:
    return RequestError(401, text, "unauthorized")


def _state(file: Path) -> tuple[int, ...]:
    """What changes when the file does; a Secret's file is a link that is turned to another one."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(file: Path) -> frozenset[str]:
    """The digests of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else, or nothing.
    """
    with file.open("rb") as content:
        raw = content.read(_MOST_FILE_BYTES + 1)
    if len(raw) > _MOST_FILE_BYTES:
        raise ValueError(f"{file} has more than {_MOST_FILE_BYTES} bytes")
    digests = set()
    for number, line in enumerate(raw.decode().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:  # the line is not shown: it may be a key
            raise ValueError(f"{file} line {number} is no SHA-256 digest of 64 hex digits, as sha256sum writes it")
        digests.add(match[1].lower())
    if not digests:
        raise ValueError(f"{file} holds no digest")
    return frozenset(digests)
