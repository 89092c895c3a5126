import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from psm_predictor.errors import RequestError, SettingsError
from psm_predictor.guard import ApiKeys, Guard, guard_of
from psm_predictor.settings import GuardSettings
from psm_predictor.tokens import TokenVerifier

ISSUER, AUDIENCE = "https://login.example.com/", "price-sensitivity"
KEY = b"k3y-of-the-tills"


def digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def scope(path: str = "/predict", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"path": path, "headers": list(headers)}


def status(refusal: RequestError | None) -> int:
    return 200 if refusal is None else refusal.status


# API keys


def guarded(**settings: Any) -> Guard:
    guard = guard_of(GuardSettings(**settings), "/models/price")
    assert guard is not None
    return guard


def test_without_settings_there_is_no_guard() -> None:
    """And so no cost."""
    assert guard_of(GuardSettings(), "") is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([], 401, id="no key"),
        pytest.param([(b"x-api-key", KEY)], 200, id="the key"),
        pytest.param([(b"x-api-key", KEY + b" ")], 401, id="the key and a space"),
        pytest.param([(b"x-api-key", digest(KEY).encode())], 401, id="its digest"),
        pytest.param([(b"x-api-key", b"")], 401, id="an empty key"),
        pytest.param([(b"x-api-key", KEY), (b"x-api-key", KEY)], 401, id="the key twice"),
        pytest.param([(b"authorization", b"Bearer " + KEY)], 401, id="the key as a token"),
    ],
)
def test_a_key_is_known_by_its_digest(headers: list[tuple[bytes, bytes]], expected: int) -> None:
    """One header, and exactly the key."""
    assert status(guarded(api_keys=(digest(KEY),)).admit(scope("/predict", *headers))) == expected


@pytest.mark.parametrize("path", ["/healthz", "/health", "/readyz", "/metrics", "/ping", "/v2/health/ready"])
def test_probes_and_prometheus_need_no_key(path: str) -> None:
    """With the root path as without."""
    guard = guarded(api_keys=(digest(KEY),))

    assert guard.admit(scope(path)) is None
    assert guard.admit(scope("/models/price" + path)) is None


@pytest.mark.parametrize(
    "path",
    ["/predict", "/model", "/docs", "/openapi.json", "/nowhere", "/healthz/", "//healthz", "/HEALTHZ", "/healthz/../model",
     "/models/price/models/price/healthz", "/feedback", "/invocations", "/v2", "", "/readyz;x"],
)  # fmt: skip
def test_everything_else_does(path: str) -> None:
    """What is not named is closed, whatever a router may make of it."""
    assert status(guarded(api_keys=(digest(KEY),)).admit(scope(path))) == 401


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """As a Secret's file does: a link is turned to another file."""
    for name, key in (("old", b"one"), ("new", b"two")):
        (tmp_path / name).write_text(f"# tills\n\n{digest(key).upper()}  -\n{digest(key + b'2')}\n")
    link = tmp_path / "keys"
    link.symlink_to("old")
    keys = ApiKeys((digest(b"fixed"),), link)
    assert [key in keys for key in (b"one", b"one2", b"two", b"fixed")] == [True, True, False, True]

    (tmp_path / "turned").symlink_to("new")
    (tmp_path / "turned").replace(link)
    keys.refresh()

    assert [key in keys for key in (b"one", b"two", b"fixed")] == [False, True, True]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: path.write_text("a key itself"), id="no digest"),
        pytest.param(lambda path: path.write_text(""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), id="no text"),
        pytest.param(lambda path: path.write_bytes(b"#" * 2_000_000), id="huge"),
    ],
)
def test_a_file_that_is_spoilt_later_changes_nothing(
    tmp_path: Path, spoil: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither nobody nor everybody is let in; it is said once, and a good file counts again."""
    path = tmp_path / "keys"
    path.write_text(digest(b"one"))
    keys = ApiKeys((), path)

    spoil(path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            keys.refresh()

    assert b"one" in keys
    assert [record.message for record in caplog.records] == ["the API keys stay as they were"]
    assert "a key itself" not in caplog.text
    path.write_text(digest(b"two"))
    keys.refresh()
    assert (b"one" in keys, b"two" in keys) == (False, True)


@pytest.mark.parametrize("content", ["", "# nothing\n", "a key itself\n"], ids=["empty", "no key", "no digest"])
def test_a_file_that_is_useless_from_the_start_is_an_error(tmp_path: Path, content: str) -> None:
    """The process does not start open, or closed for ever."""
    path = tmp_path / "keys"
    path.write_text(content)

    with pytest.raises(SettingsError, match="PSM_API_KEYS_FILE") as caught:
        guard_of(GuardSettings(api_keys_file=path), "")

    assert "a key itself" not in str(caught.value)


# tokens


class Issuer:
    """An issuer of tokens with one RSA and one EC key."""

    def __init__(self, directory: Path) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.path = directory / "jwks.json"
        self.publish(self.jwk("r1", self.rsa), self.jwk("e1", self.ec))

    @staticmethod
    def jwk(kid: str, key: Any) -> dict[str, Any]:
        algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}

    def publish(self, *keys: dict[str, Any]) -> None:
        self.path.write_text(json.dumps({"keys": keys}))

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(GuardSettings(jwks=self.path.as_uri(), issuer=ISSUER, audience=AUDIENCE))

    def token(self, kid: str | None = "r1", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        all_claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "iat": now, "sub": "till", **claims}
        headers = {} if kid is None else {"kid": kid}
        kept = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(kept, key or self.rsa, algorithm, headers=headers)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.mark.parametrize("kid", ["r1", "e1"], ids=["RSA", "elliptic curve"])
def test_a_valid_token_admits(issuer: Issuer, kid: str) -> None:
    """Again and again: its signature is remembered."""
    verifier = issuer.verifier()
    token = issuer.token(
        kid, "ES256" if kid == "e1" else "RS256", issuer.ec if kid == "e1" else None, aud=["x", AUDIENCE]
    )

    assert [status(verifier.refusal(token)) for _ in range(3)] == [200, 200, 200]


def forged(issuer: Issuer) -> str:
    """Signed with HMAC, the public key for a secret: the classic confusion of kinds."""
    header = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "r1"}).encode())
    payload = issuer.token().split(".")[1].encode()
    public = json.dumps(Issuer.jwk("r1", issuer.rsa)).encode()
    signature = hmac.new(public, header + b"." + payload, hashlib.sha256).digest()
    return (header + b"." + payload + b"." + jwt.utils.base64url_encode(signature)).decode()


def unsigned(issuer: Issuer) -> str:
    header = jwt.utils.base64url_encode(b'{"alg": "none", "kid": "r1"}').decode()
    return f"{header}.{issuer.token().split('.')[1]}."


def changed(issuer: Issuer) -> str:
    head, payload, signature = issuer.token().split(".")
    other = issuer.token(sub="somebody else").split(".")[1]
    assert other != payload
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda issuer: issuer.token(exp=int(time.time()) - 60), id="expired"),
        pytest.param(lambda issuer: issuer.token(nbf=int(time.time()) + 60), id="not valid yet"),
        pytest.param(lambda issuer: issuer.token(exp=None), id="never expires"),
        pytest.param(lambda issuer: issuer.token(exp="soon"), id="an expiry in words"),
        pytest.param(lambda issuer: issuer.token(iss="https://evil.example.com/"), id="another issuer"),
        pytest.param(lambda issuer: issuer.token(iss=None), id="no issuer"),
        pytest.param(lambda issuer: issuer.token(aud="another-service"), id="another audience"),
        pytest.param(lambda issuer: issuer.token(aud=None), id="no audience"),
        pytest.param(lambda issuer: issuer.token(kid="r2"), id="an unknown key"),
        pytest.param(lambda issuer: issuer.token(kid=None), id="no key named where there are two"),
        pytest.param(
            lambda issuer: issuer.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
            id="another key by the same name",
        ),
        pytest.param(lambda issuer: issuer.token("r1", "ES256", issuer.ec), id="another kind of key by the same name"),
        pytest.param(lambda issuer: issuer.token("r1", "RS512"), id="another algorithm than the key's"),
        pytest.param(forged, id="a public key taken for a secret"),
        pytest.param(unsigned, id="no signature"),
        pytest.param(changed, id="another content under the same signature"),
        pytest.param(lambda _: "a.b.c", id="no token"),
        pytest.param(lambda _: "", id="nothing"),
        pytest.param(lambda _: "." * 16_000, id="dots"),
        pytest.param(lambda _: jwt.utils.base64url_encode(b"[" * 9000).decode() + ".e30.x", id="deep nesting"),
        pytest.param(
            lambda _: jwt.utils.base64url_encode(b'{"alg":"RS256","kid":[]}').decode() + ".e30.x",
            id="a list for a key's name",
        ),
    ],
)
def test_any_other_token_is_401(issuer: Issuer, make: Callable[[Issuer], str]) -> None:
    """Twice, so that nothing wrong is remembered as right."""
    verifier = issuer.verifier()
    token = make(issuer)

    assert [status(verifier.refusal(token)) for _ in range(2)] == [401, 401]


def test_a_remembered_token_expires_all_the_same(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is until when, not that."""
    verifier = issuer.verifier()
    token = issuer.token(exp=int(time.time()) + 10)
    assert verifier.refusal(token) is None

    checked: list[str] = []

    def check(token: str) -> float:
        checked.append(token)
        return 0.0

    monkeypatch.setattr(verifier, "_check", check)
    later = time.time() + 60
    monkeypatch.setattr("psm_predictor.tokens.time.time", lambda: later)
    verifier.refusal(token)

    assert checked == [token]


def test_a_key_that_is_gone_takes_its_tokens_with_it(tmp_path: Path) -> None:
    """After a rotation."""
    issuer = Issuer(tmp_path)
    verifier = issuer.verifier()
    token = issuer.token()
    assert verifier.refusal(token) is None

    issuer.publish(Issuer.jwk("e1", issuer.ec))
    verifier.fetch()

    assert status(verifier.refusal(token)) == 401


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{}", id="no keys"),
        pytest.param('{"keys": []}', id="an empty list"),
        pytest.param('{"keys": 1}', id="a number"),
        pytest.param('{"keys": [1]}', id="a number in the list"),
        pytest.param('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "r1"}]}', id="a shared secret"),
        pytest.param('{"keys": [{"kty": "RSA", "n": "!", "e": "AQAB", "kid": "r1"}]}', id="a broken key"),
        pytest.param("[" * 100_000, id="deep nesting"),
        pytest.param("", id="nothing"),
        pytest.param(" " * 2_000_000, id="huge"),
    ],
)
def test_useless_keys_are_an_error_at_the_start_and_change_nothing_later(tmp_path: Path, content: str) -> None:
    """Nobody is let in by them, and who was stays."""
    issuer = Issuer(tmp_path)
    verifier = issuer.verifier()
    token = issuer.token()
    issuer.path.write_text(content)

    with pytest.raises(SettingsError, match="PSM_JWT_JWKS"):
        issuer.verifier()
    verifier.fetch()

    assert verifier.refusal(token) is None


def test_a_single_key_needs_no_name(tmp_path: Path) -> None:
    """Some issuers leave it out."""
    issuer = Issuer(tmp_path)
    issuer.publish(Issuer.jwk("r1", issuer.rsa))

    assert issuer.verifier().refusal(issuer.token(kid=None)) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(lambda token: [(b"authorization", b"Bearer " + token)], 200, id="a token"),
        pytest.param(lambda token: [(b"authorization", b"bearer  " + token)], 200, id="as sloppy clients write it"),
        pytest.param(lambda token: [(b"authorization", token)], 401, id="no scheme"),
        pytest.param(lambda token: [(b"authorization", b"Basic " + token)], 401, id="another scheme"),
        pytest.param(lambda token: [(b"authorization", b"Bearer " + token)] * 2, 401, id="two tokens"),
        pytest.param(lambda _: [(b"authorization", b"Bearer ")], 401, id="no token"),
        pytest.param(lambda _: [(b"authorization", b"Bearer \xff\xfe")], 401, id="no text"),
        pytest.param(lambda _: [(b"x-api-key", KEY)], 200, id="an API key instead"),
        pytest.param(
            lambda token: [(b"x-api-key", b"wrong"), (b"authorization", b"Bearer " + token)],
            401,
            id="a wrong key and a token",
        ),
        pytest.param(lambda _: [], 401, id="nothing"),
    ],
)
def test_a_key_or_a_token(issuer: Issuer, headers: Callable[[bytes], list[tuple[bytes, bytes]]], expected: int) -> None:
    """Where both are configured, one is enough; a wrong one is not made good by the other."""
    guard = guarded(api_keys=(digest(KEY),), jwks=issuer.path.as_uri(), issuer=ISSUER, audience=AUDIENCE)

    assert status(guard.admit(scope("/predict", *headers(issuer.token().encode())))) == expected


def test_a_token_may_come_in_a_load_balancers_header(issuer: Issuer) -> None:
    """ALB hands the identity provider's token on as it is, without a scheme."""
    guard = guarded(jwks=issuer.path.as_uri(), issuer=ISSUER, audience=AUDIENCE, header="x-amzn-oidc-accesstoken")
    token = issuer.token().encode()

    assert guard.admit(scope("/predict", (b"x-amzn-oidc-accesstoken", token))) is None
    assert status(guard.admit(scope("/predict", (b"authorization", b"Bearer " + token)))) == 401
