"""The chart's roles on a real API server, for tests that act with the operator's own token."""

from pathlib import Path

import yaml
from helm import manifests

from psm_local.cluster import Cluster


class Installed:
    """The chart's identity and roles on a cluster; whoever needs the operator starts it with this identity.

    Attributes:
        release: Helm's name, and the namespace of the operator.
        models: the namespace of its models.
    """

    def __init__(self, cluster: Cluster, release: str, models: str, *options: str) -> None:
        self.cluster = cluster
        self.release = release
        self.models = models
        for namespace in (release, self.models):
            cluster.kubectl("create", "namespace", namespace)
        found = manifests("psm-operator", *options, release=release, namespace=release)
        wanted = [manifest for manifest in found if "Role" in manifest["kind"] or manifest["kind"] == "ServiceAccount"]
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(wanted))

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig with the operator's token."""
        token = self.cluster.kubectl("create", "token", self.release, "-n", self.release).strip()
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        path = folder / "operator.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def may(self, *asked: tuple[str, str], namespace: str) -> list[bool]:
        """What the API server says the operator may do: (verb, plural.group or plural/subresource.group)."""
        account = f"system:serviceaccount:{self.release}:{self.release}"
        groups = ["system:serviceaccounts", "system:authenticated"]
        reviews = []
        for verb, resource in asked:
            plural, _, group = resource.partition(".")
            name, _, subresource = plural.partition("/")
            attributes = {"verb": verb, "resource": name, "subresource": subresource, "group": group}
            attributes["namespace"] = namespace
            spec = {"user": account, "groups": groups, "resourceAttributes": attributes}
            reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
        argv = ("create", "-o", "jsonpath={.status.allowed} ", "-f", "-")
        return [word == "true" for word in self.cluster.kubectl(*argv, stdin=yaml.safe_dump_all(reviews)).split()]
