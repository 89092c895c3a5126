"""The configuration files of the node's processes. Pure: values in, text out."""

import json
from typing import Any

from psm_local.node.enter import SOCKET
from psm_local.node.layout import (
    ADDRESS,
    API_PORT,
    CNI_PLUGINS,
    DNS_IP,
    INGRESS_PING_PORT,
    INGRESS_PORT,
    NODE,
    PAUSE_IMAGE,
    POD_CIDR,
    NodeLayout,
)

_CONTAINERD_2 = 2


def configurations(layout: NodeLayout, *, containerd_major: int, ingress_token: str) -> dict[str, str]:
    """Return every configuration file by its path below the node's `files`."""
    return {
        "cni/10-pods.conflist": _json(_cni(layout)),
        "containerd.toml": _containerd(layout, containerd_major),
        "kubelet.json": _json(_kubelet(layout)),
        "kube-proxy.json": _json(_kube_proxy(layout)),
        "traefik.json": _json(_traefik(layout, ingress_token)),
        "resolv.conf": f"nameserver {DNS_IP}\n",
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1)


def _cni(layout: NodeLayout) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.folder / "cni-addresses"),
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    pods = {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [pods]}


def _kubelet(layout: NodeLayout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{layout.folder / SOCKET}",
        "address": ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "resolvConf": layout.file("resolv.conf"),
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "tlsCertFile": layout.file("kubelet.crt"),
        "tlsPrivateKeyFile": layout.file("kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": layout.file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "imageGCHighThresholdPercent": 100,  # nothing could be pulled again
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
        "makeIPTablesUtilChains": False,  # kube-proxy speaks nftables
        "volumePluginDir": str(layout.folder / "kubelet" / "volume-plugins"),
        "podLogsDir": str(layout.folder / "pod-logs"),
        "shutdownGracePeriod": "0s",
    }


def _kube_proxy(layout: NodeLayout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": layout.file("proxy.kubeconfig")},
        # the connection tracking limits are the machine's, not ours
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "hostnameOverride": NODE,
    }


def _traefik(layout: NodeLayout, token: str) -> dict[str, Any]:
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO"},
        "entryPoints": {
            "web": {"address": f"{ADDRESS}:{INGRESS_PORT}"},
            "traefik": {"address": f"127.0.0.1:{INGRESS_PING_PORT}"},
        },
        "ping": {},
        "providers": {
            "kubernetesIngress": {
                "endpoint": f"https://{ADDRESS}:{API_PORT}",
                "token": token,
                "certAuthFilePath": layout.file("ca.crt"),
                "ingressClass": layout.ingress_class,
                "ingressEndpoint": {"ip": ADDRESS},
            }
        },
    }


def _containerd(layout: NodeLayout, major: int) -> str:
    shared = f"""root = "{layout.folder}/containerd/root"
state = "{layout.folder}/containerd/state"
[grpc]
address = "{layout.folder / SOCKET}"
"""
    # restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE cannot lower it, and runc fails on trying
    runtime = """disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
"""
    if major >= _CONTAINERD_2:
        return f"""version = 3
{shared}[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
{runtime}[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{CNI_PLUGINS}"]
conf_dir = "{layout.file("cni")}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
    return f"""version = 2
{shared}[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
{runtime}[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{layout.file("cni")}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
