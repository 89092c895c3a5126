"""Checks the signature, issuer, audience and times of JSON Web Tokens against the issuer's published keys.

Imported by `guard` only where tokens are accepted. Signatures are public-key ones alone, by a fixed list: a token's
header chooses among the issuer's keys, never the kind of check.
"""

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import jwt
import msgspec

from psm_predictor.errors import RequestError, SettingsError
from psm_predictor.settings import GuardSettings

_LOG: Final = logging.getLogger(__name__)
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_S: Final = 30  # clocks differ
_REFRESH_S: Final = 300.0  # issuers announce a new key hours before its use
_REFRESH_UNKNOWN_S: Final = 30.0  # soonest for a key that is not known: a client must not make us ask without pause
_TIMEOUT_S: Final = 5.0
_MOST_JWKS_BYTES: Final = 1024 * 1024
_REMEMBERED: Final = 4096
"""Tokens whose signature is remembered: a check takes 50 to 100 microseconds, twice a prediction."""


class TokenVerifier:
    """Admits bearers of valid tokens."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._valid_until: OrderedDict[bytes, float] = OrderedDict()
        self._fetched_at = -_REFRESH_S
        self._wants_refresh = False
        self._fetching: threading.Thread | None = None
        if settings.jwks.startswith("file://"):
            try:
                self._accept(_read(settings.jwks))
            except (OSError, ValueError) as err:
                raise SettingsError(f"PSM_JWT_JWKS: {err}") from err

    def refusal(self, token: str) -> RequestError | None:
        """Why the token does not admit its bearer; None if it does."""
        if not self._keys:
            return RequestError(503, "the keys of the tokens' issuer are not known yet; try again", "not_ready")
        fingerprint = hashlib.sha256(token.encode()).digest()
        until = self._valid_until.get(fingerprint)
        if until is not None and time.time() < until:
            return None
        try:
            self._valid_until[fingerprint] = self._check(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as err:
            return RequestError(401, f"the token is refused: {err}", "unauthorized")
        if len(self._valid_until) > _REMEMBERED:
            self._valid_until.popitem(last=False)
        return None

    def refresh(self) -> None:
        """Fetches the keys again when it is time, in a thread."""
        age_s = time.monotonic() - self._fetched_at
        is_due = age_s >= _REFRESH_S or (age_s >= _REFRESH_UNKNOWN_S and (self._wants_refresh or not self._keys))
        if not is_due or (self._fetching is not None and self._fetching.is_alive()):
            return
        self._fetched_at = time.monotonic()
        self._fetching = threading.Thread(target=self.fetch, name="jwks", daemon=True)
        self._fetching.start()

    def _check(self, token: str) -> float:
        """Until when the token is valid, seconds since the epoch; raises if it is not."""
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(kid)
        if key is None:
            self._wants_refresh = True
            raise ValueError(f"key {kid!r} is not one of its issuer's")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud"]},
        )
        return float(claims["exp"]) + _LEEWAY_S

    def fetch(self) -> None:
        """Fetches the keys; if that fails, they stay as they were. Blocking."""
        try:
            self._accept(_read(self._settings.jwks))
        except (OSError, ValueError) as err:
            _LOG.warning("the issuer's keys stay as they were", extra={"error": str(err), "keys": len(self._keys)})

    def _accept(self, raw: bytes) -> None:
        keys = _keys(raw)
        if keys.keys() != self._keys.keys():
            _LOG.info("keys of the tokens' issuer", extra={"keys": len(keys)})
        self._keys = keys
        self._valid_until = OrderedDict()  # a key that is gone takes its tokens with it
        self._wants_refresh = False


def _keys(raw: bytes) -> dict[str | None, jwt.PyJWK]:
    """The public signature keys by their id; the id may be missing if there is only one key.

    Raises:
        ValueError: There is none.
    """
    try:
        entries = msgspec.json.decode(raw)["keys"]
        usable = [entry for entry in entries if entry.get("kty") != "oct" and entry.get("use", "sig") == "sig"]
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ValueError(f"it is no JSON Web Key Set: {err}") from err
    keys: dict[str | None, jwt.PyJWK] = {}
    for entry in usable:
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue  # a kind of key that we do not know is as good as none
        if key.algorithm_name in _ALGORITHMS:
            keys[key.key_id] = key
    if not keys:
        raise ValueError("the JSON Web Key Set holds no public key for signatures")
    if len(keys) == 1:
        keys[None] = next(iter(keys.values()))
    return keys


def _read(url: str) -> bytes:
    """The key set; raises OSError or ValueError."""
    if url.startswith("file://"):
        with Path(unquote(urlsplit(url).path)).open("rb") as file:
            raw = file.read(_MOST_JWKS_BYTES + 1)
    else:
        raw = _download(url)
    if len(raw) > _MOST_JWKS_BYTES:
        raise ValueError(f"{url} has more than {_MOST_JWKS_BYTES} bytes")
    return raw


def _download(url: str) -> bytes:
    # only where keys are fetched
    from urllib.request import HTTPRedirectHandler, build_opener  # noqa: PLC0415

    class NoRedirect(HTTPRedirectHandler):
        """Keys come from where the operator said, over TLS, and from nowhere else."""

        def redirect_request(self, *_: Any) -> None:
            """Never."""

    with build_opener(NoRedirect).open(url, timeout=_TIMEOUT_S) as answer:
        raw: bytes = answer.read(_MOST_JWKS_BYTES + 1)
    return raw
