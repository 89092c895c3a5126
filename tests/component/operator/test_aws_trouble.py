"""Whatever is wrong among region, endpoint, role, bucket, key and KMS: the message says which, and what to do.

The messages are those of the conditions: they come from the adapters as they run. What the emulator cannot produce is
answered by a small server in the words of AWS's documentation.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from answering import Answer, Answering, answering
from timers_by_hand import HandTimer

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.memory import MemoryClock, MemoryRegistry
from psm_operator.adapters.s3 import S3Artifacts
from psm_operator.adapters.s3_trouble import ObjectUrl, Search
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.adapters.trouble import AWS_ERRORS
from psm_operator.errors import Retryable, Stalled
from psm_operator.values import Artifact, ArtifactState, GroupRef

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
GROUP = GroupRef("prices", REGION)
BUCKET, KEY = "mlops-models", "prices/model.tar.gz"
HERE = "http://127.0.0.1:"
KMS_KEY = f"arn:aws:kms:{REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WHO = "User: arn:aws:sts::111122223333:assumed-role/psm-operator/pod is not authorized to perform"
WHY = "because no identity-based policy allows the action"
IMPATIENT = AwsLimits(connect_timeout_s=0.5, read_timeout_s=0.5, attempts=1)
ELSEWHERE = {"x-amz-bucket-region": "eu-west-1"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some credentials, no proxy, no endpoint of this machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def refusal(status: int, code: str, message: str, **more: str) -> Answer:
    """An error as S3 writes it."""
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    xml = f"<Error><Code>{code}</Code><Message>{message}</Message>{extra}<RequestId>1</RequestId></Error>"
    return Answer(status, xml.encode(), {"Content-Type": "application/xml"})


FINE, DENIED, BROKEN = Answer(200), Answer(403), Answer(500)


@dataclass(frozen=True)
class Case:
    """How S3 answers, and what is to be said.

    Attributes:
        head: to the HEAD of the object.
        get: to the GET of one byte, which is made after a bare refusal.
        bucket: to the HEAD of the bucket.
    """

    head: Answer
    about: str
    says: tuple[str, ...]
    get: Answer = BROKEN
    bucket: Answer = FINE
    state: ArtifactState = ArtifactState.UNKNOWN

    def answer(self, method: str, path: str) -> Answer:
        """As S3, addressed by path."""
        if KEY not in path:
            return self.bucket
        return self.head if method == "HEAD" else self.get


CASES = {
    "bucket in another region, a redirect": Case(
        Answer(301, headers=ELSEWHERE),
        "region",
        (f"bucket {BUCKET} lies in region eu-west-1", "correct spec.registry.region"),
        bucket=Answer(301, headers=ELSEWHERE),
    ),
    "bucket in another region, a malformed signature": Case(
        Answer(400),
        "region",
        (f"bucket {BUCKET} lies in region eu-west-1",),
        get=refusal(
            400, "AuthorizationHeaderMalformed", "the region is wrong; expecting eu-west-1", Region="eu-west-1"
        ),
        bucket=Answer(400, headers=ELSEWHERE),
    ),
    "bucket missing": Case(
        Answer(404),
        "bucket",
        (f"bucket {BUCKET} does not exist in region {REGION} at {HERE}", "create it or register the model again"),
        bucket=Answer(404),
        state=ArtifactState.MISSING,
    ),
    "object missing": Case(
        Answer(404),
        "key",
        (f"bucket {BUCKET} in region {REGION}", f"has no object {KEY}", "upload it or register the model again"),
        state=ArtifactState.MISSING,
    ),
    "object missing, bucket not listable": Case(
        Answer(404),
        "key",
        (f"has no object {KEY}",),
        bucket=DENIED,
        state=ArtifactState.MISSING,
    ),
    "object missing, which S3 does not say without s3:ListBucket": Case(
        DENIED,
        "key",
        (f"has no object {KEY}, or s3:ListBucket is not allowed", f"arn:aws:s3:::{BUCKET} "),
        get=refusal(403, "AccessDenied", f"{WHO}: s3:ListBucket on resource: arn:aws:s3:::{BUCKET} {WHY}"),
    ),
    "object not allowed": Case(
        DENIED,
        "permission",
        (f"allow s3:GetObject on arn:aws:s3:::{BUCKET}/{KEY}", "is not authorized to perform: s3:GetObject"),
        get=refusal(403, "AccessDenied", f"{WHO}: s3:GetObject on resource: arn:aws:s3:::{BUCKET}/{KEY} {WHY}"),
    ),
    "not allowed, by another account's bucket policy": Case(
        DENIED, "permission", ("allow s3:GetObject on",), get=refusal(403, "AccessDenied", "Access Denied")
    ),
    "a HEAD not allowed, a GET allowed": Case(
        DENIED, "permission", ("(403)", "allow s3:GetObject on"), get=Answer(206, b"x")
    ),
    "KMS not allowed": Case(
        DENIED,
        "kms",
        (f"allow kms:Decrypt on KMS key {KMS_KEY} to the role", "in its IAM policy and in the key's own policy"),
        get=refusal(403, "AccessDenied", f"{WHO}: kms:Decrypt on resource: {KMS_KEY} {WHY}"),
    ),
    "KMS key of another account": Case(
        DENIED,
        "kms",
        ("allow kms:Decrypt on the KMS key that encrypts it",),
        get=refusal(
            403,
            "AccessDenied",
            "The ciphertext refers to a customer master key that does not exist, does "
            "not exist in this region, or you are not allowed to access.",
        ),
    ),
    "KMS key disabled": Case(
        Answer(400),
        "kms",
        (KMS_KEY, "check that the key is enabled"),
        get=refusal(400, "KMS.DisabledException", f"{KMS_KEY} is disabled."),
    ),
    "clock wrong": Case(
        DENIED,
        "permission",
        ("check the secret key, and this machine's clock",),
        get=refusal(403, "RequestTimeTooSkewed", "The difference between the request time and the time is too large."),
    ),
    "keys unknown": Case(
        DENIED,
        "permission",
        ("these credentials are not known there", "that the account has enabled the region"),
        get=refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    ),
    "keys expired": Case(
        Answer(400),
        "permission",
        ("the credentials have expired and were not renewed",),
        get=refusal(400, "ExpiredToken", "The provided token has expired."),
    ),
    "throttled": Case(Answer(503), "endpoint", ("the service has trouble",)),
    "throttled, with a body": Case(
        DENIED, "endpoint", ("S3 asks to slow down",), get=refusal(503, "SlowDown", "Please reduce your request rate.")
    ),
    "in trouble": Case(Answer(500), "endpoint", ("the service has trouble",)),
}


async def look(clients: AwsClients, group: GroupRef = GROUP) -> Artifact:
    """What the conditions would say of an artifact."""
    package = MemoryRegistry(MemoryClock()).register(group, model_data_url=f"s3://{BUCKET}/{KEY}")
    return await S3Artifacts(clients, timer=HandTimer()).look(package, group)


def about(clients: AwsClients) -> str:
    """What the complaint is about."""
    client = clients.client("s3", REGION)
    try:
        client.head_object(Bucket=BUCKET, Key=KEY)
    except AWS_ERRORS as err:
        return (
            Search(client, ObjectUrl(BUCKET, KEY), REGION, "artifact", "register the model again").complaint(err).about
        )
    return ""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_s3_says_which_is_wrong_and_what_to_do(case: Case) -> None:
    """With bucket, key, region and endpoint as they are."""
    with answering(case.answer) as url:
        clients = AwsClients(IMPATIENT, endpoints={"s3": url})
        found = await look(clients)
        assert about(clients) == case.about
        clients.close()
    assert found.state is case.state
    for part in (*case.says, BUCKET, REGION):
        assert part in found.message


@dataclass(frozen=True)
class Away:
    """A way of not being there.

    Attributes:
        endpoint: None: AWS's own.
        answers: what a server at the endpoint does, if there is one.
    """

    endpoint: str | None
    says: tuple[str, ...]
    region: str = REGION
    answers: Answering | None = None
    proxy: str = ""


AWAY = {
    "nobody listens": Away("http://127.0.0.1:1", ("http://127.0.0.1:1", "check the endpoint and the network path")),
    "no such host": Away(
        "http://nowhere.invalid", ("its host name does not resolve", "check the region, AWS_ENDPOINT_URL")
    ),
    "no such region": Away(
        None,
        ("ap-southeast-99 is no region that this SDK knows", "correct spec.registry.region"),
        region="ap-southeast-99",
    ),
    "no answer": Away("server", ("it took the connection and did not answer",), answers=lambda *_: None),
    "no TLS": Away("tls", ("its certificate is not trusted", "AWS_CA_BUNDLE"), answers=lambda *_: Answer(200)),
    "no proxy": Away("https://s3.example.com", ("check HTTPS_PROXY",), proxy="http://127.0.0.1:1"),
    "no region at all": Away(None, ("check the region",), region="not a region"),
}


@pytest.fixture(params=AWAY.values(), ids=list(AWAY))
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Away, AwsClients]]:
    """Each way in turn, with clients that meet it."""
    case: Away = request.param
    with ExitStack() as stack:
        endpoint = case.endpoint
        if case.answers is not None:
            url = stack.enter_context(answering(case.answers))
            endpoint = url if case.endpoint == "server" else url.replace("http:", "https:")
        if case.proxy:
            monkeypatch.setenv("HTTPS_PROXY", case.proxy)
        clients = AwsClients(IMPATIENT, endpoints=dict.fromkeys(("s3", "sagemaker"), endpoint) if endpoint else {})
        yield case, clients
        clients.close()


async def test_a_store_that_is_away_is_unknown_and_says_where_it_was_looked_for(away: tuple[Away, AwsClients]) -> None:
    """Nothing is concluded about the artifact."""
    case, clients = away
    found = await look(clients, GroupRef("prices", case.region))
    assert found.state is ArtifactState.UNKNOWN
    for part in (*case.says, case.region):
        assert part in found.message


async def test_a_registry_that_is_away_is_unknown_and_says_where_it_was_looked_for(
    away: tuple[Away, AwsClients],
) -> None:
    """In the same words."""
    case, clients = away
    with pytest.raises(Retryable) as unknown:
        await SageMakerRegistry(clients, clock=SystemClock()).read_group(
            GroupRef("prices", case.region), frozenset(), 1
        )
    for part in (*case.says, case.region):
        assert part in str(unknown.value)


async def test_a_group_that_may_not_be_read_says_which_rights_are_needed(
    account: AwsClients, registry: EmulatorControl
) -> None:
    """As a policy names them."""
    registry.set_faults(refused={"ListModelPackages": "AccessDeniedException"})
    with pytest.raises(Retryable, match="allow sagemaker:ListModelPackages, DescribeModelPackage and"):
        await SageMakerRegistry(account, clock=SystemClock()).read_group(GROUP, frozenset(), 1)
    registry.set_faults()
    with pytest.raises(Stalled, match=r"prices does not exist in region .* create it or correct spec\.registry"):
        await SageMakerRegistry(account, clock=SystemClock()).read_group(GROUP, frozenset(), 1)
