"""The command line of the embedded cluster: `psm-local --help`."""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from psm_local import gobuild, images, release, targets
from psm_local.cluster import Cluster, load_cluster
from psm_local.control_plane import up_control_plane
from psm_local.demo.run import run_demo
from psm_local.errors import LocalError
from psm_local.node.up import unsupported_reason, up_node
from psm_local.settings import Settings, read_settings
from psm_local.supervise import instance
from psm_local.supervise.state import load_state

_DEFAULT_NAME = "demo"


def main() -> None:
    """Run one command; expected errors are one message and exit code 1."""
    args = _parser().parse_args()
    commands: Mapping[str, Callable[[argparse.Namespace, Settings], None]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "env": _env,
        "kubeconfig": _kubeconfig,
        "build": _build,
        "images": _images,
        "demo": _demo,
        "release": _release,
    }
    try:
        commands[args.command](args, read_settings())
    except LocalError as err:
        _say(f"psm-local: {err}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="psm-local", description="Real Kubernetes without Docker, and AWS stand-ins.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start an instance and leave it running")
    up.add_argument(
        "--level",
        choices=["auto", "control-plane", "node"],
        default="auto",
        help="auto: what CLUSTER (auto, current, kind, embedded) and this machine ask for",
    )
    up.add_argument("--simulated-nodes", action="store_true", help="with control-plane: pods become Ready, do not run")
    up.add_argument("--audit", action="store_true", help="log every API request (not with kind or current)")
    commands.add_parser("status", help="show every instance and its processes")
    build = commands.add_parser("build", help="build the programs now instead of on first use")
    build.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(one.name for one in gobuild.ALL)}")
    image = commands.add_parser("images", help="build the container images")
    image.add_argument("--load", action="store_true", help="and load them into the instance")
    image.add_argument("--training", action="store_true", help="and that of psm-training")
    image.add_argument("--source", type=Path, default=Path.cwd(), help="the repository")
    demo = commands.add_parser("demo", help="run the whole product, step by step, and leave it running")
    demo.add_argument("--source", type=Path, default=Path.cwd(), help="the repository")
    release.add(commands)
    down = commands.add_parser("down", help="stop an instance; nothing but the cache stays")
    env = commands.add_parser("env", help="print shell lines that point kubectl and AWS clients at an instance")
    kubeconfig = commands.add_parser("kubeconfig", help="print the path of an instance's kubeconfig")
    for command in (up, down, env, kubeconfig, image, demo):
        command.add_argument("--name", default=_DEFAULT_NAME, help="the instance (default: %(default)s)")
    return parser


def _up(args: argparse.Namespace, settings: Settings) -> None:
    running = _running(settings.run_dir / args.name)
    if running is not None:
        _say(f"{args.name} is up already")
        return
    match args.level:
        case "control-plane":
            up_control_plane(
                args.name, kwok=args.simulated_nodes, attached=False, settings=settings, say=_say, audit=args.audit
            )
        case "node":
            up_node(args.name, attached=False, settings=settings, say=_say, audit=args.audit)
        case _:
            targets.up(args.name, attached=False, settings=settings, say=_say)
    _say(f'kubectl and AWS clients: eval "$(psm-local env --name {args.name})"')


def _down(args: argparse.Namespace, settings: Settings) -> None:
    stopped = instance.stop(settings.run_dir / args.name)
    _say(f"{args.name} is down" if stopped else f"{args.name} was not up")


def _status(_args: argparse.Namespace, settings: Settings) -> None:
    folders = sorted(settings.run_dir.glob("*/state.json"))
    for folder in (path.parent for path in folders):
        state = load_state(folder)
        if state is None:
            continue
        _print(f"{state.instance}: {'dead (psm-local down removes it)' if state.is_stale else state.phase}")
        inner = load_state(folder / "node")
        for name in (*state.processes, *(inner.processes if inner else ())):
            _print(f"  {name}")
    if not folders:
        _print("no instance")


def _env(args: argparse.Namespace, settings: Settings) -> None:
    cluster = _existing(args.name, settings)
    variables = {"KUBECONFIG": str(cluster.kubeconfig), **cluster.aws.environment()}
    if cluster.ingress_url:
        variables["PSM_INGRESS_URL"] = cluster.ingress_url
    for name, value in variables.items():
        _print(f"export {name}={shlex.quote(value)}")


def _kubeconfig(args: argparse.Namespace, settings: Settings) -> None:
    _print(str(_existing(args.name, settings).kubeconfig))


def _build(args: argparse.Namespace, settings: Settings) -> None:
    known = {one.name: one for one in gobuild.ALL}
    unknown = [name for name in args.sets if name not in known]
    if unknown:
        raise LocalError(f"unknown: {', '.join(unknown)}; the sets are {', '.join(known)}")
    for one in [known[name] for name in args.sets] or _buildable():
        _print(str(gobuild.programs(one, settings, _say)))


def _buildable() -> tuple[gobuild.ProgramSet, ...]:
    """A node's programs only where a node can run."""
    skipped = {gobuild.NODE.name, gobuild.METRICS_SERVER.name, gobuild.PAUSE.name} if unsupported_reason() else set()
    return tuple(one for one in gobuild.EMBEDDED if one.name not in skipped)


def _images(args: argparse.Namespace, settings: Settings) -> None:
    cluster = _existing(args.name, settings) if args.load else None
    more = [images.TRAINING] if args.training else []
    for image in images.build_all(args.source, settings, _say, more):
        _print(f"{image.reference} {image.archive}")
        if cluster is not None:
            cluster.load_image(image.archive)


def _demo(args: argparse.Namespace, settings: Settings) -> None:
    if not run_demo(args.name, args.source, settings, _say):
        sys.exit(1)


def _release(args: argparse.Namespace, settings: Settings) -> None:
    _print(release.run(args, settings, _say))


def _running(run_dir: Path) -> Cluster | None:
    state = load_state(run_dir)
    return load_cluster(run_dir) if state is not None and not state.is_stale else None


def _existing(name: str, settings: Settings) -> Cluster:
    cluster = _running(settings.run_dir / name)
    if cluster is None:
        raise LocalError(f"{name} is not up; start it: psm-local up --name {name}")
    return cluster


def _say(line: str) -> None:
    """Tell the user how far things are; on standard error, so that `env` and `kubeconfig` can be evaluated."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # the command line's voice


def _print(line: str) -> None:
    print(line)  # noqa: T201  # the command's result


if __name__ == "__main__":
    main()
