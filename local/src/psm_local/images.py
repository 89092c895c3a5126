"""Container images: one Dockerfile each, built by Docker where its daemon answers and by buildah otherwise.

Keyed by the content of everything that goes in, so that nothing is built twice; kept as archives in the user's cache.
Without a registry the base image is a stand-in of the same name, made from Debian by mmdebstrap, and the build says so.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psm_local.aptdeps import IMAGE_PACKAGES, STAND_IN_PACKAGES, require
from psm_local.cache import content_key, forget_others, locked, published
from psm_local.errors import BuildFailed, Unsupported
from psm_local.settings import Settings, inherited, package_index_settings
from psm_local.targets import docker_answers

BASE_IMAGE = "docker.io/library/python:3.13-slim"
_STAND_IN_SUITE = "trixie"  # its Python is 3.13
_STAND_IN_PACKAGES = "python3,python3-venv,ca-certificates"
_STAND_IN_OMITS = tuple(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man"))
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".venv", ".mypy_cache", ".ruff_cache", "*.egg-info", "*.so")
_CA_BUNDLES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
_TAIL = 3000
_MOST_LAYERS = 60  # a build adds about 15, up to 400 MB in all

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageSpec:
    """An image of ours: its name, its Dockerfile and the only parts of the repository that its build sees."""

    name: str
    dockerfile: str
    sources: tuple[str, ...]
    arguments: tuple[tuple[str, str], ...] = ()
    """Build arguments, such as the commit."""

    @property
    def flags(self) -> list[str]:
        """The build arguments as docker and buildah take them."""
        return [word for name, value in self.arguments for word in ("--build-arg", f"{name}={value}")]

    @property
    def reference(self) -> str:
        """The full name by which manifests name the image."""
        return f"localhost/{self.name}:dev"


@dataclass(frozen=True)
class Image:
    """A built image."""

    reference: str
    archive: Path
    key: str
    """Digest of what it was built from."""


OPERATOR = ImageSpec("mlops/psm-operator", "Dockerfile.operator", ("pyproject.toml", "uv.lock", "contract", "operator"))
PREDICTOR = ImageSpec(
    "mlops/api-price-sensitivity", "Dockerfile.predictor", ("pyproject.toml", "uv.lock", "contract", "predictor")
)
ALL = (OPERATOR, PREDICTOR)
"""What a cluster runs."""
TRAINING = ImageSpec("mlops/psm-training", "Dockerfile.training", ("pyproject.toml", "uv.lock", "contract", "training"))
"""Built on request only: it is ten times as large, and no step of the demo runs it."""


def build_all(repository: Path, settings: Settings, say: Say, more: Sequence[ImageSpec] = ()) -> list[Image]:
    """Return our images and what is asked for beside them, building those that the cache lacks.

    Raises:
        LocalError: neither Docker nor buildah can build here, or a build failed.
    """
    return [build(spec, repository, settings, say) for spec in (*ALL, *more)]


def build(spec: ImageSpec, repository: Path, settings: Settings, say: Say) -> Image:
    """Return one image, built if the cache lacks it."""
    if not (repository / spec.dockerfile).exists():
        raise BuildFailed(f"{repository} has no {spec.dockerfile}; run this in the repository or give --source")
    key = image_key(spec, repository)
    target = settings.cache_dir / "images" / f"{spec.name.replace('/', '-')}-{key}"

    def make(folder: Path) -> None:
        builder = _docker if docker_answers() else _buildah
        with tempfile.TemporaryDirectory(prefix="psm-image-") as context:
            copy_context(spec, repository, Path(context))
            builder(spec, Path(context), folder / "image.tar", settings, say)

    if not target.exists():
        say(f"building {spec.reference}")
        target.parent.mkdir(parents=True, exist_ok=True)
        published(target, make)
        forget_others(target)
    return Image(reference=spec.reference, archive=target / "image.tar", key=key)


def image_key(spec: ImageSpec, repository: Path) -> str:
    """Return the digest of everything that goes into an image."""
    with tempfile.TemporaryDirectory(prefix="psm-image-") as context:
        copy_context(spec, repository, Path(context))
        return content_key([spec.reference, BASE_IMAGE, *spec.flags, Path(context)])


def copy_context(spec: ImageSpec, repository: Path, context: Path) -> None:
    """Copy what a build may see into an empty folder."""
    for name in (spec.dockerfile, *spec.sources):
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=_IGNORED)
        else:
            shutil.copyfile(source, context / name)


def _docker(spec: ImageSpec, context: Path, archive: Path, _settings: Settings, _say: Say) -> None:
    with build_secrets() as secrets:
        argv = [
            "docker",
            "build",
            "-q",
            "-t",
            spec.reference,
            "-f",
            str(context / spec.dockerfile),
            *spec.flags,
            *secrets,
            str(context),
        ]
        _run(argv, {"DOCKER_BUILDKIT": "1"}, f"docker build of {spec.reference}")
    _run(["docker", "save", "-o", str(archive), spec.reference], {}, f"docker save of {spec.reference}")


def _buildah(spec: ImageSpec, context: Path, archive: Path, settings: Settings, say: Say) -> None:
    if sys.platform != "linux":
        raise Unsupported("images need a Docker daemon here; start Docker")
    require(IMAGE_PACKAGES, settings, say)
    store = settings.cache_dir / "buildah"
    env = _storage(store)
    with locked(store / "lock"), build_secrets() as secrets:
        try:
            _prune(env)
            _base(settings, env, say)
            build_argv = _in_buildah("bud", "--quiet", "--layers", "--pull=false", "--format", "docker")
            what = f"build of {spec.reference}"
            dockerfile = str(context / spec.dockerfile)
            _run([*build_argv, "-t", spec.reference, "-f", dockerfile, *spec.flags, *secrets, str(context)], env, what)
            target = f"docker-archive:{archive}:{spec.reference}"
            _run(_in_buildah("push", "--quiet", spec.reference, target), env, f"export of {spec.reference}")
        finally:
            _succeeds(_in_buildah("rm", "--all"), env)  # it keeps the working containers of stages


def _prune(env: Mapping[str, str]) -> None:
    """Drop layers that no image of ours needs any more, once they have piled up; until then they make builds short."""
    if len(_run(_in_buildah("images", "--all", "--quiet"), env, "buildah images").split()) > _MOST_LAYERS:
        _succeeds(_in_buildah("rmi", "--prune", "--force"), env)


def _in_buildah(*args: str) -> list[str]:
    """Return a buildah command whose mounts end with it (root; without root it has its own namespaces)."""
    return [*(("unshare", "--mount") if os.geteuid() == 0 else ()), "buildah", *args]


def _storage(store: Path) -> dict[str, str]:
    """Return the environment by which buildah keeps everything in our cache."""
    (store / "tmp").mkdir(parents=True, exist_ok=True)
    storage = store / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/root"\nrunroot = "{store}/run"\n')
    # TMPDIR: else the build's package cache lies in /var/tmp
    return {
        "CONTAINERS_STORAGE_CONF": str(storage),
        "BUILDAH_ISOLATION": "chroot",
        "TMPDIR": str(store / "tmp"),
    }


def _base(settings: Settings, env: Mapping[str, str], say: Say) -> None:
    """Make sure that the base image is in buildah's store: from its registry, or the stand-in."""
    if _succeeds(_in_buildah("inspect", "--type", "image", BASE_IMAGE), env):
        return
    if _succeeds(_in_buildah("pull", "--quiet", BASE_IMAGE), env):
        return
    say(f"no registry brings {BASE_IMAGE}: making a stand-in of that name from Debian {_STAND_IN_SUITE}")
    require(STAND_IN_PACKAGES, settings, say)
    target = (
        settings.cache_dir
        / "images"
        / f"stand-in-{content_key([_STAND_IN_SUITE, _STAND_IN_PACKAGES, *_STAND_IN_OMITS])}"
    )
    target.parent.mkdir(parents=True, exist_ok=True)

    def make(folder: Path) -> None:
        include = f"--include={_STAND_IN_PACKAGES}"
        argv = [
            "mmdebstrap",
            "-q",
            "--variant=minbase",
            *_STAND_IN_OMITS,
            include,
            _STAND_IN_SUITE,
            str(folder / "root.tar"),
        ]
        _run(argv, {}, "mmdebstrap")

    tar = published(target, make) / "root.tar"
    container = _run(_in_buildah("from", "scratch"), env, "buildah from").strip()
    _run(_in_buildah("add", "--quiet", container, str(tar), "/"), env, "buildah add")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    _run(_in_buildah("config", "--cmd", "python3", "--env", path, container), env, "buildah config")
    _run(_in_buildah("commit", "--quiet", "--rm", container, BASE_IMAGE), env, "buildah commit")


@contextlib.contextmanager
def build_secrets() -> Iterator[list[str]]:
    """Yield build flags that show this machine's certificates and package index settings to a build, never to a layer."""
    with tempfile.TemporaryDirectory(prefix="psm-secrets-") as folder:
        index = Path(folder) / "index"
        index.touch(mode=0o600)
        exports = dict(package_index_settings())
        bundle = next((path for path in _CA_BUNDLES if path.exists()), None)
        if bundle is not None:
            exports |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), "/run/secrets/ca")
        index.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()))
        flags = ["--secret", f"id=index,src={index}"]
        yield [*flags, *(["--secret", f"id=ca,src={bundle}"] if bundle is not None else [])]


def _succeeds(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    return subprocess.run(argv, env=inherited(env), capture_output=True, check=False).returncode == 0


def _run(argv: Sequence[str], env: Mapping[str, str], what: str) -> str:
    done = subprocess.run(argv, env=inherited(env), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(f"{what} failed:\n{(done.stderr or done.stdout)[-_TAIL:]}")
    return done.stdout
