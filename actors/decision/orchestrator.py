"""The orchestrator: one light actor per impression, from its request to its one answer.

Principle: it only drives. What to do is decided by ``machine``; this actor sends the
questions, hears answers, deaths and its alarm, and tells the gateway the outcome. It lives a few
milliseconds and is never restarted: if it dies, the gateway hears so and answers "no bid".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thespian.actors import WakeupMessage

from actors.decision.eligible import Eligible
from actors.decision.explanation import story_of
from actors.decision.machine import NEVER, Decision
from actors.decision.records import record_of
from actors.decision.steps import COUNT
from actors.messages import Decided, Released
from actors.reading.opportunity import opportunity_of, refusal
from actors.reading.place import Reading
from supervision import Down, LightActor
from transport.messages import encode
from transport.openrtb import wants_explanation

if TYPE_CHECKING:
    from actors.decision.eligible import EligibleAds
    from actors.decision.machine import DecisionRules
    from actors.decision.offers import OfferWriter
    from supervision.ref import Ref, Timer
    from supervision.registry import Route
    from transport.openrtb import BidRequest, Deal, Imp


@dataclass(frozen=True, slots=True)
class OrchestratorKit:
    """What all orchestrators of a bidder share.

    Attributes:
        bidder: Name of the bidder, for the decision log.
        rules: Shares, caps and fallbacks.
        ads: Which ads may be shown.
        user_salt: Key of the user hash in the decision log.
        writer: Writes bids.
        reading: By what requests are read.
    """

    bidder: str
    rules: DecisionRules
    ads: EligibleAds
    user_salt: bytes
    writer: OfferWriter
    reading: Reading = field(default_factory=Reading)


class Job:
    """One look at an impression to decide: made by the gateway, read by its orchestrator.

    Attributes:
        deal: The deal that it is about; None = the open auction.
        job_id: The gateway's number of this impression.
        key: The name of the bid and of its reservation; unique for ever.
        arrived_s: When the request came, cell's clock.
        deadline_s: When the answer must be at the gateway, cell's clock.
        unix_s: When the request came, seconds since 1970.
        routes: The ways to the agents, by step number.
        gateway: Whom to answer.
        exchange: Who asks, as the edge knows it; "" if it does not.
        may_explain: Whoever asks may be told why there is no bid.
    """

    __slots__ = (
        "arrived_s",
        "deadline_s",
        "deal",
        "exchange",
        "gateway",
        "imp",
        "job_id",
        "key",
        "may_explain",
        "request",
        "routes",
        "unix_s",
    )

    def __init__(self, job_id: int, key: str, request: BidRequest, imp: Imp) -> None:
        self.job_id = job_id
        self.key = key
        self.request = request
        self.imp = imp
        self.deal: Deal | None = None
        self.arrived_s = 0.0
        self.deadline_s = 0.0
        self.unix_s = 0.0
        self.routes: tuple[Route, ...] = ()
        self.gateway: Ref | None = None
        self.exchange = ""
        self.may_explain = True


class Orchestrator(LightActor):
    """Drives one decision.

    Args:
        kit: What all orchestrators share.
        job: The impression.
    """

    def __init__(self, kit: OrchestratorKit, job: Job) -> None:
        self._kit = kit
        self._job = job
        self._routes = job.routes
        self._asked: list[Ref | None] = [None] * COUNT
        self._timer: Timer | None = None
        self._armed_s = NEVER

    def on_start(self) -> None:
        """Read the impression and ask the first question."""
        kit, job = self._kit, self._job
        now_s = self.cell.clock()
        opportunity = opportunity_of(
            job.request, job.imp, job.unix_s, kit.reading, job.deal, job.exchange
        )
        why = self._refusal = refusal(job.request, opportunity, kit.reading)
        found = kit.ads.find(opportunity, job.unix_s) if why is None else Eligible((), (), why)
        self._decision = Decision(
            kit.rules, opportunity, found, job.key, job.arrived_s, job.deadline_s
        )
        self._decision.begin(now_s)
        self._go_on(now_s)

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Hear an agent's answer, its death, or the alarm."""
        decision = self._decision
        now_s = self.cell.clock()
        step = decision.answered(message, now_s)
        if step >= 0:
            route = self._routes[step]
            if route.strikes:
                route.answered()
        elif isinstance(message, WakeupMessage):
            self._armed_s = NEVER
            for late in decision.tick(now_s):
                self._routes[late].strike()
        elif isinstance(message, Down):
            for lost, asked in enumerate(self._asked):
                if asked is message.address:
                    decision.lost(lost, now_s)
        self._go_on(now_s)

    def _go_on(self, now_s: float) -> None:
        """Do what the decision wants: ask, set the alarm, or end."""
        decision = self._decision
        outbox = decision.outbox
        while outbox:
            step, question = outbox.pop(0)
            address = self._routes[step].address
            if address is None:
                decision.absent(step, now_s)
            else:
                self._asked[step] = address
                self._myRef.ask(address, question)
        if decision.finished:
            self._answer()
        elif decision.alarm_s < self._armed_s:
            if self._timer is not None:
                self._timer.cancel()
            self._armed_s = decision.alarm_s
            self._timer = self.wake_after(max(0.0, decision.alarm_s - now_s))

    def _answer(self) -> None:
        decision, job, kit = self._decision, self._job, self._kit
        if self._timer is not None:
            self._timer.cancel()
        if decision.may_hold_money:
            # We gave up on a reservation that may still be made: give it back by its name.
            self.publish(Released(job.key))
        bid, opportunity = decision.bid, decision.opportunity
        offer = None if bid is None else kit.writer.offer(bid, opportunity, self.cell.clock())
        record = encode(record_of(decision, kit.bidder, job.unix_s, kit.user_salt))
        explains = job.may_explain and wants_explanation(job.request)
        notes = self._story() if explains else None
        assert job.gateway is not None
        self.send(
            job.gateway,
            Decided(
                job.job_id,
                bid,
                decision.reason,
                decision.reports,
                record,
                opportunity,
                decision.vector,
                notes,
                offer,
            ),
        )
        self.stop()

    def _story(self) -> dict[str, object]:
        """Tell how the decision came about, for those who asked for an explanation."""
        decision, ads, unix_s = self._decision, self._kit.ads, self._job.unix_s
        refused = ads.why(decision.opportunity, unix_s)
        if self._refusal is not None:
            others = ads.find(decision.opportunity, unix_s).campaign_ids
            refused = dict.fromkeys((*refused, *others), self._refusal)
        return story_of(decision, refused)
