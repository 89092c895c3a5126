"""`psm-local release`: what a version's pipeline does with images and charts, between the tools that scan and sign.

Everything lies in one folder: `<name>.tar` is an image, `<name>.ref` its address by digest once it is pushed, `charts/` the
charts, whose values name the images by those digests.
"""

import argparse
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from psm_local import gobuild, images
from psm_local.errors import LocalError
from psm_local.settings import Settings, inherited

FOLDER: Final = Path("build/release")
CHARTS: Final = ("psm-crds", "psm-operator", "psm-training")
REPOSITORY_FOLDER: Final = "mlops"
IMAGES: Final[Mapping[str, images.ImageSpec]] = {
    "psm-operator": images.OPERATOR,
    "api-price-sensitivity": images.PREDICTOR,
    "train-price-sensitivity": images.TRAINING,
}
"""By the last part of their repository in the registry."""

CHART_VALUES: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "psm-operator": (
        ("  repository: mlops/psm-operator\n", "  repository: {repository}\n", "psm-operator"),
        ('  digest: ""\n', '  digest: "{digest}"\n', "psm-operator"),
        ("  image: mlops/api-price-sensitivity:0.1.0\n", "  image: {reference}\n", "api-price-sensitivity"),
    ),
    "psm-training": (
        ("  repository: mlops/psm-training\n", "  repository: {repository}\n", "train-price-sensitivity"),
        ('  digest: ""\n', '  digest: "{digest}"\n', "train-price-sensitivity"),
        ("  image: mlops/api-price-sensitivity:0.1.0\n", "  image: {reference}\n", "api-price-sensitivity"),
    ),
}
"""What of a chart's values a release writes: the line, what becomes of it, and whose address that is."""

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9a-z.]+)?")
_REFERENCE: Final = re.compile(r"(?P<repository>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})")

Say = Callable[[str], None]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Puts the subcommand on the parser."""
    top = commands.add_parser("release", help="images and charts of a version, as its pipeline makes them")
    steps = top.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, text in (
        ("check", "the tag names the version that the packages and charts have"),
        ("image", "build one image into the folder"),
        ("push", "push one image; its address by digest is printed and kept"),
        ("charts", "package the charts, which name the pushed images by digest"),
        ("push-charts", "push the charts"),
    ):
        step = steps.add_parser(name, help=text)
        step.add_argument("--source", type=Path, default=Path.cwd(), help="the repository")
        step.add_argument("--version", required=True, help="such as 0.2.0 or the tag v0.2.0")
        if name in ("image", "push"):
            step.add_argument("--image", required=True, choices=list(IMAGES))
        if name in ("push", "push-charts"):
            step.add_argument("--registry", required=True, help="host of the registry")


def run(args: argparse.Namespace, settings: Settings, say: Say) -> str:
    """Run one step; returns what it made, for people and programs.

    Raises:
        LocalError: the version is none, something is missing, or a tool failed.
    """
    version = version_of(args.version)
    folder: Path = args.source / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    match args.step:
        case "check":
            return check(version, args.source)
        case "image":
            return image(args.image, args.source, settings, say)
        case "push":
            return push(args.image, version, registry=args.registry, folder=folder, settings=settings, say=say)
        case "charts":
            return charts(version, args.source, settings, say)
        case _:
            return push_charts(version, args.registry, folder, settings, say)


def version_of(text: str) -> str:
    """The version that a text or tag names.

    Raises:
        LocalError: it names none.
    """
    version = text.removeprefix("v")
    if not _VERSION.fullmatch(version):
        raise LocalError(f"{text!r} is no version; write it like 0.2.0 or v0.2.0-rc.1")
    return version


def check(version: str, source: Path) -> str:
    """Compare a version with what packages and charts say."""
    base = version.partition("-")[0]
    for path in (source / "pyproject.toml", *sorted(source.glob("*/pyproject.toml"))):
        said = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"]
        if said != base:
            raise LocalError(f"{path.relative_to(source)} says version {said}, the release says {base}; change one")
    for name in CHARTS:
        text = (source / "charts" / name / "Chart.yaml").read_text(encoding="utf-8")
        if f"\nversion: {base}\n" not in text:
            raise LocalError(f"charts/{name}/Chart.yaml does not say version {base}; change one")
    return version


def image(name: str, source: Path, settings: Settings, say: Say) -> str:
    """Build one image; the archive lies in the folder. The commit is told where the image cannot know it."""
    spec = IMAGES[name]
    if spec is images.TRAINING:
        commit, epoch = _output(["git", "-C", str(source), "log", "-1", "--format=%H %ct"]).split()
        spec = replace(spec, arguments=(("GIT_SHA", commit), ("SOURCE_DATE_EPOCH", epoch)))
    archive = source / FOLDER / f"{name}.tar"
    shutil.copyfile(images.build(spec, source, settings, say).archive, archive)
    return str(archive)


def push(name: str, version: str, *, registry: str, folder: Path, settings: Settings, say: Say) -> str:
    """Push one image under its version, which must be new or the same; returns its address by digest."""
    archive = folder / f"{name}.tar"
    if not archive.exists():
        raise LocalError(f"there is no {archive}; `psm-local release image --image {name}` makes it")
    crane = str(gobuild.programs(gobuild.CRANE, settings, say) / "crane")
    repository = f"{registry}/{REPOSITORY_FOLDER}/{name}"
    tag = f"{repository}:{version}"
    ours = _output([crane, "digest", "--tarball", str(archive)]).strip()
    there = _digest_there(crane, tag)
    if there not in (None, ours):
        raise LocalError(f"{tag} is {there} already, this build is {ours}; a version never changes: release another")
    if there is None:
        _output([crane, "push", str(archive), tag])
        say(f"pushed {tag}")
    reference = f"{repository}@{ours}"
    (folder / f"{name}.ref").write_text(f"{reference}\n", encoding="utf-8")
    return reference


def charts(version: str, source: Path, settings: Settings, say: Say) -> str:
    """Package every chart with the version and the digests of the images that were pushed."""
    helm = str(gobuild.programs(gobuild.HELM, settings, say) / "helm")
    target = source / FOLDER / "charts"
    shutil.rmtree(target, ignore_errors=True)
    for name in CHARTS:
        staged = target / "sources" / name
        shutil.copytree(source / "charts" / name, staged)
        values = staged / "values.yaml"
        values.write_text(_with_images(name, values.read_text(encoding="utf-8"), source / FOLDER), encoding="utf-8")
        _output([helm, "package", str(staged), "--version", version, "--app-version", version, "-d", str(target)])
    return "\n".join(str(path) for path in sorted(target.glob("*.tgz")))


def push_charts(version: str, registry: str, folder: Path, settings: Settings, say: Say) -> str:
    """Push every chart as an OCI artifact."""
    helm = str(gobuild.programs(gobuild.HELM, settings, say) / "helm")
    plain = ["--plain-http"] if registry.startswith(("127.0.0.1:", "localhost:")) else []
    for name in CHARTS:
        archive = folder / "charts" / f"{name}-{version}.tgz"
        if not archive.exists():
            raise LocalError(f"there is no {archive}; `psm-local release charts` makes it")
        _output([helm, "push", str(archive), f"oci://{registry}/{REPOSITORY_FOLDER}/charts", *plain])
    return f"{registry}/{REPOSITORY_FOLDER}/charts"


def _with_images(chart: str, values: str, folder: Path) -> str:
    """A chart's values with the addresses of pushed images."""
    for line, becomes, name in CHART_VALUES.get(chart, ()):
        path = folder / f"{name}.ref"
        found = _REFERENCE.fullmatch(path.read_text(encoding="utf-8").strip()) if path.exists() else None
        if found is None:
            raise LocalError(
                f"there is no address by digest in {path}; `psm-local release push --image {name}` writes it"
            )
        if values.count(line) != 1:
            raise LocalError(
                f"values of chart {chart} have {values.count(line)} lines {line.strip()!r}, one is expected"
            )
        values = values.replace(line, becomes.format(reference=found.group(), **found.groupdict()))
    return values


def _digest_there(crane: str, tag: str) -> str | None:
    """The digest under a tag; None where there is none."""
    done = subprocess.run([crane, "digest", tag], env=inherited({}), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    if "NOT_FOUND" in done.stderr or "NAME_UNKNOWN" in done.stderr or "MANIFEST_UNKNOWN" in done.stderr:
        return None
    raise LocalError(f"{tag} cannot be looked up: {done.stderr.strip()}")


def _output(argv: list[str]) -> str:
    done = subprocess.run(argv, env=inherited({}), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"{Path(argv[0]).name} {' '.join(argv[1:3])} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
