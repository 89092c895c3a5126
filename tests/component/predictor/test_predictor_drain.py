"""How a predictor ends: nobody who asked in time goes without an answer."""

import asyncio
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from artifacts import ArtifactFile, make_artifact
from predictor_process import PredictorProcess, environment, metrics_of, serving

CLIENTS = 8


def basket(artifact: ArtifactFile) -> dict[str, Any]:
    names = [feature.name for feature in artifact.manifest.features]
    return dict(zip(names, artifact.manifest.golden[0].instance, strict=True))


def head(length: int) -> bytes:
    return f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


def test_sigterm_ends_an_idle_process_with_0(tmp_path: Path) -> None:
    """With a connection open that nobody uses."""
    with serving(environment(make_artifact(tmp_path), tmp_path)) as (process, client):
        client.get("/healthz")
        process.terminate()

        assert process.wait(timeout_s=10) == 0
        assert process.log[-1]["message"] == "stopped"


def test_while_draining_it_is_not_ready_but_answers_and_closes(tmp_path: Path) -> None:
    """Endpoints need time to forget a pod; until then requests still come, each on its last connection."""
    artifact = make_artifact(tmp_path)
    with serving(environment(artifact, tmp_path, PSM_DRAIN_S="60")) as (process, client):
        process.terminate()
        process.wait_for_log("draining")

        readiness = client.get("/readyz")
        answers = [client.post("/predict", json=basket(artifact)), client.post("/predict", json={})]

        assert (readiness.status_code, readiness.json()["status"]) == (503, "draining")
        assert [answer.status_code for answer in answers] == [200, 422]
        assert client.get("/healthz").status_code == 200
        assert {answer.headers["connection"] for answer in (readiness, *answers)} == {"close"}

        process.terminate()  # asked twice: do not wait any longer
        assert process.wait(timeout_s=10) == 0


def test_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    """SIGINT comes from a person."""
    with serving(environment(make_artifact(tmp_path), tmp_path, PSM_DRAIN_S="60")) as (process, _):
        process.terminate(signal.SIGINT)

        assert process.wait(timeout_s=10) == 0


def test_a_request_under_way_is_answered_after_the_drain(tmp_path: Path) -> None:
    """Its body comes after the socket has closed for others."""
    artifact = make_artifact(tmp_path)
    body = json.dumps(basket(artifact)).encode()
    with serving(environment(artifact, tmp_path)) as (process, client):
        with process.connect() as connection:
            connection.sendall(head(len(body)) + body[:50])
            in_flight = (metrics_of(client)["psm_predictor_requests_in_flight"] for _ in range(1000))
            client.post("/predict", json={})  # the gauge is written when a request ends
            assert next(count for count in in_flight if count >= 1)
            process.terminate()
            process.wait_for_log("draining")
            client.close()

            connection.sendall(body[50:])

            assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
        assert process.wait(timeout_s=20) == 0


def test_a_request_that_never_ends_does_not_keep_the_process(tmp_path: Path) -> None:
    """After the shutdown timeout it is given up, inside the grace period."""
    environ = environment(make_artifact(tmp_path), tmp_path, PSM_SHUTDOWN_TIMEOUT_S="1", PSM_BODY_TIMEOUT_S="60")
    with serving(environ) as (process, client), process.connect() as connection:
        connection.sendall(head(100) + b"{")
        client.post("/predict", json={})
        client.close()
        process.terminate()

        assert process.wait(timeout_s=15) == 0


class Balancer:
    """What Endpoints and a proxy do: probes every backend, sends requests in turn to those that were ready."""

    def __init__(self, urls: Iterable[str]) -> None:
        self.client = httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_keepalive_connections=CLIENTS))
        self.backends = set(urls)
        self.ready: frozenset[str] = frozenset()
        self.results: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self._turn = itertools.count()
        self._answered = asyncio.Event()

    async def probe(self) -> None:
        """Readiness, every 300 ms: like Endpoints, it learns late."""
        while True:
            self.ready = frozenset([url for url in sorted(self.backends) if await self._is_ready(url)])
            await asyncio.sleep(0.3)

    async def _is_ready(self, url: str) -> bool:
        try:
            return (await self.client.get(f"{url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def load(self, body: bytes) -> None:
        """One client that asks without pause."""
        while True:
            if not self.ready:
                await asyncio.sleep(0.01)
                continue
            url = sorted(self.ready)[next(self._turn) % len(self.ready)]
            try:
                answer = await self.client.post(f"{url}/predict", content=body)
                self.results[str(answer.status_code)] += 1
                self.served[url] += 1
                self._answered.set()
            except httpx.TransportError as err:
                self.results[repr(err)] += 1

    async def until(self, url: str, count: int) -> None:
        """Waits until the backend has answered so many requests."""
        async with asyncio.timeout(60):
            while self.served[url] < count:
                await self._answered.wait()
                self._answered.clear()


async def test_a_rolling_update_under_load_fails_no_request(tmp_path: Path) -> None:
    """v1 serves, v2 comes, v1 gets SIGTERM: every request is answered with 200, and v1 exits with 0."""
    artifact = make_artifact(tmp_path)
    environ = environment(artifact, tmp_path, PSM_DRAIN_S="1")
    with PredictorProcess(environ) as old, PredictorProcess(environ) as new:
        old.wait_ready()
        balancer = Balancer({old.url})
        body = json.dumps(basket(artifact)).encode()
        tasks = [asyncio.create_task(balancer.probe())]
        tasks += [asyncio.create_task(balancer.load(body)) for _ in range(CLIENTS)]
        try:
            await balancer.until(old.url, 200)
            new.wait_ready()
            balancer.backends.add(new.url)
            await balancer.until(new.url, 200)

            old.terminate()
            code = await asyncio.to_thread(old.wait)
            answered = balancer.served[new.url]
            await balancer.until(new.url, answered + 200)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await balancer.client.aclose()

    assert code == 0
    assert balancer.results.keys() == {"200"}
    assert balancer.results["200"] >= 800


async def test_clients_that_heed_connection_close_lose_nothing(tmp_path: Path) -> None:
    """Without any balancer: each client works until it is told to go, and nobody is cut off."""
    artifact = make_artifact(tmp_path)
    body = json.dumps(basket(artifact)).encode()
    with PredictorProcess(environment(artifact, tmp_path, PSM_DRAIN_S="2")) as process:
        process.wait_ready()
        async with httpx.AsyncClient(base_url=process.url, timeout=10) as client:
            total = itertools.count(1)
            busy = asyncio.Event()

            async def work() -> int:
                for answered in itertools.count(1):
                    answer = await client.post("/predict", content=body)
                    assert answer.status_code == 200
                    if next(total) == 200:
                        busy.set()
                    if answer.headers.get("connection") == "close":
                        return answered
                raise AssertionError("unreachable")

            clients = [asyncio.create_task(work()) for _ in range(CLIENTS)]
            async with asyncio.timeout(60):
                await busy.wait()
            process.terminate()
            answered = await asyncio.gather(*clients)

        assert sum(answered) >= 200
        assert await asyncio.to_thread(process.wait) == 0


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_several_workers_share_the_port_and_end_together(tmp_path: Path) -> None:
    """Ready when all are; the metrics of any of them are those of all; SIGTERM ends all, exit 0."""
    artifact = make_artifact(tmp_path)
    with PredictorProcess(environment(artifact, tmp_path, PSM_WORKERS="2")) as process:
        with httpx.Client(base_url=process.url) as client:
            deadline = time.monotonic() + 60
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < deadline, process.log
        for _ in range(20):
            with httpx.Client(base_url=process.url) as client:  # a new connection may meet another worker
                client.post("/predict", json=basket(artifact)).raise_for_status()
        with httpx.Client(base_url=process.url) as client:
            assert metrics_of(client)['psm_predictor_requests_total{route="/predict",status="200"}'] == 20
        workers = children_of(process.pid)
        assert len(workers) == 2

        process.terminate()

        assert process.wait(timeout_s=20) == 0
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_a_worker_that_dies_ends_the_others_and_the_process(tmp_path: Path) -> None:
    """Kubernetes restarts the container; half a pod would go unnoticed."""
    with PredictorProcess(environment(make_artifact(tmp_path), tmp_path, PSM_WORKERS="2")) as process:
        process.wait_ready()
        os.kill(children_of(process.pid)[0], signal.SIGKILL)

        assert process.wait(timeout_s=20) != 0
        assert process.wait_for_log("a worker ended unasked")["exit_code"] == -9


def test_workers_that_cannot_serve_end_the_process_with_their_code(tmp_path: Path) -> None:
    """The reason is logged and is the termination message, as with one worker."""
    (tmp_path / "termination-log").touch()
    environ = environment(make_artifact(tmp_path), tmp_path, PSM_WORKERS="2", PSM_MODEL_SHA256="0" * 64)

    with PredictorProcess(environ) as process:
        assert process.wait() == 65

    assert (tmp_path / "termination-log").read_text().startswith("DigestMismatch: ")


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """Nobody would restart them, and they would keep the port."""
    with PredictorProcess(environment(make_artifact(tmp_path), tmp_path, PSM_WORKERS="2")) as process:
        process.wait_ready()
        workers = children_of(process.pid)
        process.terminate(signal.SIGKILL)

        assert process.wait() == -signal.SIGKILL  # the log ends when the last worker has closed it
        assert len(workers) == 2
        assert sum(entry["message"] == "stopped" for entry in process.log) == 2
