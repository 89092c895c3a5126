"""The process that owns an instance's children: starts them in order, keeps them, stops them in reverse.

Run as `python -m psm_local.supervise.keeper RUN_DIR PLAN`. It reports progress on its standard output until everything
is ready, writes `state.json` on every change, and ends on SIGTERM or when its lifeline (standard input, if asked for)
closes. Its children die with it even when it is killed. As process 1 of a namespace it also reaps orphans.
"""

import argparse
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from psm_local.settings import inherited
from psm_local.supervise.pids import die_with_parent, process_id
from psm_local.supervise.plan import Plan, Process
from psm_local.supervise.progress import Event, tail
from psm_local.supervise.readiness import is_ready
from psm_local.supervise.state import Phase, State

_TICK_STARTING_S = 0.05  # how fast readiness is noticed
_TICK_RUNNING_S = 1.0  # SIGCHLD and the lifeline wake it earlier
_MAX_RESTARTS = 3


@dataclass
class _Child:
    """What the keeper knows of one process."""

    spec: Process
    popen: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    exit_code: int | None = None
    ready: bool = False
    restarts: int = 0

    @property
    def is_running(self) -> bool:
        return self.popen is not None and self.exit_code is None


class Keeper:
    """Start, keep and stop the processes of one plan."""

    def __init__(self, run_dir: Path, plan: Plan, *, lifeline: bool) -> None:
        """Prepare; nothing starts before `run`."""
        self._run_dir = run_dir
        self._plan = plan
        self._children = {spec.name: _Child(spec) for spec in plan.processes}
        self._phase: Phase = "starting"
        self._message = ""
        self._stopping = False
        self._reporting = True
        self._wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        self._watched = [self._wake_read, *([sys.stdin.fileno()] if lifeline else [])]

    def run(self) -> int:
        """Start everything, stay until told to stop, stop everything; return the exit code."""
        self._save()
        while not self._stopping and self._phase != "failed":
            self._reap()
            self._start_due()
            self._probe_started()
            self._check_all_ready()
            self._wait(_TICK_STARTING_S if self._phase == "starting" else _TICK_RUNNING_S)
        failed = self._phase == "failed"
        self._stop_all()
        for argv in self._plan.afterwards:
            subprocess.run(argv, stdout=sys.stderr, check=False)
        self._phase = "failed" if failed else "stopped"
        self._save()
        self._report(Event("failed" if failed else "stopped", process=self._plan.instance, detail=self._message))
        return 1 if failed else 0

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping = self._stopping or number != signal.SIGCHLD

    def _wait(self, seconds: float) -> None:
        readable, _, _ = select.select(self._watched, [], [], seconds)
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
        if len(self._watched) > 1 and self._watched[1] in readable and not os.read(self._watched[1], 4096):
            self._stopping = True

    def _reap(self) -> None:
        """Collect every process that ended: ours by name, strangers (as process 1) silently."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children.values():
                if child.popen is not None and child.popen.pid == pid:
                    child.exit_code = child.popen.returncode = os.waitstatus_to_exitcode(status)
                    self._on_exit(child)

    def _on_exit(self, child: _Child) -> None:
        is_task = child.spec.ready.kind == "exit"
        if self._phase in {"stopping", "failed"} or (is_task and child.exit_code == 0):
            return
        if child.ready and child.spec.restart and not is_task and child.restarts < _MAX_RESTARTS:
            child.restarts += 1
            child.ready = False
            self._spawn(child)
            return
        self._fail(child, f"ended with code {child.exit_code}")

    def _fail(self, child: _Child, what: str) -> None:
        logs = [self._log_path(child.spec), *(Path(hint) for hint in child.spec.hints)]
        ends = "\n".join(tail(path) for path in logs if path.exists())
        self._message = f"{child.spec.name} {what}; the end of its log ({logs[0]}):\n{ends}"
        self._phase = "failed"

    def _start_due(self) -> None:
        for child in self._children.values():
            if child.popen is None and all(self._children[need].ready for need in child.spec.needs):
                self._spawn(child)

    def _spawn(self, child: _Child) -> None:
        with self._log_path(child.spec).open("ab") as log:
            child.popen = subprocess.Popen(
                child.spec.argv,
                cwd=self._run_dir,
                env=inherited(child.spec.env),
                stdin=subprocess.DEVNULL,
                stdout=sys.stdout if child.spec.ready.kind == "instance" else log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # the keeper has one thread
            )
        child.started_at = time.monotonic()
        child.exit_code = None
        self._save()

    def _probe_started(self) -> None:
        for child in self._children.values():
            if child.popen is None or child.ready or self._phase == "failed":
                continue
            seconds = time.monotonic() - child.started_at
            if is_ready(child.spec.ready, exit_code=child.exit_code):
                child.ready = True
                self._report(Event("ready", process=child.spec.name, seconds=seconds))
            elif seconds > child.spec.ready.timeout_s and child.is_running:
                self._fail(child, f"was not ready after {child.spec.ready.timeout_s:.0f} s")

    def _check_all_ready(self) -> None:
        if self._phase == "starting" and all(child.ready for child in self._children.values()):
            self._phase = "running"
            self._save()
            self._report(Event("running", process=self._plan.instance))
            self._reporting = False

    def _stop_all(self) -> None:
        self._phase = "stopping"
        self._save()
        for child in reversed(self._children.values()):
            if child.is_running and child.popen is not None:
                os.killpg(child.popen.pid, signal.SIGTERM)
                self._await_exit(child, child.spec.grace_s)
                if child.is_running:
                    os.killpg(child.popen.pid, signal.SIGKILL)
                    self._await_exit(child, child.spec.grace_s)

    def _await_exit(self, child: _Child, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while child.is_running and time.monotonic() < deadline:
            self._reap()
            if child.is_running:
                select.select([self._wake_read], [], [], 0.02)

    def _log_path(self, spec: Process) -> Path:
        return self._run_dir / "logs" / f"{spec.name}.log"

    def _save(self) -> None:
        State(
            instance=self._plan.instance,
            keeper=process_id(os.getpid()),
            phase=self._phase,
            message=self._message,
            processes={n: process_id(c.popen.pid) for n, c in self._children.items() if c.popen and c.is_running},
            restarts={name: child.restarts for name, child in self._children.items() if child.restarts},
        ).save(self._run_dir)

    def _report(self, event: Event) -> None:
        """Write an event for the starter; once it is gone, or everything is ready, stay silent."""
        if not self._reporting:
            return
        try:
            sys.stdout.write(event.line())
            sys.stdout.flush()
        except BrokenPipeError:
            self._reporting = False


def main() -> int:
    """Run a keeper."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--lifeline", action="store_true", help="end when standard input closes")
    parser.add_argument("--namespace", type=Path, help="set up the namespaces of a node first, by this JSON file")
    args = parser.parse_args()
    (args.run_dir / "logs").mkdir(parents=True, exist_ok=True)
    if args.namespace:
        from psm_local.node import namespace  # noqa: PLC0415  # only process 1 of a node needs it

        namespace.set_up(namespace.NodeNamespace.load(args.namespace))
    return Keeper(args.run_dir, Plan.load(args.plan), lifeline=args.lifeline).run()


if __name__ == "__main__":
    sys.exit(main())
