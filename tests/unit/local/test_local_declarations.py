"""What the levels declare: programs, flags, configurations, choices. Nothing starts here."""

import datetime as dt
import io
import json
import ssl
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from psm_local import gobuild, images
from psm_local.archive import write_image
from psm_local.aws import AwsEndpoints
from psm_local.certs import new_authority
from psm_local.components import ControlPlane, control_plane_processes
from psm_local.errors import Unsupported
from psm_local.kind import kind_config
from psm_local.kubeconfig import ADMIN, SCHEDULER, token_list
from psm_local.node.cleanup import remove_cgroups
from psm_local.node.configs import configurations
from psm_local.node.layout import NodeLayout
from psm_local.node.objects import node_objects
from psm_local.node.processes import inner_plan, outer_plan
from psm_local.targets import choose

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
REPOSITORY = Path(__file__).parents[3]


def plane(*, runs_pods: bool) -> ControlPlane:
    """A control plane that will not be started."""
    return ControlPlane(
        programs=Path("/bin"),
        files=Path("/files"),
        data=Path("/data"),
        bind="127.0.0.1",
        advertise="127.0.0.1",
        api_port=6443,
        etcd_port=2379,
        etcd_peer_port=2380,
        manager_port=1,
        scheduler_port=2,
        runs_pods=runs_pods,
    )


LAYOUT = NodeLayout(
    folder=Path("/run/x/node"),
    cgroup="psm-x",
    ingress_class="traefik",
    programs=Path("/bin"),
    metrics_programs=Path("/bin"),
    s3_ports=tuple(range(9000, 9008)),
)


def flags(name: str, *, runs_pods: bool = True) -> dict[str, str]:
    """Return the flags of one control plane process."""
    process = next(one for one in control_plane_processes(plane(runs_pods=runs_pods)) if one.name == name)
    return dict(flag.removeprefix("--").split("=", 1) for flag in process.argv[1:] if "=" in flag)


def test_the_api_server_authorises_by_role() -> None:
    """RBAC and the node restriction are on, so that a missing verb fails a test."""
    assert flags("kube-apiserver")["authorization-mode"] == "Node,RBAC"
    assert flags("kube-apiserver")["enable-admission-plugins"] == "NodeRestriction"


def test_only_a_level_with_pods_gives_the_api_server_a_kubelet_client() -> None:
    """The control plane level has no kubelet to call."""
    assert "kubelet-client-key" in flags("kube-apiserver")
    assert "kubelet-client-key" not in flags("kube-apiserver", runs_pods=False)


def test_the_hpa_looks_every_five_seconds() -> None:
    """A demo and a test see it act."""
    assert flags("kube-controller-manager")["horizontal-pod-autoscaler-sync-period"] == "5s"


def test_programs_are_named_after_their_package() -> None:
    """A major version is no name."""
    assert gobuild.CONTROL_PLANE.programs == (
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    )


def test_every_program_is_pinned_by_its_module() -> None:
    """Each package of a set is a tool of the module's go.mod, so that go.sum pins it."""
    for programs in gobuild.ALL:
        pinned = (Path(gobuild.__file__).parent / "gotools" / programs.module / "go.mod").read_text()
        for package in programs.packages:
            assert package in pinned


def test_a_builds_estimate_follows_its_own_pace() -> None:
    """100 of 300 packages in 50 s leave at most 100 s."""
    assert gobuild.estimate(100, 300, 50.0) == "at most 100 s left"
    assert gobuild.estimate(0, 300, 15.0) == "reading Go's build cache"
    assert gobuild.estimate(300, 300, 90.0) == "linking"


@pytest.mark.parametrize(
    ("wanted", "docker", "unsupported", "chosen"),
    [
        pytest.param("auto", True, None, "kind", id="Docker answers"),
        pytest.param("auto", False, None, "embedded", id="root on Linux without Docker"),
        pytest.param("current", True, None, "current", id="the user's wish wins over Docker"),
        pytest.param("embedded", True, None, "embedded", id="the embedded node beside Docker"),
    ],
)
def test_the_cluster_is_chosen(wanted: str, docker: bool, unsupported: str | None, chosen: str) -> None:  # noqa: FBT001
    """The user's wish, then kind, then the embedded node."""
    assert choose(wanted, docker=docker, unsupported=unsupported) == chosen


def test_a_machine_with_neither_docker_nor_root_gets_one_line() -> None:
    """It says what is missing and what to do."""
    with pytest.raises(Unsupported, match="no Docker daemon answers, and a node needs root; run as root"):
        choose("auto", docker=False, unsupported="a node needs root; run as root")


def test_an_unknown_cluster_is_refused() -> None:
    """The message names the choices."""
    with pytest.raises(Unsupported, match="auto, current, kind or embedded"):
        choose("minikube", docker=True, unsupported=None)


def test_certificates_satisfy_a_strict_client(tmp_path: Path) -> None:
    """A client that verifies as Python 3.13 does accepts the server's certificate for each of its names."""
    authority = new_authority(tmp_path, dt.datetime.now(dt.UTC))  # noqa: TID251  # a client checks the real time
    certificate = authority.issue("server", "server", hosts=("localhost", "127.0.0.1"))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, certificate.with_suffix(".key"))
    client = ssl.create_default_context(cafile=str(authority.ca_file))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for host in ("localhost", "127.0.0.1"):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = (
            client.wrap_bio(to_client, to_server, server_hostname=host),
            server.wrap_bio(to_server, to_client, server_side=True),
        )
        for _ in range(4):
            for end in ends:
                _step(end)
        assert ends[0].version() == "TLSv1.3"


def _step(end: ssl.SSLObject) -> None:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    """No other user of the machine reads a private key."""
    new_authority(tmp_path, NOW).issue("client", "client")
    assert (tmp_path / "client.key").stat().st_mode & 0o077 == 0


def test_tokens_carry_user_and_groups() -> None:
    """The API server's static token file, one line each."""
    lines = token_list({ADMIN: "t1", SCHEDULER: "t2"}).splitlines()
    assert lines == ['t1,admin,uid-admin,"system:masters"', 't2,system:kube-scheduler,uid-scheduler,""']


@pytest.mark.parametrize("major", [1, 2])
def test_containerd_is_configured_for_its_version(major: int) -> None:
    """Version 1 and 2 name the same settings differently; both may not touch the OOM score."""
    text = configurations(LAYOUT, containerd_major=major, ingress_token="t")["containerd.toml"]  # noqa: S106
    assert text.startswith(f"version = {major + 1}\n")
    assert "restrict_oom_score_adj = true" in text
    assert '"localhost/pause:1"' in text


def test_the_kubelet_runs_on_either_control_group_version() -> None:
    """Version 1 is accepted and pods live below the instance's own group."""
    files = configurations(LAYOUT, containerd_major=1, ingress_token="t")  # noqa: S106
    kubelet = json.loads(files["kubelet.json"])
    assert kubelet["failCgroupV1"] is False
    assert kubelet["cgroupRoot"] == "/psm-x"


def test_the_ingress_controller_serves_the_class_that_was_asked_for() -> None:
    """One name in the controller's configuration and in the IngressClass object."""
    files = configurations(LAYOUT, containerd_major=1, ingress_token="t")  # noqa: S106
    assert json.loads(files["traefik.json"])["providers"]["kubernetesIngress"]["ingressClass"] == "traefik"
    objects = node_objects(ca_certificate=b"ca", ingress_class="traefik")["items"]
    assert [one["metadata"]["name"] for one in objects if one["kind"] == "IngressClass"] == ["traefik"]


def test_every_object_of_the_node_is_named_once() -> None:
    """Applying the list twice changes nothing."""
    objects = node_objects(ca_certificate=b"ca", ingress_class="traefik")["items"]
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))


def test_a_node_runs_everything_that_the_demo_needs(tmp_path: Path) -> None:
    """Kubernetes, containers, metrics, ingress, registry, S3."""
    layout = replace(LAYOUT, folder=tmp_path / "node")
    inner = inner_plan("x-node", layout, plane(runs_pods=True), traefik="/bin/traefik", kubectl="/bin/kubectl")
    names = {process.name for process in inner.processes}
    assert {"kubelet", "containerd", "kube-proxy", "metrics-server", "ingress", "aws-emulator", "s3"} <= names
    outer = outer_plan("x", tmp_path, layout, {1: "10.77.0.2:6443", 2: "10.77.0.2:80"})
    assert [process.name for process in outer.processes] == ["node", "ports"]
    groups, sockets = outer.afterwards
    assert groups[-1] == "psm-x"
    assert "/tmp/seaweedfs-volume-grpc-9003.sock" in sockets  # noqa: S108  # where SeaweedFS makes it


def test_an_image_archive_names_its_image(tmp_path: Path) -> None:
    """The docker-archive format: manifest, configuration, one layer with the executable."""
    archive = write_image(tmp_path / "i.tar", "localhost/pause:1", {"/pause": b"elf"}, ["/pause"], "amd64")
    with tarfile.open(archive) as tar:
        read = {member.name: tar.extractfile(member) for member in tar}
        manifest = json.loads((read["manifest.json"] or io.BytesIO()).read())
        layer = (read["layer.tar"] or io.BytesIO()).read()
    assert manifest[0]["RepoTags"] == ["localhost/pause:1"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as inner:
        assert inner.getmember("pause").mode == 0o755


def test_an_image_is_built_from_its_own_folders_only(tmp_path: Path) -> None:
    """A change elsewhere in the repository builds nothing anew."""
    images.copy_context(images.PREDICTOR, REPOSITORY, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Dockerfile.predictor",
        "contract",
        "predictor",
        "pyproject.toml",
        "uv.lock",
    ]


@pytest.mark.parametrize("spec", images.ALL, ids=lambda spec: spec.name)
def test_a_dockerfile_keeps_the_promises_of_the_image(spec: images.ImageSpec) -> None:
    """Several stages, a user that is not root, a health check; certificates and settings only as secrets."""
    text = (REPOSITORY / spec.dockerfile).read_text()
    assert text.count("\nFROM ") >= 2
    assert "\nUSER 10001:10001" in text
    assert "\nHEALTHCHECK " in text
    assert "uv sync --quiet --frozen --no-dev --no-editable" in text
    assert "ca-certificates.crt" not in text


def test_the_training_image_is_what_sagemaker_runs() -> None:
    """The argument "train" and no user: /opt/ml is root's there; the same build as the others'."""
    text = (REPOSITORY / images.TRAINING.dockerfile).read_text()
    assert text.count("\nFROM ") >= 2
    assert 'ENTRYPOINT ["python", "-m", "psm_training.sagemaker"]\nCMD ["train"]' in text
    assert "\nUSER " not in text
    assert "uv sync --quiet --frozen --no-dev --no-editable" in text
    assert "ca-certificates.crt" not in text


def test_build_secrets_name_no_path_of_this_machine() -> None:
    """A build sees settings and certificates under /run/secrets; paths of the host mean nothing in it."""
    with images.build_secrets() as secrets:
        index = next(flag.partition("src=")[2] for flag in secrets if flag.startswith("id=index"))
        for line in Path(index).read_text().splitlines():
            value = line.partition("=")[2].strip("'")
            assert not value.startswith("/") or value == "/run/secrets/ca"


def test_control_groups_are_removed_in_every_hierarchy(tmp_path: Path) -> None:
    """Nested groups too; other groups stay."""
    for hierarchy in ("cpu", "memory"):
        (tmp_path / hierarchy / "psm-x" / "pods" / "pod1").mkdir(parents=True)
        (tmp_path / hierarchy / "other").mkdir()
    (tmp_path / "psm-x").mkdir()
    assert remove_cgroups("psm-x", tmp_path) == []
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "cpu",
        "cpu/other",
        "memory",
        "memory/other",
    ]


def test_kind_brings_the_ingress_port_to_this_machine() -> None:
    """The node port of the ingress controller on a port of the loopback."""
    assert '"hostPort": 8080, "listenAddress": "127.0.0.1"' in json.dumps(kind_config(8080))


def test_pods_and_this_machine_reach_the_stand_ins_by_their_own_addresses() -> None:
    """The same variables, other addresses."""
    endpoints = AwsEndpoints(
        "http://127.0.0.1:1", "http://10.77.0.2:5000", "http://127.0.0.1:2", "http://10.77.0.2:8333"
    )
    assert endpoints.environment()["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert endpoints.environment(in_cluster=True)["AWS_ENDPOINT_URL_S3"] == "http://10.77.0.2:8333"


def test_the_command_line_explains_itself() -> None:
    """`psm-local --help` lists the commands."""
    done = subprocess.run([sys.executable, "-m", "psm_local", "--help"], capture_output=True, text=True, check=True)
    for command in ("up", "down", "status", "env", "kubeconfig", "build", "images"):
        assert command in done.stdout
