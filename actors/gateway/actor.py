"""The gateway: bid requests in, exactly one answer to each out, whatever dies in between.

Principle: the gateway promises an answer, the orchestrators find it. It keeps for every request in
hand what is still missing; an orchestrator's answer, its death or the request's deadline completes
it, whichever comes first. A burst's decision records are written before the burst's answers leave.
If the gateway itself dies, its socket closes and clients send again, to its successor or elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.decision import reasons
from actors.decision.machine import NEVER
from actors.decision.orchestrator import Job
from actors.decision.reasons import is_more_telling
from actors.decision.steps import ROLES
from actors.gateway.answers import FLUSH, Answers
from actors.gateway.intake import PUSH, Intake
from actors.messages import Decided, Released
from actors.reading.looks import looks_of
from supervision import Down, LightActor, StartChild

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.gateway.admission import DoorRules
    from actors.gateway.journal import Journal
    from actors.gateway.pending import Pending
    from actors.metering import Meter
    from supervision.ref import Ref, Timer
    from supervision.registry import Route
    from transport.faults import Link
    from transport.frames import LinkFactory, ServerLink
    from transport.segments import SegmentWriter

GUARD_S: Final = 0.002
"""How long after its deadline an orchestrator may still be heard."""
SPARE_BYTES: Final = 1 << 20
"""What the socket takes above the largest body, so that one that is too large gets an answer."""
_SWEEP: Final = "sweep"
_METERS: Final = "meters"


@dataclass(frozen=True, slots=True)
class GatewayKit:
    """What a gateway is made of; every incarnation gets the same.

    Attributes:
        bidder: Name of the bidder; begins the names of its bids.
        urls: Addresses that take bid requests.
        door: Which requests come in.
        memory_entries: Answers remembered at most; with 0 a repeated request is a new one.
        memory_bytes: Bytes of remembered requests and answers at most.
        links: Makes the socket.
        secret: Signs the names of bids.
        open_log: Opens the decision log.
        unix_clock: Seconds since 1970.
        meter: Where the numbers go.
        journal: What is told of single requests.
        flush_metrics_s: How often they are sent.
        held_deals: The deals that are ours.
        max_deals: Deals of one impression that are looked at at most.
        explains: Whoever asks on the socket itself is told why there was no bid.
        sheds: What cannot be decided in time is answered before it is read.
    """

    bidder: str
    urls: tuple[str, ...]
    door: DoorRules
    memory_entries: int
    memory_bytes: int
    links: LinkFactory
    secret: bytes
    open_log: Callable[[], SegmentWriter]
    unix_clock: Callable[[], float]
    meter: Meter
    journal: Journal
    flush_metrics_s: float
    held_deals: frozenset[str] = frozenset()
    max_deals: int = 8
    explains: bool = True
    sheds: bool = True


class Gateway(LightActor):
    """Takes bid requests and answers them.

    Args:
        kit: What it is made of.
    """

    def __init__(self, kit: GatewayKit) -> None:
        self._kit = kit
        self._jobs: dict[int, tuple[Pending, str, str]] = {}
        self._next_job = 1
        self._sweep_at_s = NEVER
        self._sweeper: Timer | None = None
        self._server: ServerLink | None = None
        self._log: SegmentWriter | None = None
        self._intake: Intake | None = None
        self._answers: Answers | None = None
        self._handlers: dict[type, Callable[[Any], Any]] = {
            WatchMessage: self._on_readable,
            Decided: self._on_decided,
            Down: self._on_down,
            WakeupMessage: self._on_wakeup,
        }

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Open the log and the socket."""
        kit = self._kit
        self._log = log = kit.open_log()
        self._server = server = kit.links.server(kit.door.max_body_bytes + SPARE_BYTES)
        self._intake = intake = Intake(kit, self, server, self._start)
        self._answers = Answers(kit, self, server, log, intake.leaving)
        for url in kit.urls:
            server.listen(url)
        registry = self.cell.registry
        self._routes: tuple[Route, ...] = tuple(registry.route(role) for role in ROLES)
        self._impressions = registry.route("impressions")
        # Names of bids must never repeat, not even by a successor: the ledger settles by name.
        self._prefix = f"{kit.bidder}-{int(kit.unix_clock() * 1e6):x}-"
        self.wake_after(kit.flush_metrics_s, _METERS)
        return ThespianWatch([server.fileno()])

    def on_end(self) -> None:
        """Close socket and log, so that clients send again elsewhere."""
        if self._server is not None:
            self._server.close()
        if self._log is not None:
            self._log.close()

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return () if self._server is None else (self._server,)

    def describe(self) -> dict[str, Any]:
        """Tell what is in hand, and how much may be."""
        intake = self._intake
        return {
            "urls": list(self._kit.urls),
            "in_flight": len(self._jobs),
            "limit": 0 if intake is None else intake.limit,
            "remembered": 0 if intake is None else intake.remembered,
            **self._kit.meter.gateway_account(),
        }

    def receiveMessage(self, message: Any, sender: Ref) -> Any:
        """Dispatch by type; anything else is not for us."""
        handler = self._handlers.get(type(message))
        return None if handler is None else handler(message)

    # --- requests in ---------------------------------------------------------------------------

    def _on_readable(self, _message: WatchMessage) -> None:
        assert self._intake is not None
        self._intake.drain(lambda: len(self._jobs))

    def _start(self, pending: Pending, now_s: float, unix_s: float) -> None:
        """Start an orchestrator for each look at each impression."""
        kit, impressions = self._kit, self._impressions.address
        request = pending.admitted.request
        looks = [
            (imp, deal)
            for imp in request.imp
            for deal in looks_of(imp, kit.held_deals, kit.max_deals)
        ]
        pending.missing = len(looks)
        most = kit.door.max_in_flight
        for imp, deal in looks:
            job_id = self._next_job
            self._next_job = job_id + 1
            key = f"{self._prefix}{job_id:x}"
            job = Job(job_id, key, request, imp)
            job.deal = deal
            job.arrived_s = pending.deadline_s - pending.admitted.time_s
            job.deadline_s = pending.deadline_s
            job.unix_s = unix_s
            job.routes = self._routes
            job.gateway = self.myAddress
            job.exchange, job.may_explain = pending.exchange, pending.may_explain
            if (
                impressions is not None
                and len(self._jobs) < most
                and self.send(impressions, StartChild((job,), name=str(job_id)))
            ):
                self._jobs[job_id] = (pending, imp.id, key)
            else:
                self._without_decision(pending, imp.id, reasons.OVERLOADED)
        self._guard(pending.deadline_s + GUARD_S, now_s)

    def _guard(self, at_s: float, now_s: float) -> None:
        """See to it that deadlines are looked at by ``at_s``."""
        if at_s < self._sweep_at_s:
            if self._sweeper is not None:
                self._sweeper.cancel()
            self._sweep_at_s = at_s
            self._sweeper = self.wake_after(max(0.0, at_s - now_s), _SWEEP)

    # --- decisions in --------------------------------------------------------------------------

    def _on_decided(self, decided: Decided) -> None:
        assert self._intake is not None
        self._intake.push_more()
        entry = self._jobs.pop(decided.job_id, None)
        if entry is None:
            # Answered without it already, so the bid never leaves and its money is free.
            if decided.bid is not None:
                self.publish(Released(decided.bid.key))
            return
        pending = entry[0]
        pending.decided.append(decided)
        pending.missing -= 1
        if not pending.missing:
            self._complete(pending)

    def _on_down(self, down: Down) -> None:
        """Hear that an orchestrator died: its impression gets no bid, its money is free."""
        name = down.address.name
        entry = self._jobs.pop(int(name), None) if name.isdigit() else None
        if entry is not None:
            pending, imp_id, key = entry
            self.publish(Released(key))
            self._without_decision(pending, imp_id, reasons.DECIDER_DIED)

    def _without_decision(self, pending: Pending, imp_id: str, reason: str) -> None:
        self._kit.journal.undecided(pending.admitted.request.id, imp_id, reason)
        if is_more_telling(reason, pending.reasons.get(imp_id, "")):
            pending.reasons[imp_id] = reason
        pending.missing -= 1
        if not pending.missing:
            self._complete(pending)

    def _sweep(self) -> None:
        """Answer what is past its deadline with what is there."""
        now_s = self.cell.clock()
        self._sweep_at_s = next_s = NEVER
        for job_id, (pending, imp_id, key) in tuple(self._jobs.items()):
            due_s = pending.deadline_s + GUARD_S
            if due_s > now_s:
                next_s = min(next_s, due_s)
            else:
                del self._jobs[job_id]
                self.publish(Released(key))
                self._without_decision(pending, imp_id, reasons.OUT_OF_TIME)
        if next_s < NEVER:
            self._guard(max(next_s, now_s + GUARD_S), now_s)

    # --- answers out ---------------------------------------------------------------------------

    def _complete(self, pending: Pending) -> None:
        assert self._answers is not None
        self._answers.complete(pending)

    # --- timers --------------------------------------------------------------------------------

    def _on_wakeup(self, message: WakeupMessage) -> None:
        assert self._answers is not None
        assert self._intake is not None
        if message.payload is FLUSH:
            self._answers.flush()
            self._intake.push()
        elif message.payload is PUSH:
            self._intake.pushed()
        elif message.payload is _SWEEP:
            self._sweep()
        elif message.payload is _METERS:
            for route in self._routes:
                if route.ref is not None:
                    self._kit.meter.queue(route.role, len(route.ref.mailbox))
            self._kit.meter.flush()
            self._answers.flush_if_idle()
            self.wake_after(self._kit.flush_metrics_s, _METERS)
