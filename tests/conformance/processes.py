"""The process placement: supervisor and children are operating-system processes, in real time.

What virtual time gives for nothing has to be looked for here: whether the system is at rest. It is
when no supervisor has anything to do, nobody has died unheard, and whoever is waited for waits on
purpose (a slow start, a stop that is ignored).
"""

from __future__ import annotations

import os
import select
import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from supervision import monotonic_clock
from supervision.processes.process import kill_by
from tests.conformance.builder import Builder
from tests.conformance.chronicle import Chronicle, FileJournal, unheard
from tests.conformance.journal import Mark
from tests.conformance.words import TOP
from tests.conformance.world import LONGEST_S, SETTLE_MS, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.chronicle import Entry
    from tests.conformance.theatre import Theatre

REST_LIMIT_S = 15.0
LEAVE_LIMIT_S = 5.0
STAGE_LIMIT_S = 10.0
POLL_S = 0.002
STILL_MS = 10.0
"""Quiet that is enough where nobody waits on purpose."""


class Life:
    """One process of the case: who it is, and whether it is alive."""

    def __init__(self, path: str, kind: str, pid: int) -> None:
        self.path, self.kind, self.pid = path, kind, pid
        self.mark = ""
        try:
            self._pidfd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = None

    def is_alive(self) -> bool:
        if self._pidfd is not None and select.select([self._pidfd], [], [], 0)[0]:
            self.close()
        return self._pidfd is not None

    def kill(self) -> None:
        if self._pidfd is not None:
            kill_by(self._pidfd)

    def close(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


class ProcessWorld(World):
    """One case's processes, seen from outside."""

    def __init__(self, theatre: Theatre) -> None:
        self._theatre = theatre
        theatre.raise_curtain()
        self.clock = monotonic_clock()
        path = theatre.folder / f"{uuid.uuid4().hex}.jsonl"
        self._chronicle = Chronicle(path)
        self._journal = FileJournal(str(path), theatre.token)
        self.builder = Builder(self._journal)
        self._lives: dict[int, Life] = {}
        self._latest: dict[str, Life] = {}
        self._outcome: Any = None
        self._end: Any = None
        self._quiet_since_s = self.clock()

    # -- following what happens -----------------------------------------------------------------

    def _refresh(self) -> None:
        for entry in self._chronicle.refresh():
            self._quiet_since_s = self.clock()
            if entry.kind == "born":
                life = Life(entry.who, entry.what, entry.pid)
                self._lives[entry.pid] = self._latest[entry.who] = life
            elif entry.kind in get_args(Mark):
                self._lives[entry.pid].mark = entry.kind
            elif entry.who == "top":
                self._hear_of_top(entry)

    def _hear_of_top(self, entry: Entry) -> None:
        match entry.kind:
            case "exited":
                self._end = ["exited", entry.what]
            case "failed":
                self._outcome = ["error", entry.what]
            case _:
                self._outcome = entry.kind

    def _wait(self, fact: Callable[[], Any], limit_s: float, what: str) -> Any:
        """Return the first truth of ``fact()``.

        Raises:
            AssertionError: There was none in time.
        """
        deadline_s = self.clock() + limit_s
        while True:
            self._refresh()
            if found := fact():
                return found
            assert self.clock() < deadline_s, f"not within {limit_s} s: {what}; {self.events()}"
            select.select([self._theatre.line], [], [], POLL_S)

    def events(self) -> list[str]:
        self._refresh()
        return self._chronicle.events()

    # -- asking ---------------------------------------------------------------------------------

    def _ask(self, life: Life | None, what: str, **words: Any) -> Any:
        """Ask a process; ``noproc`` if it is dead or dies before it answers."""
        if life is None or not life.is_alive():
            return "noproc"
        number = self._theatre.say(life.pid, what, **words)
        if number is None:
            return "noproc"

        def heard() -> tuple[Any] | tuple[()]:
            gone = not life.is_alive()  # looked at first: it may have answered before it died
            return self._theatre.answer(number) or (("noproc",) if gone else ())

        (answer,) = self._wait(heard, LONGEST_S, f"{life.path} answers {what}")
        return answer

    def call(self, operation: str, words: dict[str, Any], sup: str = TOP) -> Any:
        return self._ask(self._latest.get(sup), "call", operation=operation, **words)

    def _stage(self, what: str, **words: Any) -> None:
        number = self._theatre.say("stage", what, **words)
        assert number is not None, "the stage is gone"
        self._wait(lambda: self._theatre.answer(number), STAGE_LIMIT_S, f"the stage does {what}")

    def open(self, setup: dict[str, Any]) -> Any:
        self._stage("open", path=self._journal.path, setup=setup)
        return self._wait(lambda: self._outcome, LONGEST_S, "the supervisor has started or not")

    # -- time -----------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        select.select([], [], [], seconds)

    def settle(self, quiet_ms: float = SETTLE_MS) -> None:
        self._quiet_since_s = self.clock()
        self._wait(lambda: self._is_quiet(quiet_ms), REST_LIMIT_S, "the system comes to rest")

    def _is_quiet(self, quiet_ms: float) -> bool:
        quiet_so_far_ms = (self.clock() - self._quiet_since_s) * 1000
        if quiet_so_far_ms < min(quiet_ms, STILL_MS):
            return False  # to ask more often would only keep them from working
        seen = len(self._chronicle.entries)
        rest = self._rest()
        self._refresh()
        if rest == "busy" or len(self._chronicle.entries) > seen:  # what was asked is out of date
            self._quiet_since_s = self.clock()
            return False
        return rest == "still" or (rest == "waits" and quiet_so_far_ms >= quiet_ms)

    def _rest(self) -> str:
        """Say what is going on: ``busy``, ``waits`` (on purpose), or ``still``."""
        alive = self._alive()
        if any(life.mark == "doomed" for life in alive) or self._unheard_end():
            return "busy"
        awaited: dict[int, list[int]] = {}
        for life in alive:
            if life.kind == "supervisor":
                seen = self._ask(life, "look")
                if seen == "noproc" or seen["busy"]:
                    return "busy"
                awaited[life.pid] = seen["awaited"]
        pausing = {life.pid for life in alive if life.mark == "pauses"}
        expected = [pid for pids in awaited.values() for pid in pids]
        if any(pid not in pausing and not awaited.get(pid) for pid in expected):
            return "busy"
        return "waits" if pausing else "still"

    def _alive(self) -> list[Life]:
        return [life for life in self._lives.values() if life.is_alive()]

    def _unheard_end(self) -> bool:
        """Tell whether the supervisor under test is dead and its parent has not said so yet."""
        top = self._latest.get(TOP)
        return self._outcome == "started" and self._end is None and not (top and top.is_alive())

    # -- looking --------------------------------------------------------------------------------

    def supervisor_state(self) -> Any:
        self._refresh()
        return self._end or ("alive" if self._outcome == "started" else "not_started")

    def lives(self, path: str) -> bool:
        self._refresh()
        return path in self._latest and self._latest[path].is_alive()

    def is_suspended(self, path: str) -> bool:
        seen = self._ask(self._latest.get(path), "look")
        return bool(seen != "noproc" and seen["suspended"])

    def supervises(self, path: str) -> bool:
        return path in self._latest and self._latest[path].kind == "supervisor"

    # -- hurting --------------------------------------------------------------------------------

    def exit(self, path: str, reason: Any) -> bool:
        life = self._latest.get(path)
        if self._ask(life, "exit", reason=reason) == "noproc":
            return False
        assert life is not None
        if life.kind == "worker":
            self._wait_dead(life)
        return True

    def exit_at_once(self, paths: list[str], reason: Any) -> bool:
        """Their supervisors are suspended meanwhile, so that all ends wait for them together."""
        parents = {path.rpartition("/")[0] for path in paths}
        held = [self._latest[path] for path in parents if not self.is_suspended(path)]
        for life in held:
            self._ask(life, "suspend")
        done = [self._exit_unseen(path, reason) for path in paths]
        for life in held:
            self._ask(life, "resume")
        return any(done)

    def exit_while_held_up(self, path: str, reason: Any, seconds: float) -> None:
        """Have a child end by itself while its supervisor is stopped for so long."""
        parent, child = self._latest[path.rpartition("/")[0]], self._latest[path]
        os.kill(parent.pid, signal.SIGSTOP)
        self._theatre.say(child.pid, "exit", reason=reason)
        self.sleep(seconds)
        os.kill(parent.pid, signal.SIGCONT)
        self._wait(lambda: self._is_heard(child), LEAVE_LIMIT_S, f"the end of {path} is heard")
        self.settle()

    def _exit_unseen(self, path: str, reason: Any) -> bool:
        if not self.exit(path, reason):
            return False
        life = self._latest[path]
        if not life.is_alive():
            self._wait(lambda: self._is_heard(life), LEAVE_LIMIT_S, f"the end of {path} is heard")
        return True

    def _is_heard(self, life: Life) -> bool:
        entries = self._chronicle.entries
        return any(entry.kind == "heard" and entry.what[0] == life.pid for entry in entries)

    def kill(self, path: str) -> bool:
        life = self._latest.get(path)
        if life is None or not life.is_alive():
            return False
        life.kill()
        self._wait_dead(life)
        return True

    def _wait_dead(self, life: Life) -> None:
        self._wait(lambda: not life.is_alive(), LEAVE_LIMIT_S, f"{life.path} is dead")

    def stop(self, reason: Any) -> None:
        if not self.lives(TOP):
            return
        if reason == "kill":
            self._latest[TOP].kill()
        else:
            self._stage("stop", reason=reason)
        self._wait(lambda: self._end, LONGEST_S, "the supervisor has ended")

    def set_plan(self, path: str, entries: list[Any]) -> None:
        self._journal.writer.write("plan", path, entries)

    def order(self, what: str, sup: str = TOP) -> None:
        self._ask(self._latest[sup], what)

    # -- leaving --------------------------------------------------------------------------------

    def close(self) -> None:
        """Kill what is left; all below it must die with it, and each end have been heard once.

        Raises:
            AssertionError: That is not so.
        """
        self._refresh()
        if self.lives(TOP):
            self._latest[TOP].kill()
        self._wait(lambda: not self._alive(), LEAVE_LIMIT_S, "nobody is left")
        if self._outcome == "started":
            self._wait(lambda: self._end, LEAVE_LIMIT_S, "the supervisor's end is heard")
        self._refresh()
        self._stage("close")
        self._journal.close()
        self._chronicle.close()
        Path(self._journal.path).unlink()
        assert (wrong := unheard(self._chronicle.entries)) == [], wrong
