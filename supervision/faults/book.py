"""Faults on purpose, in the process where they happen: each begins, strikes, and ends by itself.

An actor of its own keeps their time, so a fault ends when it should although whoever asked for it
is gone; one that belongs to an actor also meets that actor's next incarnations. A process that ends
takes its faults along. Where there is no fault this actor does not even exist.
"""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import WakeupMessage

from config import fault_points
from supervision import taps
from supervision.actor import LightActor
from supervision.clock import wall_clock
from supervision.errors import FaultRefusedError
from supervision.faults.catalog import FaultRequest
from supervision.faults.taps import TAPS
from supervision.messages import Report
from transport.faults import FaultyFrames, FrameRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.cell import Cell
    from supervision.faults.taps import FaultTap
    from supervision.ref import Ref, Timer


class Fault:
    """One fault in force.

    Args:
        request: What was asked for.
        ref: The actor that it was asked for.
        book: Keeps its time.

    Attributes:
        hits: How often it has struck.
        has_begun: It is or was in force.
        is_over: It strikes no more.
    """

    def __init__(self, request: FaultRequest, ref: Ref, book: Faults) -> None:
        self.request = request
        self.id = request.id
        self.args = request.args
        self.rng = random.Random(request.seed)
        self.ref = ref
        self.path = ref.path
        self.hits = 0
        self.has_begun = False
        self.is_over = False
        self._book = book

    def begin(self) -> None:
        """Be in force.

        Raises:
            FaultRefusedError: It cannot be; nothing has changed then.
        """

    def end(self) -> None:
        """Undo what :meth:`begin` did."""

    def used_up(self) -> None:
        """End before its time: there is nothing left to do."""
        self._book.end(self, "used up")

    def after(self, delay_s: float, what: Callable[[], None]) -> Timer:
        """Have ``what`` done after ``delay_s`` seconds, unless the timer is cancelled."""
        return self._book.after(delay_s, what)


class ActorFault(Fault):
    """A fault on the messages of the actor at one path, whoever lives there."""

    def begin(self) -> None:
        """See ``Fault.begin``."""
        self._taps: list[FaultTap] = []
        taps.watch_births(self.ref.cell, self._born)
        self._tap(self.ref)
        if self.request.kind == "crash_on_start" and self.args["now"]:
            self.ref.cell.end(self.ref, f"crash, on purpose ({self.id})")

    def _born(self, ref: Ref) -> None:
        if ref.name == self.ref.name and ref.path == self.path:
            self._tap(ref).born()

    def _tap(self, ref: Ref) -> FaultTap:
        tap = TAPS[self.request.kind](ref, self)
        self._taps = [*(each for each in self._taps if each.ref.actor is not None), tap]
        taps.put_on(ref, tap)
        return tap

    def end(self) -> None:
        """See ``Fault.end``."""
        taps.ignore_births(self.ref.cell, self._born)
        for tap in self._taps:
            taps.take_off(tap.ref, tap)
            tap.lift()


class LinkFault(Fault):
    """A fault on the frames of an actor's links, its next incarnation's included."""

    def begin(self) -> None:
        """See ``Fault.begin``."""
        self._frames: list[FaultyFrames] = []
        if self._book.is_on(self.path, "link"):
            raise FaultRefusedError(f"the links of {self.path} bear a fault already; heal it first")
        if not self._spoil(self.ref):
            raise FaultRefusedError(f"{self.path} has no links; name one who speaks to others")
        taps.watch_births(self.ref.cell, self._born)

    def _spoil(self, ref: Ref) -> int:
        args = self.args
        rules = FrameRules(
            drop=args["drop"],
            duplicate=args["duplicate"],
            corrupt=args["corrupt"],
            delay_s=args["delay_ms"] / 1000,
            jitter_s=args["jitter_ms"] / 1000,
            inward=args["direction"] != "out",
            outward=args["direction"] != "in",
        )
        links = ref.actor.links() if isinstance(ref.actor, LightActor) else ()
        for link in links:
            made = FaultyFrames(
                link, rules, self.rng, ref.cell.clock, self._later(len(self._frames))
            )
            self._frames.append(made)
        return len(links)

    def _later(self, number: int) -> Callable[[float], None]:
        def later(delay_s: float) -> None:
            self.after(delay_s, lambda: self._due(self._frames[number]))

        return later

    def _due(self, frames: FaultyFrames) -> None:
        if frames.due():
            self.ref.cell.poke(frames.link.fileno())

    def _born(self, ref: Ref) -> None:
        """Spoil a successor's links as soon as it has made them."""
        actor = ref.actor
        if ref.name != self.ref.name or ref.path != self.path or not isinstance(actor, LightActor):
            return
        start = actor.on_start

        def start_and_spoil() -> Any:
            result = start()
            if not self.is_over:
                self._spoil(ref)
            return result

        actor.on_start = start_and_spoil  # type: ignore[method-assign]

    def end(self) -> None:
        """See ``Fault.end``."""
        taps.ignore_births(self.ref.cell, self._born)
        for frames in self._frames:
            self.hits += frames.hits
            if frames.end():
                self.ref.cell.poke(frames.link.fileno())


class PointFault(Fault):
    """An error at a named place in the code of this process."""

    def begin(self) -> None:
        """See ``Fault.begin``."""
        args = self.args
        self._armed = fault_points.ArmedPoint(
            args["action"],
            count=args["count"],
            share=args["share"],
            rng=self.rng,
            used_up=self.used_up,
        )
        try:
            fault_points.arm(args["point"], self._armed)
        except ValueError as error:
            raise FaultRefusedError(f"{error}; heal that first") from error

    def end(self) -> None:
        """See ``Fault.end``."""
        self.hits = self._armed.hits
        fault_points.disarm(self.args["point"])


class ClockFault(Fault):
    """The wall clock of this process jumps, and jumps back."""

    def begin(self) -> None:
        """See ``Fault.begin``."""
        self.hits = 1
        wall_clock().ahead_s += self.args["by_s"]

    def end(self) -> None:
        """See ``Fault.end``."""
        wall_clock().ahead_s -= self.args["by_s"]


MAKERS: Final[dict[str, type[Fault]]] = {
    "link": LinkFault,
    "point": PointFault,
    "clock": ClockFault,
    **dict.fromkeys(TAPS, ActorFault),
}


class Faults(LightActor):
    """All faults in force in one process.

    Attributes:
        has_ended: It keeps no time any more.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._active: dict[str, Fault] = {}

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Do what is due."""
        if isinstance(message, WakeupMessage):
            message.payload()

    def on_end(self) -> None:
        """Leave nothing broken."""
        self.has_ended = True
        for fault in tuple(self._active.values()):
            self.end(fault, "its keeper ended")

    def begin(self, request: FaultRequest, ref: Ref) -> None:
        """Put a fault into force until its time is over.

        Raises:
            FaultRefusedError: It cannot be.
        """
        if request.id in self._active:
            raise FaultRefusedError(f"there is a fault {request.id} already")
        fault = MAKERS[request.kind](request, ref, self)
        self._active[request.id] = fault
        try:
            fault.begin()
        except FaultRefusedError:
            del self._active[request.id]
            raise
        fault.has_begun = True
        self._report("fault_on", fault, "asked for")
        self.after(request.ttl_s, lambda: self.end(fault, "its time was over"))

    def end(self, fault: Fault, why: str) -> None:
        """End a fault, once."""
        if fault.is_over:
            return
        fault.is_over = True
        del self._active[fault.id]
        fault.end()
        self._report("fault_off", fault, why)

    def heal(self, identity: str) -> int:
        """End the fault of that id; return how many that were."""
        fault = self._active.get(identity)
        if fault is None:
            return 0
        self.end(fault, "healed")
        return 1

    def is_on(self, path: str, kind: str) -> bool:
        """Tell whether a fault of that kind is in force at that path."""
        return any(
            fault.path == path and fault.request.kind == kind and fault.has_begun
            for fault in self._active.values()
        )

    def after(self, delay_s: float, what: Callable[[], None]) -> Timer:
        """Have ``what`` done after ``delay_s`` seconds, unless the timer is cancelled."""
        return self.wake_after(delay_s, what)

    def _report(self, context: str, fault: Fault, why: str) -> None:
        hits = {"hits": fault.hits} if context == "fault_off" else {}
        self.cell.reporter(report_of(context, fault.request, fault.path, why, **hits))


def report_of(context: str, request: FaultRequest, path: str, why: str, **more: object) -> Report:
    """Return what is told of a fault on the actor at ``path`` that begins or ends."""
    offender = {"id": path.rsplit("/", 1)[-1], "fault": asdict(request), **more}
    reason = f"{request.kind}: {why}"
    return Report("operator", context, reason, offender, level="info", about=path)


def begin(cell: Cell, ref: Ref, asked: dict[str, Any]) -> None:
    """Put a fault into force on ``ref``.

    Args:
        cell: The cell of this process.
        ref: Whom it was asked for.
        asked: The fields of a :class:`FaultRequest`.

    Raises:
        FaultRefusedError: It cannot be.
    """
    book = cell.faults
    if book is None or book.has_ended:
        book = cell.faults = Faults()
        cell.spawn(lambda: book, name="faults")
    fields = {name: asked[name] for name in FaultRequest.__dataclass_fields__}
    book.begin(FaultRequest(**fields), ref)


def heal(cell: Cell, identity: str) -> int:
    """End the fault of that id; return how many that were."""
    return cell.faults.heal(identity) if cell.faults is not None else 0
