"""Start, find and stop instances from outside: the command line, the fixtures and the demo call this.

An instance is one run folder with one keeper. An attached instance ends with the process that started it; a detached
one stays until `stop`.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from psm_local.errors import StartFailed
from psm_local.settings import inherited
from psm_local.supervise.pids import ProcessId
from psm_local.supervise.plan import Plan
from psm_local.supervise.progress import Event, tail
from psm_local.supervise.state import State, load_state

_STOP_TIMEOUT_S = 90.0  # a node stops in a few seconds; a busy machine gets more
_KILL_TIMEOUT_S = 10.0

Say = Callable[[str], None]


@dataclass
class Attached:
    """A started instance, in the hands of the process that started it."""

    run_dir: Path
    keeper: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        """End the instance and forget it."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        stop(self.run_dir)
        self.keeper.wait()


def new_run_dir(run_dir: Path, name: str) -> Path:
    """Return an empty run folder; what a dead instance of the same name left behind is ended and removed.

    Raises:
        StartFailed: the instance runs already.
    """
    state = load_state(run_dir)
    if state is not None and not state.is_stale:
        raise StartFailed(f"{name} runs already ({run_dir}); stop it first: psm-local down --name {name}")
    stop(run_dir)
    _forget_dead(run_dir.parent)
    run_dir.mkdir(parents=True)
    return run_dir


def _forget_dead(folder: Path) -> None:
    """Clean up after every instance whose keeper is gone, a test run that was killed for one."""
    for path in folder.glob("*/state.json"):
        state = load_state(path.parent)
        if state is not None and state.is_stale:
            stop(path.parent)


def start(run_dir: Path, plan: Plan, *, attached: bool, say: Say) -> Attached:
    """Start a plan in a run folder and return when everything is ready.

    Raises:
        StartFailed: a process did not become ready; nothing is left running.
    """
    plan_file = run_dir / "plan.json"
    plan.save(plan_file)
    errors = run_dir / "keeper.log"
    argv = [sys.executable, "-m", "psm_local.supervise.keeper", str(run_dir), str(plan_file)]
    with errors.open("wb") as log:
        keeper = subprocess.Popen(
            [*argv, *(["--lifeline"] if attached else [])],
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=inherited({"NO_PROXY": "*", "no_proxy": "*"}),  # an instance talks to its own processes only
            start_new_session=True,
        )
    try:
        _await_running(keeper, plan, errors, say)
    except BaseException:  # whatever ends the start, Ctrl-C included, ends the children too
        if keeper.stdin is not None:
            keeper.stdin.close()
        end_processes(run_dir)
        keeper.wait()
        raise
    if not attached:
        keeper.returncode = 0  # it stays: this process must neither wait for it nor warn about it
    return Attached(run_dir=run_dir, keeper=keeper)


def _await_running(keeper: "subprocess.Popen[bytes]", plan: Plan, errors: Path, say: Say) -> None:
    began = time.monotonic()
    reason = ""
    if keeper.stdout is None:
        raise StartFailed("the keeper was started without a pipe")
    with keeper.stdout as lines:
        for line in lines:
            event = Event.parse(line.decode())
            if event.kind == "ready":
                say(f"  {event.process} ready after {event.seconds:.1f} s")
            elif event.kind == "running" and event.process == plan.instance:
                say(f"{plan.instance} is up after {time.monotonic() - began:.1f} s")
                return
            elif event.kind == "failed":
                reason = reason or event.detail
    raise StartFailed(reason or f"the keeper of {plan.instance} ended early:\n{tail(errors)}")


def stop(run_dir: Path) -> State | None:
    """Stop an instance started by any process and remove its folder; return what it was, None if there was none."""
    state = end_processes(run_dir)
    shutil.rmtree(run_dir, ignore_errors=True)
    return state


def end_processes(run_dir: Path) -> State | None:
    """Stop an instance's processes; its folder with the logs stays."""
    state = load_state(run_dir)
    if state is None:
        return None
    _end(state.keeper, _STOP_TIMEOUT_S)
    final = load_state(run_dir) or state
    for process in reversed(list(final.processes.values())):
        _end(process, _KILL_TIMEOUT_S)  # only when the keeper was killed and its children outlived it
    if final.phase not in {"stopped", "failed"}:
        for argv in Plan.load(run_dir / "plan.json").afterwards:
            subprocess.run(argv, check=False)
    return state


def _end(process: ProcessId, seconds: float) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send(number)
        deadline = time.monotonic() + seconds
        while process.is_alive:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
