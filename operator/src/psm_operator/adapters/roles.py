"""Credentials of IAM roles that belong to other accounts: assumed when first needed, refreshed before they expire.

botocore fetches, keeps and refreshes them; this module tells it which role, and says in our words why one cannot be
assumed. Called by `aws` alone.
"""

from collections.abc import Callable
from typing import Any, Final

import botocore.session
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import ClientError, NoCredentialsError

from psm_operator.adapters.trouble import AWS_ERRORS, Trouble, code_of, denial_advice, network_advice, trouble_of
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable

SESSION_NAME: Final = "psm-operator"
"""Names our calls in the other account's CloudTrail."""

TRUST: Final = "and let its trust policy name that; docs/aws-access.md shows both policies"
NOT_ALLOWED: Final = frozenset({"AccessDenied", "AccessDeniedException", "403", "NoSuchEntity"})

StsMaker = Callable[..., Any]
"""Makes an STS client with the credentials that it is given."""


class RoleNotAssumable(Retryable):
    """AssumeRole failed; raised out of whichever call needed the credentials."""


class OneRole(CredentialProvider):  # type: ignore[misc]  # botocore is untyped
    """A credential chain's only link: the credentials of one role."""

    METHOD = "assume-role"

    def __init__(self, credentials: DeferredRefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> DeferredRefreshableCredentials:
        """The credentials; nothing is fetched before they are used."""
        return self._credentials


def role_session(role_arn: str, own: Any, make_sts: StsMaker, *, lasting_s: int) -> botocore.session.Session:
    """A session that acts as `role_arn`.

    Args:
        role_arn: the role.
        own: the operator's own credentials; None if it has none.
        make_sts: makes the client that assumes the role.
        lasting_s: how long one set of credentials is good for, in seconds.
    """
    session = botocore.session.get_session()
    fetch = RoleFetch(role_arn, own, make_sts, lasting_s)
    credentials = DeferredRefreshableCredentials(refresh_using=fetch, method=OneRole.METHOD)
    session.register_component("credential_provider", CredentialResolver([OneRole(credentials)]))
    return session


class RoleFetch:
    """Fetches the credentials of one role; botocore calls it when the last ones come near their end."""

    def __init__(self, role_arn: str, own: Any, make_sts: StsMaker, lasting_s: int) -> None:
        self._role_arn = role_arn
        self._own = own
        self._make_sts = make_sts
        self._endpoint = "STS"
        arguments = {"RoleSessionName": SESSION_NAME, "DurationSeconds": lasting_s}
        self._fetcher = AssumeRoleCredentialFetcher(self._sts, own, role_arn, extra_args=arguments)

    def __call__(self) -> dict[str, str]:
        """Assume the role.

        Raises:
            RoleNotAssumable: the message names the role and what to do.
        """
        try:
            if self._own is None:
                raise NoCredentialsError
            credentials: dict[str, str] = self._fetcher.fetch_credentials()
        except AWS_ERRORS as err:
            raise self._translated(err) from err
        return credentials

    def _sts(self, service: str, **credentials: str) -> Any:
        client = self._make_sts(service, **credentials)
        self._endpoint = client.meta.endpoint_url
        return client

    def _translated(self, err: Exception) -> RoleNotAssumable:
        reason, advice = Reason.REGISTRY_UNAVAILABLE, network_advice(err, "")
        match trouble_of(err):
            case Trouble.DENIED | Trouble.MISSING:
                reason, advice = Reason.ACCESS_DENIED, f"allow sts:AssumeRole on it to the operator's own role, {TRUST}"
                if not isinstance(err, ClientError) or code_of(err) not in NOT_ALLOWED:
                    advice = denial_advice(err, f"sts:AssumeRole on {self._role_arn}")
            case Trouble.REFUSED:
                reason, advice = Reason.ACCESS_DENIED, "correct spec.registry.roleARN"
            case Trouble.THROTTLED:
                reason, advice = Reason.REGISTRY_THROTTLED, "STS asks to slow down; it is tried again by itself"
            case Trouble.AWAY:
                pass
        message = f"role {self._role_arn} cannot be assumed at {self._endpoint} ({code_of(err)}): {err}; {advice}"
        return RoleNotAssumable(message, reason=reason)
