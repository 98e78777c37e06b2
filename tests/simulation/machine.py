"""A computer that exists only in memory: processes, their births and deaths, one clock for all.

Principle: everything above is real (cells, supervisors, agents, ledger), only what Linux does is
made up. A process is a cell; the machine gives each its turn when there is something to do, and
time jumps to the next moment at which there is. A process that hangs gets no turn, one that is
killed runs no line of code any more, one whose parent dies is killed with it. What parent and child
say to each other takes a moment. The rules are those of ``docs/SEMANTICS.md``, "Processes".
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from config import fault_points
from supervision import Supervisor, VirtualClock
from supervision.cell import failure_reason
from supervision.errors import StartError
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted
from tests.simulation.lives import WatchedCell
from tests.simulation.network import Network, Poller, ProcessLinks

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator, Mapping

    from supervision.messages import Reason
    from supervision.processes.ports import ProcessPort
    from supervision.ref import Ref
    from supervision.specs import ChildSpec
    from tests.simulation.history import History
    from tests.simulation.lives import Lives

EPOCH_S = 1_800_000_000.0
WORD_S = 0.0003
"""How long a word between parent and child takes."""
FORK_S = 0.004
"""How long a new process takes to get to its first line."""
REBUILD_S = 0.05
"""How long the watchdog takes to begin a new tree."""
NEVER_S = float("inf")
MOST_ROUNDS = 20_000
"""A cell that is not done with one moment after so many rounds never will be."""


class Killed(BaseException):
    """The process dies here, between two instructions."""


class Livelock(AssertionError):  # noqa: N818 - it is an accident, like those that it is among
    """A cell worked without end while time stood still."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What supervisors of processes allow, in seconds."""

    heartbeat_s: float = 0.2
    hang_s: float = 2.0
    ready_timeout_s: float = 3.0


class Machine:
    """Time, the network, and all processes.

    Args:
        seed: Of everything that happens by chance in here.
        history: Takes what happened.
        lives: Takes who was born, stopped and buried.
        build: Makes the root actor of a process.

    Attributes:
        processes: The living, by pid, the oldest first.
        wall_offset_s: How far the wall clock was set.
        falls: How often the whole tree was begun anew.
    """

    def __init__(
        self,
        seed: int,
        history: History,
        lives: Lives,
        build: Callable[[Process, ChildSpec], Any],
        patience: Patience,
    ) -> None:
        self.clock = VirtualClock(1_000.0)
        self.history = history
        history.clock = self.clock
        self.lives = lives
        self.build = build
        self.patience = patience
        self._seed = seed
        self.rng = random.Random(f"{seed}/machine")
        self.network = Network(self)
        self.processes: dict[int, Process] = {}
        self.wall_offset_s = 0.0
        self.slow_start_s = 0.0
        self.start_share = 1.0
        self.after_turn: Callable[[str], object] = str
        self.falls = 0
        self.is_watched = True
        self._readings = 0
        self._pids = itertools.count(100)
        self._names = itertools.count(1)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)

    # --- time ----------------------------------------------------------------------------------

    def unix_clock(self) -> float:
        """Seconds since 1970; like a real clock, never the same twice."""
        self._readings += 1
        return EPOCH_S + self.clock() + self.wall_offset_s + self._readings * 1e-6

    def fresh_id(self) -> str:
        """Return a name that nobody else in this run has."""
        return f"id{next(self._names):x}"

    def at(self, due_s: float, do: Callable[[], None]) -> None:
        """Have something happen at a moment."""
        heapq.heappush(self._events, (due_s, next(self._numbers), do))

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        """Have something happen in a while."""
        self.at(self.clock() + delay_s, do)

    def run(self, seconds: float) -> None:
        """Let so much time pass, and do all that is due by then."""
        until_s = self.clock() + seconds
        while True:
            self._do_all_of_this_moment()
            next_s = self._next_s()
            if next_s > until_s:
                self.clock.advance(until_s - self.clock())
                return
            self.clock.advance(max(0.0, next_s - self.clock()))

    def _do_all_of_this_moment(self) -> None:
        now_s = self.clock()
        while True:
            fired = self._fire()
            due = [process for process in self.processes.values() if process.due_s <= now_s]
            if not due and not fired:
                return
            for process in due:
                process.take_turn()

    def _fire(self) -> bool:
        now_s, fired = self.clock(), False
        while self._events and self._events[0][0] <= now_s:
            heapq.heappop(self._events)[2]()
            fired = True
        return fired

    def _next_s(self) -> float:
        moments = [process.due_s for process in self.processes.values()]
        if self._events:
            moments.append(self._events[0][0])
        return min(moments, default=float("inf"))

    # --- processes -----------------------------------------------------------------------------

    def boot(self, spec: ChildSpec) -> Process:
        """Begin the tree: the watchdog's work, which also watches over its topmost process."""
        top = self.fork(spec, spec.id, None, None)
        self.after(self.patience.heartbeat_s, lambda: self._watch(top))
        return top

    def _watch(self, top: Process) -> None:
        now_s = self.clock()
        if top.is_dead:
            return
        if not top.is_hung:
            top.heard_s = now_s
        elif now_s - top.heard_s > self.patience.hang_s:
            top.die("hung")
        self.after(self.patience.heartbeat_s, lambda: self._watch(top))

    def fork(
        self, spec: ChildSpec, path: str, parent: Process | None, supervisor: Ref | None
    ) -> Process:
        """Make a process; it comes to its first line a little later."""
        process = Process(self, next(self._pids), spec, path, (parent, supervisor))
        self.processes[process.pid] = process
        self.history.note("fork", path, process.pid)
        self.after(FORK_S + self.slow_start_s, process.begin)
        return process

    def fallen(self, top: Process) -> None:
        """Begin anew after the topmost process has died."""
        if self.is_watched:
            self.falls += 1
            self.after(REBUILD_S, lambda: self._rebuild(top.spec))

    def _rebuild(self, spec: ChildSpec) -> None:
        if self.is_watched:
            self.boot(spec)

    def child_rng(self, process: Process) -> random.Random:
        """Return the source of chance of one process."""
        return random.Random(f"{self._seed}/process/{process.pid}")

    def touch_all(self) -> None:
        """Note that somebody from outside has put his hands into the processes."""
        for process in self.processes.values():
            process.touch()

    def find(self, path: str) -> Process | None:
        """Return the living process at a path of the tree."""
        return next((each for each in self.processes.values() if each.path == path), None)


class Process:
    """One process: a cell with its root, and what its parent knows of it.

    Attributes:
        pid: Its number; never used again.
        ended: Its end has been told, or will be.
        is_hung: It gets no turn.
        pace_s: Seconds from turn to turn; 0 for one that is as fast as it wants.
        operations: Link operations so far.
        due_s: When it next gets a turn, if nothing touches it before.
        lags: When it could not be expected to answer, as pairs of moments.
        dies_at: The operation before which it dies.
        raises_at: The operation at which whoever does it crashes.
        points: What happens at the fault points of the product, by name.
    """

    def __init__(
        self,
        machine: Machine,
        pid: int,
        spec: ChildSpec,
        path: str,
        above: tuple[Process | None, Ref | None],
    ) -> None:
        self.machine = machine
        self.pid = pid
        self.spec = spec
        self.path = path
        self.parent, self.supervisor = above
        self.children: list[Process] = []
        self.ended = self.is_dead = self.is_hung = self.is_ready = False
        self.lags: list[list[float]] = []
        self._lagging = 0
        self.heard_s = machine.clock()
        self.pace_s = 0.0
        self.operations = 0
        self.dies_at: int | None = None
        self.raises_at: int | None = None
        self.points: dict[str, Any] = {}
        self.root: Ref | None = None
        self.links = ProcessLinks(self, machine.network)
        self.poller = Poller(machine.network.descriptors)
        self.cell = WatchedCell(self)
        self.cell.processes = cast("ProcessPort", Keeper(self))
        self._inbox: list[Callable[[], None]] = []
        self._turn_s = 0.0
        self.due_s = NEVER_S
        self._beat_s = machine.clock()
        if self.parent is not None:
            self.parent.children.append(self)

    # --- its life ------------------------------------------------------------------------------

    def begin(self) -> None:
        """Come to the first line of code: build the root actor."""
        if self.is_dead:
            return
        if self.machine.rng.random() >= self.machine.start_share:
            self.die("exit:1")
            return
        self.hear(self._build)

    def _build(self) -> None:
        try:
            actor = self.machine.build(self, self.spec)
        except Exception as error:  # noqa: BLE001 - any bug in a constructor is a failed start
            self.die(failure_reason(error))
            return
        nested = isinstance(actor, Supervisor) and self.spec.type == "worker"
        self.root = self.cell.spawn(
            lambda: actor,
            parent=self.cell.outside,
            name=f"{self.path}/cell" if nested else self.path,
            limit=self.spec.mailbox_limit,
        )
        if self.spec.type == "supervisor":
            self.machine.after(self.machine.patience.heartbeat_s, self._beat)

    def hear(self, do: Callable[[], None]) -> None:
        """Have something done by this process when it next gets its turn."""
        self._inbox.append(do)
        self.touch()

    def stop(self, reason: Reason) -> None:
        """End politely; what SIGTERM and a parent's word do."""
        if self.root is None:
            self.die("exit:1")
        else:
            self.cell.stop(self.root, reason)

    def die(self, reason: Reason, detail: str = "") -> None:
        """Be gone at once: no code runs, all connections break, all children die with it."""
        if self.is_dead:
            return
        self.is_dead = self.ended = True
        del self.machine.processes[self.pid]
        self.machine.history.note("die", self.path, self.pid, str(reason))
        for child in list(self.children):
            child.die("killed")
        self.machine.lives.process_died(self, reason)
        self.links.close()
        self._give_files_back()
        if self.parent is None:
            self.machine.fallen(self)
        elif not self.parent.is_dead:
            self.parent.children.remove(self)
            self.machine.after(WORD_S, lambda: self._tell_parent(self._news(reason, detail)))

    def _give_files_back(self) -> None:
        """What the system does when a process ends, and no line of its own does."""
        for ref in self.cell.everybody():
            log = getattr(ref.actor, "_log", None)
            descriptor = getattr(log, "_descriptor", None)
            if log is not None and descriptor is not None:
                log._descriptor = None
                with suppress(OSError):
                    os.close(descriptor)
            store = getattr(ref.actor, "_store", None)
            if store is not None:
                store.close()

    def _news(self, reason: Reason, detail: str) -> Any:
        if self.is_ready:
            return ChildExited(self, reason, detail)
        return ChildFailed(self, reason, detail)

    def _tell_parent(self, news: Any) -> None:
        parent, supervisor = self.parent, self.supervisor
        if parent is not None and supervisor is not None and not parent.is_dead:
            parent.hear(lambda: supervisor.signal(news))

    # --- its turns -----------------------------------------------------------------------------

    def touch(self) -> None:
        """Note that there may be something to do for it now."""
        self.due_s = NEVER_S if self.is_hung else max(self.machine.clock(), self._turn_s)

    def _next_turn_s(self) -> float:
        if self._inbox or self.poller.is_ready():
            due_s: float | None = self.machine.clock()
        else:
            due_s = self.cell.next_due_s()
        return NEVER_S if due_s is None else max(due_s, self._turn_s)

    def take_turn(self) -> None:
        """Run until nothing is left to do at this moment."""
        now_s = self.machine.clock()
        if self.is_dead or self.due_s > now_s:
            return
        if self.pace_s:
            self._turn_s = now_s + self.pace_s
        try:
            with points_in_force(self.points):
                inbox, self._inbox = self._inbox, []
                for do in inbox:
                    do()
                self._run_cell()
        except Killed:
            self.die("killed")
        self.machine.after_turn(self.spec.id)
        if not self.is_dead:
            self._root_news()
            self.due_s = self._next_turn_s()

    def _run_cell(self) -> None:
        rounds = 0

        def is_endless() -> bool:
            nonlocal rounds
            rounds += 1
            return rounds > MOST_ROUNDS or self.is_dead

        self.cell.run(0.0, until=is_endless)
        if rounds > MOST_ROUNDS:
            raise Livelock(f"{self.path} never comes to rest at {self.machine.clock():.6f} s")

    def _root_news(self) -> None:
        """Pass on what the root's life means for the parent."""
        news: deque[tuple[Any, Any]] | None = self.cell.outside.system
        while news and not self.is_dead:
            message, _ = news.popleft()
            match message:
                case ChildStarted(info=info):
                    self.is_ready = True
                    self.heard_s = self.machine.clock()
                    self.machine.lives.process_ready(self)
                    self._send_up(ChildStarted(self, info))
                case ChildFailed(reason=reason, detail=detail):
                    self.die(reason, detail)
                case ChildDeclined():
                    self.die("ignore")
                case _:
                    self.die(message.reason, message.detail)

    def _send_up(self, news: Any) -> None:
        self.machine.after(WORD_S, lambda: self._tell_parent(news))

    # --- hanging -------------------------------------------------------------------------------

    def hang(self) -> None:
        """Stand still, as after SIGSTOP."""
        if not self.is_hung:
            self.is_hung = True
            self.due_s = NEVER_S
            self.begins_to_lag()

    def wake(self) -> None:
        """Go on as if nothing had happened."""
        if self.is_hung and not self.is_dead:
            self.is_hung = False
            self.touch()
            self.lags_no_more()

    def slow(self, pace_s: float) -> None:
        """Get a turn only every ``pace_s`` seconds; 0 ends that."""
        if self.is_dead:
            return
        if pace_s and not self.pace_s:
            self.begins_to_lag()
        elif self.pace_s and not pace_s:
            self.lags_no_more()
        self.pace_s = pace_s

    def begins_to_lag(self) -> None:
        """Note that nobody may expect answers in time from here on."""
        self._lagging += 1
        if self._lagging == 1:
            self.lags.append([self.machine.clock(), float("inf")])

    def lags_no_more(self) -> None:
        """Note that one reason to lag is over; the last one ends the lag."""
        self._lagging -= 1
        if not self._lagging:
            self.lags[-1][1] = max(self.machine.clock(), self._turn_s)

    def lagged_s(self, from_s: float, to_s: float) -> float:
        """Return for how long of a time it could not be expected to answer."""
        return sum(max(0.0, min(to_s, end) - max(from_s, begin)) for begin, end in self.lags)

    def _beat(self) -> None:
        """Kill the children that have been silent for too long; as the keeper does."""
        if self.is_dead:
            return
        patience, now_s = self.machine.patience, self.machine.clock()
        self.machine.after(patience.heartbeat_s, self._beat)
        if self.is_hung:
            return
        was_awake = now_s - self._beat_s < 3 * patience.heartbeat_s
        self._beat_s = now_s
        for child in [each for each in self.children if each.is_ready]:
            if not was_awake or not child.is_hung:
                child.heard_s = now_s
            if now_s - child.heard_s > patience.hang_s:
                child.die("hung")

    def operation(self, kind: str, size: int, digest: int) -> None:
        """Note that a frame passes one of its links; the process may die just before that."""
        self.operations += 1
        self.machine.history.note(kind, self.pid, size, digest)
        if self.dies_at is not None and self.operations >= self.dies_at:
            raise Killed
        if self.raises_at is not None and self.operations >= self.raises_at:
            self.raises_at = None
            raise RuntimeError(f"on purpose, at a {kind}")


@contextmanager
def points_in_force(points: Mapping[str, Any]) -> Iterator[None]:
    """Arm the product's fault points for one turn of one process."""
    for point, armed in points.items():
        fault_points.arm(point, armed)
    try:
        yield
    finally:
        for point in points:
            fault_points.disarm(point)


class Keeper:
    """The port through which supervisors of one process have children in others."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def start_process(
        self, supervisor: Ref, spec: ChildSpec, path: str, args: tuple[Any, ...] = ()
    ) -> Process:
        """See ``ProcessPort.start_process``."""
        machine = self._process.machine
        if machine.find(path) is not None:
            raise StartError(("two_of_one", path))
        machine.lives.born(supervisor, spec.id)
        child = machine.fork(spec, path, self._process, supervisor)
        machine.after(
            machine.patience.ready_timeout_s,
            lambda: None if child.is_ready else child.die("start_timeout"),
        )
        return child

    def stop_process(self, child: Process, reason: Reason) -> None:
        """See ``ProcessPort.stop_process``."""
        if child.is_dead:
            return
        child.machine.lives.process_stopped(child)
        child.machine.after(WORD_S, lambda: child.hear(lambda: child.stop(reason)))

    def kill_process(self, child: Process, reason: Reason = "killed") -> None:
        """See ``ProcessPort.kill_process``."""
        child.die(reason)
