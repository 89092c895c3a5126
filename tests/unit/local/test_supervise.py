"""Instances of small processes: order, readiness, failure, end."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import until

from psm_local.errors import StartFailed
from psm_local.ports import free_ports
from psm_local.supervise import instance
from psm_local.supervise.pids import ProcessId, process_id
from psm_local.supervise.plan import Plan, Process, Ready
from psm_local.supervise.state import State, load_state

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


def python(code: str) -> tuple[str, ...]:
    """Return the command of a small program."""
    return (sys.executable, "-c", code)


def silent(_line: str) -> None:
    """Take progress lines and do nothing."""


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """A run folder whose instance is ended after the test."""
    folder = instance.new_run_dir(tmp_path / "run" / "one", "one")
    yield folder
    instance.stop(folder)


def alive(run_dir: Path) -> list[ProcessId]:
    """Return which children the state file names that still run."""
    state = load_state(run_dir)
    return [process for process in state.processes.values() if process.is_alive] if state else []


def test_a_process_starts_when_what_it_needs_is_ready(run_dir: Path) -> None:
    """The second process reads what the first, a task, has written."""
    write = Process("write", python("open('made','w').write('x')"), ready=Ready("exit"))
    read = Process("read", python("open('made').read(); open('seen','w')"), needs=("write",), ready=Ready("exit"))
    instance.start(run_dir, Plan("one", (write, read)), attached=False, say=silent)
    assert (run_dir / "seen").exists()


def test_progress_names_every_process(run_dir: Path) -> None:
    """One line per process that became ready and one for the whole."""
    [port] = free_ports(1)
    server = Process(
        "web", (sys.executable, "-m", "http.server", str(port)), ready=Ready("socket", f"127.0.0.1:{port}")
    )
    lines: list[str] = []
    instance.start(run_dir, Plan("one", (server,)), attached=False, say=lines.append)
    assert [line.split(" after ")[0].strip() for line in lines] == ["web ready", "one is up"]


def test_an_http_probe_waits_for_an_answer(run_dir: Path) -> None:
    """Ready means that the address answers."""
    [port] = free_ports(1)
    ready = Ready("http", f"http://127.0.0.1:{port}/")
    server = Process("web", (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)), ready=ready)
    instance.start(run_dir, Plan("one", (server,)), attached=False, say=silent)
    assert len(alive(run_dir)) == 1


def test_a_failure_shows_the_end_of_the_log_and_leaves_nothing(run_dir: Path) -> None:
    """The message names the process, its exit code and what it said last; the others are ended."""
    ok = Process("ok", SLEEP)
    bad = Process("bad", python("import sys; print('port 7 is taken'); sys.exit(3)"), ready=Ready("exit"))
    with pytest.raises(StartFailed, match=r"(?s)bad ended with code 3.*port 7 is taken"):
        instance.start(run_dir, Plan("one", (ok, bad)), attached=False, say=silent)
    assert alive(run_dir) == []


def test_a_process_that_is_never_ready_fails_after_its_limit(run_dir: Path) -> None:
    """The message says how long was waited."""
    mute = Process("mute", SLEEP, ready=Ready("socket", str(run_dir / "none.sock"), timeout_s=0.2))
    with pytest.raises(StartFailed, match=r"mute was not ready after"):
        instance.start(run_dir, Plan("one", (mute,)), attached=False, say=silent)


def test_processes_end_in_reverse_order(run_dir: Path) -> None:
    """What needs another ends before it."""
    code = (
        "import signal, sys, time\n"
        "def end(*_): open('order','a').write(sys.argv[1]); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); open('up-'+sys.argv[1],'w')\n"
        "time.sleep(600)"
    )
    up = [Ready("command", argv=python(f"open(r'{run_dir}/up-{name}')")) for name in "ab"]
    first = Process("a", (*python(code), "a"), ready=up[0])
    second = Process("b", (*python(code), "b"), needs=("a",), ready=up[1])
    instance.start(run_dir, Plan("one", (first, second)), attached=False, say=silent)
    instance.end_processes(run_dir)
    assert (run_dir / "order").read_text() == "ba"


def test_afterwards_runs_when_everything_has_ended(run_dir: Path) -> None:
    """What processes leave behind is removed by the plan's last commands."""
    plan = Plan("one", (Process("a", SLEEP),), afterwards=(python(f"open(r'{run_dir}/cleaned','w')"),))
    instance.start(run_dir, plan, attached=False, say=silent)
    instance.end_processes(run_dir)
    assert (run_dir / "cleaned").exists()


def test_a_process_that_dies_is_started_again(run_dir: Path) -> None:
    """Once it was ready, an unexpected end is repaired and counted."""
    instance.start(run_dir, Plan("one", (Process("a", SLEEP),)), attached=False, say=silent)
    [first] = alive(run_dir)
    first.send(signal.SIGKILL)
    until(lambda: [p for p in alive(run_dir) if p != first], "a replacement")
    state = load_state(run_dir)
    assert state is not None
    assert state.restarts == {"a": 1}


def test_children_die_with_a_killed_keeper(run_dir: Path) -> None:
    """Even SIGKILL of the keeper leaves no orphan; the next stop recognises the stale state."""
    instance.start(run_dir, Plan("one", (Process("a", SLEEP),)), attached=False, say=silent)
    state = load_state(run_dir)
    assert state is not None
    state.keeper.send(signal.SIGKILL)
    until(lambda: not alive(run_dir), "the end of the children")
    until(lambda: state.is_stale, "a stale state")
    assert instance.stop(run_dir) is not None
    assert not run_dir.exists()


def test_an_attached_instance_ends_with_its_killed_starter(tmp_path: Path) -> None:
    """A test run that is killed leaves no server behind."""
    run_dir = tmp_path / "run" / "one"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from psm_local.supervise import instance; from psm_local.supervise.plan import Plan, Process\n"
        "run_dir = instance.new_run_dir(Path(sys.argv[1]), 'one')\n"
        "plan = Plan('one', (Process('a', (sys.executable, '-c', 'import time; time.sleep(600)')),))\n"
        "handle = instance.start(run_dir, plan, attached=True, say=lambda line: None)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([*python(code), str(run_dir)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        [child] = alive(run_dir)
        starter.kill()
    until(lambda: not child.is_alive, "the end of the child")


def test_two_instances_of_one_name_are_refused(run_dir: Path) -> None:
    """The message says how to stop the first."""
    instance.start(run_dir, Plan("one", (Process("a", SLEEP),)), attached=False, say=silent)
    with pytest.raises(StartFailed, match="psm-local down --name one"):
        instance.new_run_dir(run_dir, "one")


def test_a_new_instance_cleans_up_after_dead_ones(tmp_path: Path) -> None:
    """A folder whose keeper is gone is removed by the next start of any instance."""
    dead = tmp_path / "dead"
    dead.mkdir()
    State(instance="dead", keeper=ProcessId(pid=1, started="never"), phase="stopped").save(dead)
    instance.new_run_dir(tmp_path / "fresh", "fresh")
    assert not dead.exists()


def test_a_reused_process_number_is_not_ours() -> None:
    """A process is its number and its start time."""
    with subprocess.Popen(SLEEP) as popen:
        seen = process_id(popen.pid)
        assert seen.is_alive
        assert not ProcessId(pid=popen.pid, started="another time").is_alive
        popen.kill()
    assert not seen.is_alive


def _needs_unknown() -> Plan:
    return Plan("one", (Process("a", SLEEP, needs=("b",)),))


def _two_of_a_name() -> Plan:
    return Plan("one", (Process("a", SLEEP), Process("a", SLEEP)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(_needs_unknown, "a needs b", id="a need that nothing brings"),
        pytest.param(_two_of_a_name, "two processes", id="two processes of one name"),
    ],
)
def test_a_plan_that_cannot_start_is_refused(make: Callable[[], Plan], message: str) -> None:
    """A contradiction is found when the plan is made."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    """The keeper reads the plan that the starter wrote."""
    ready = Ready("command", argv=("true",), timeout_s=3.0)
    process = Process("a", SLEEP, ready=ready, env={"K": "v"}, grace_s=1.0, hints=("log",), restart=False)
    plan = Plan("one", (process, Process("b", SLEEP, needs=("a",))), afterwards=(("true",),))
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
