"""How long after a crash does the replacement serve? Light actors, processes, and Ray beside them.

* light: an actor in a cell raises; time until its next incarnation has answered a question;
* process: SIGKILL to a process of a real node; time until its next incarnation has answered a real
  request on its real socket, its models loaded;
* Ray, where it is installed: SIGKILL to an actor's process; time until the restarted actor has
  answered a call, once with nothing to load and once with our profiler.

    python benchmarks/bench_restart.py [--rounds N] [--light-rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import select
import signal
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.nodes import OwnNode, own_node
from supervision import Cell, ChildSpec, LightActor, Start, Supervisor, SupervisorFlags
from supervision.inspection.tree import walk
from transport.messages import InferBatch, InferRequest, encode
from transport.money import LeaseRequest, encode_requests
from transport.nng import NngClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Probe = Callable[[], bool]

PATIENCE_S = 10.0
ASK_AGAIN_S = 0.002
MANY_RESTARTS = SupervisorFlags("one_for_one", intensity=1_000_000, period_s=1)


@dataclass(frozen=True)
class Result:
    """Seconds from a crash to the replacement's first answer."""

    what: str
    rounds: int
    median_s: float
    p95_s: float
    worst_s: float

    @classmethod
    def of(cls, what: str, times_s: list[float]) -> Result:
        """Sum up the rounds of one thing."""
        ordered = sorted(times_s)
        p95_s = ordered[int(0.95 * (len(ordered) - 1))]
        return cls(what, len(ordered), statistics.median(ordered), p95_s, ordered[-1])


# -- light -------------------------------------------------------------------------------------


class Worker(LightActor):
    """Answers, and crashes when told to."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Take a question or the order to crash."""
        if message == "crash":
            raise RuntimeError(message)
        self.send(sender, "served")


class Asker(LightActor):
    """Crashes a worker and asks the next incarnation, over and over."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._rounds = rounds
        self._crashed_s = 0.0
        self.times_s: list[float] = []

    def on_start(self) -> None:
        """Begin the first round."""
        self._crash()

    def _crash(self) -> None:
        worker = self.cell.registry.address("worker")
        assert worker is not None
        self._crashed_s = time.perf_counter()
        self.ask(worker, "crash")

    def receiveMessage(self, message: Any, _sender: Any) -> None:
        """Look for the replacement until it is there, then note when it has answered."""
        if message != "served":  # it died, or was not there yet when last looked for
            worker = self.cell.registry.address("worker")
            if worker is None:
                self.send(self._myRef, "look again")
            else:
                self.ask(worker, "question")
            return
        self.times_s.append(time.perf_counter() - self._crashed_s)
        if len(self.times_s) < self._rounds:
            self._crash()


def light_restarts(rounds: int) -> list[float]:
    """Crash one light actor ``rounds`` times under a real supervisor."""
    cell = Cell()
    spec = ChildSpec("worker", Start(Worker), role="worker")
    supervisor = cell.spawn(lambda: Supervisor(MANY_RESTARTS, (spec,)), name="supervisor")
    cell.run(PATIENCE_S, until=lambda: not supervisor.starting)
    asker = Asker(rounds)
    cell.spawn(lambda: asker, name="asker")
    cell.run(until=lambda: len(asker.times_s) >= rounds)
    cell.shutdown()
    return asker.times_s


# -- processes ---------------------------------------------------------------------------------


class Question:
    """Asks one nng socket the same thing until it answers."""

    def __init__(self, url: str, make: Callable[[int], bytes]) -> None:
        self._link = NngClient()
        self._link.dial(url)
        self._make = make
        self._numbers = itertools.count(1)

    def __call__(self) -> bool:
        """Ask once and wait a moment; tell whether an answer to this question came."""
        number = next(self._numbers)
        self._link.send(number, self._make(number))
        deadline_s = time.monotonic() + ASK_AGAIN_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            select.select([self._link.fileno()], [], [], left_s)
            if any(reply.request_id == number for reply in self._link.drain(64)):
                return True
        return False

    def close(self) -> None:
        """Close the socket."""
        self._link.close()


def infer(number: int) -> bytes:
    """A question to the network: one short history."""
    request = InferRequest(number, "profiler", time.monotonic() + 1.0, (1, 2, 3))
    return encode(InferBatch((request,)))


def lease(number: int) -> bytes:
    """A question to the ledger, about a campaign that there is not."""
    return encode_requests([LeaseRequest(f"bench-{number}", "bench", "nobody", 1)])


def bid(number: int) -> bytes:
    """A bid request."""
    banner = {"format": [{"w": 300, "h": 250}]}
    request = {"id": f"restart-{number}-{os.getpid()}", "imp": [{"id": "1", "banner": banner}]}
    return json.dumps(request | {"site": {"page": "https://example.com"}, "tmax": 500}).encode()


def healthy(port: int) -> Probe:
    """Return the probe of the HTTP edge."""

    def ask() -> bool:
        with contextlib.suppress(URLError, OSError):
            return bool(urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1.0).status == 200)
        return False

    return ask


@contextlib.contextmanager
def probes(node: OwnNode) -> Iterator[dict[str, Probe]]:
    """Yield what to ask each kind of process, by the path of the process."""
    questions = {
        "node/bidders/bidder-1": Question(node.gateway_urls[0], bid),
        "node/inference/inference@cpu": Question(node.paths.ipc("inference-cpu"), infer),
        "node/ledger": Question(node.paths.ipc("ledger"), lease),
    }
    try:
        yield {**questions, "node/edge": healthy(node.http_port)}
    finally:
        for question in questions.values():
            question.close()


def process_restarts(node: OwnNode, path: str, probe: Probe, rounds: int) -> list[float]:
    """SIGKILL the process at ``path`` ``rounds`` times; return the times until it answers."""
    times_s = []
    pid = 0
    for _ in range(rounds):
        pid = next_pid(node, path, pid)
        wait_for(probe)
        killed_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_for(probe)  # the dead cannot answer: this is the replacement
        times_s.append(time.monotonic() - killed_s)
    return times_s


def next_pid(node: OwnNode, path: str, before: int) -> int:
    """Wait until the tree shows another process at ``path`` than ``before``; return its pid."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        found = next(each for each in walk(node.ask("tree")) if each["name"] == path)
        if found["state"] == "running" and found["pid"] not in (None, before):
            return int(found["pid"])
    sys.exit(f"{path} did not come back within {PATIENCE_S} s")


def wait_for(probe: Probe) -> None:
    """Ask until there is an answer."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not probe():
        if time.monotonic() > deadline_s:
            sys.exit(f"no answer within {PATIENCE_S} s")


def all_processes(rounds: int) -> list[Result]:
    """Kill each kind of process of one node in turn."""
    many = ("supervision.intensity=1000",)
    with own_node(edge=True, settings=many) as node, probes(node) as asked:
        return [
            Result.of(
                f"process {path.removeprefix('node/')}",
                process_restarts(node, path, probe, rounds),
            )
            for path, probe in asked.items()
        ]


# -- Ray ---------------------------------------------------------------------------------------


def ray_restarts(rounds: int) -> list[Result]:
    """SIGKILL a Ray actor's process and call it again; the call waits for the restarted actor."""
    import ray  # type: ignore[import-not-found]

    @ray.remote(max_restarts=-1, max_task_retries=-1)
    class Actor:
        def __init__(self, folder: str) -> None:
            from models.profiler.runtime import ProfilerModel

            self.model = ProfilerModel.load(Path(folder), "cpu") if folder else None

        def pid(self) -> int:
            if self.model is not None:
                self.model.infer([[1, 2, 3]])
            return os.getpid()

    from models.registry import weights_folder

    root = str(Path(__file__).resolve().parents[1])
    environment = {"env_vars": {"PYTHONPATH": root}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    results = []
    try:
        for what, folder in (("empty", ""), ("with our profiler", str(weights_folder("profiler")))):
            actor = Actor.remote(folder)  # type: ignore[attr-defined]
            times_s = []
            for _ in range(rounds):
                pid = ray.get(actor.pid.remote())
                killed_s = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                while ray.get(actor.pid.remote()) == pid:
                    pass
                times_s.append(time.monotonic() - killed_s)
            results.append(Result.of(f"Ray {ray.__version__} actor, {what}", times_s))
            ray.kill(actor)
    finally:
        ray.shutdown()
    return results


# -- all ---------------------------------------------------------------------------------------


def table(results: list[Result]) -> str:
    """Lay the results out for a person."""
    lines = [
        f"{'crash to first answer':<44} {'rounds':>6} {'median':>10} {'p95':>10} {'worst':>10}"
    ]
    for result in results:
        times = (result.median_s, result.p95_s, result.worst_s)
        shown = " ".join(f"{each * 1000:>7.2f} ms" for each in times)
        lines.append(f"{result.what:<44} {result.rounds:>6} {shown}")
    return "\n".join(lines)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="kills of each process")
    parser.add_argument("--light-rounds", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    options = parser.parse_args()
    results = [Result.of("light actor", light_restarts(options.light_rounds))]
    results += all_processes(options.rounds)
    if importlib.util.find_spec("ray") is not None:
        results += ray_restarts(options.rounds)
    print(table(results))
    if options.json:
        found = [asdict(result) for result in results]
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
