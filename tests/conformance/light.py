"""The light placement: supervisor and children are actors of one cell, in virtual time."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from supervision import Call, CallResult, Cell, LightActor, Ref, VirtualClock
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted
from tests.conformance.builder import Builder, build_supervisor
from tests.conformance.journal import MemoryJournal
from tests.conformance.probes import ExitNow, ProbeSupervisor
from tests.conformance.words import TOP, reason_of, text_of
from tests.conformance.world import LONGEST_S, SETTLE_MS, World

MOST_EVENTS = 1000
"""More of them after one step are an endless loop."""


class Starter(LightActor):
    """Starts the top supervisor and asks it; keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[Any] = []
        self.results: dict[int, Any] = {}

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, CallResult):
            self.results[message.number] = message.value
        else:
            self.news.append(message)


class LightWorld(World):
    """One cell, driven by hand."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.builder = Builder(self.journal)
        self.clock = VirtualClock()
        self.cell = Cell(self.clock, random.Random(0))
        self.starter = Starter()
        self.parent = self.cell.spawn(lambda: self.starter, name="starter")
        self.top: Ref | None = None
        self._numbers = 0

    def close(self) -> None:
        self.cell.poller.close()

    def events(self) -> list[str]:
        return self.journal.events

    # -- time -----------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        self.cell.run(seconds)

    def settle(self, quiet_ms: float = SETTLE_MS) -> None:
        for _ in range(MOST_EVENTS):
            seen = len(self.journal.events)
            self.cell.run(quiet_ms / 1000, until=lambda: len(self.journal.events) > seen)  # noqa: B023 - called at once
            if len(self.journal.events) == seen:
                return
        raise AssertionError(f"the system never came to rest: {self.journal.events[-20:]}")

    # -- starting and asking --------------------------------------------------------------------

    def open(self, setup: dict[str, Any]) -> Any:
        make = partial(build_supervisor, self.journal, TOP, setup)
        self.top = self.cell.spawn(make, parent=self.parent, name="$sup")
        self.cell.run(LONGEST_S, until=lambda: bool(self.starter.news))
        match self.starter.news[0]:
            case ChildStarted():
                return "started"
            case ChildDeclined():
                return "ignored"
            case ChildFailed(_, reason, _):
                return ["error", text_of(reason)]
            case other:
                raise AssertionError(f"unexpected news of the supervisor: {other}")

    def _ref(self, path: str) -> Ref | None:
        return self.top if path == TOP else self.journal.handles.get(path)

    def call(self, operation: str, words: dict[str, Any], sup: str = TOP) -> Any:
        target = self._ref(sup)
        assert target is not None, f"there was never a supervisor {sup}"
        self._numbers += 1
        number = self._numbers
        question = self.builder.question(operation, words, self.cell)
        if not self.parent.post(target, Call(*question, number)):
            return "noproc"
        results = self.starter.results
        self.cell.run(LONGEST_S, until=lambda: number in results or target.actor is None)
        self.cell.run(0.0)
        return self.builder.readable(results[number]) if number in results else "noproc"

    # -- looking --------------------------------------------------------------------------------

    def supervisor_state(self) -> Any:
        if self.lives(TOP):
            return "alive"
        for news in self.starter.news:
            if isinstance(news, ChildExited):
                return ["exited", text_of(news.reason)]
        return "not_started"

    def lives(self, path: str) -> bool:
        ref = self._ref(path)
        return ref is not None and ref.actor is not None

    def is_suspended(self, path: str) -> bool:
        ref = self._ref(path)
        return ref is not None and ref.suspended

    def supervises(self, path: str) -> bool:
        ref = self._ref(path)
        return ref is not None and isinstance(ref.actor, ProbeSupervisor)

    # -- hurting --------------------------------------------------------------------------------

    def exit(self, path: str, reason: Any) -> bool:
        ref = self._ref(path)
        return ref is not None and self.parent.post(ref, ExitNow(reason_of(reason)))

    def exit_at_once(self, paths: list[str], reason: Any) -> bool:
        done = [self.exit(path, reason) for path in paths]
        return any(done)

    def kill(self, path: str) -> bool:
        ref = self._ref(path)
        if ref is None or ref.actor is None:
            return False
        self.cell.kill(ref)
        return True

    def stop(self, reason: Any) -> None:
        top = self.top
        assert top is not None
        if reason == "kill":
            self.cell.kill(top)
        else:
            self.cell.stop(top, reason_of(reason))
        self.cell.run(LONGEST_S, until=lambda: top.actor is None)

    def set_plan(self, path: str, entries: list[Any]) -> None:
        self.journal.plans[path] = (self.journal.new_key(), entries)

    def order(self, what: str, sup: str = TOP) -> None:
        target = self._ref(sup)
        assert target is not None, f"there was never a supervisor {sup}"
        match what:
            case "suspend":
                self.cell.suspend(target)
            case "resume":
                self.cell.resume(target)
            case "message":
                self.parent.post(target, {"unexpected": "message"})
            case _:
                raise AssertionError(f"no such order: {what}")
