"""A pytest plugin: the containers of `training_container` run in the built training image, by runc.

`make test-training-image` loads it. The first build of the image takes minutes, so no test asks for it by itself.
Needs root and Linux. The network is the machine's, since the stand-ins of AWS listen there.
"""

import json
import posixpath
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest
from training_container import Container, Process
from waiting import until

from psm_local.aptdeps import NODE_PACKAGES, require
from psm_local.images import TRAINING, build
from psm_local.settings import read_settings

REPOSITORY = Path(__file__).parent.parent
IN_CONTAINER = "/opt/ml"
SHARED = ("network", "cgroup")
"""Namespaces that a container has in common with the machine."""
LEFT_OUT = ("cgroup", "mqueue", "sysfs")
"""Mounts that need namespaces of their own, or that nobody needs."""
STARTED_S = 60.0


class InImage:
    """Runs the image's entry point as process 1 of a container.

    Args:
        root: The image's files.
        config: What the image says of its process.
        folder: For what runc needs.
    """

    def __init__(self, root: Path, config: Mapping[str, Any], folder: Path) -> None:
        self._root = root
        self._config = config
        self._folder = folder
        self._pid_files: dict[int, Path] = {}

    def start(self, tree: Path, arguments: Sequence[str], environment: Mapping[str, str], log: TextIO) -> Process:
        """Starts it with the tree at /opt/ml."""
        name = f"psm-training-{uuid.uuid4().hex[:8]}"
        bundle = self._folder / name
        bundle.mkdir()
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        words = [word.replace(str(tree), IN_CONTAINER) for word in arguments]
        variables = [*self._config["Env"], *(f"{key}={value}" for key, value in environment.items())]
        spec["process"] |= {"terminal": False, "args": [*self._config["Entrypoint"], *words], "env": variables}
        spec["root"] = {"path": str(self._root), "readonly": False}
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] not in SHARED]
        mount = {"destination": IN_CONTAINER, "type": "bind", "source": str(tree), "options": ["rbind", "rw"]}
        spec["mounts"] = [*(one for one in spec["mounts"] if one["type"] not in LEFT_OUT), mount]
        (bundle / "config.json").write_text(json.dumps(spec))
        pid_file = bundle / "pid"
        argv = ["runc", "run", "--bundle", str(bundle), "--pid-file", str(pid_file), name]
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
        self._pid_files[process.pid] = pid_file
        until(lambda: pid_file.exists() or process.poll() is not None, "the container", STARTED_S)
        return process

    def first_process(self, process: Process) -> int:
        """By the file that runc wrote."""
        return int(self._pid_files[process.pid].read_text())


@pytest.fixture(scope="session", autouse=True)
def _in_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Builds the image if the cache lacks it, and lets every container run in it."""
    settings = read_settings()
    require({"runc": NODE_PACKAGES["runc"]}, settings, print)
    image = build(TRAINING, REPOSITORY, settings, print)
    root = tmp_path_factory.mktemp("image")
    config = unpacked(image.archive, root)
    before = Container.runtime
    Container.runtime = InImage(root, config, tmp_path_factory.mktemp("bundles"))
    yield
    Container.runtime = before


def unpacked(archive: Path, root: Path) -> Any:
    """Puts the image's layers one over the other; returns its config."""
    with tarfile.open(archive) as image:
        (manifest,) = json.loads(_member(image, "manifest.json").read())
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=_member(image, name)) as layer:
                for entry in layer:
                    if not posixpath.basename(entry.name).startswith(".wh.") and not entry.isdev():
                        layer.extract(entry, root, filter="fully_trusted")
        return json.loads(_member(image, manifest["Config"]).read())["config"]


def _member(image: tarfile.TarFile, name: str) -> Any:
    info = image.getmember(name)
    while info.issym():
        info = image.getmember(posixpath.normpath(posixpath.join(posixpath.dirname(info.name), info.linkname)))
    return image.extractfile(info)
