"""The files by which an instance's components trust each other: certificates, tokens, kubeconfigs, audit policy."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

from psm_local.certs import Authority, new_authority, write_signing_key
from psm_local.components import API_SERVICE_IP
from psm_local.kubeconfig import Identity, new_token, token_list, write_kubeconfig

_SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "metrics-server.kube-system.svc",
    "localhost",
    "127.0.0.1",
    API_SERVICE_IP,
)

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def write_credentials(
    folder: Path, *, api_url: str, addresses: Sequence[str], identities: Sequence[Identity], now: dt.datetime
) -> tuple[Authority, dict[Identity, str]]:
    """Write what `components` names into `folder`: ca, server, clients, sa, tokens, one kubeconfig each.

    Returns the authority, to issue more, and the token of each identity.
    """
    authority = new_authority(folder, now)
    authority.issue("server", "psm-local-server", hosts=(*_SERVER_NAMES, *addresses))
    authority.issue("front-proxy", "front-proxy-client")
    authority.issue("kubelet-client", "kube-apiserver-kubelet-client", group="system:masters")
    write_signing_key(folder)
    tokens = {identity: new_token() for identity in identities}
    token_file = folder / "tokens.csv"
    token_file.touch(mode=0o600)
    token_file.write_text(token_list(tokens))
    for identity, token in tokens.items():
        write_kubeconfig(
            folder / f"{identity.file_name}.kubeconfig",
            server=api_url,
            ca_file=authority.ca_file,
            user=identity.user,
            token=token,
        )
    (folder / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))
    return authority, tokens
