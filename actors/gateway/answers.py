"""Answers on their way out: put together, recorded, then sent.

Principle: a bid without a record never leaves. So answers wait for the end of the burst; then all
their decision records are written in one go, and only what is written may be promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.decision import reasons
from actors.decision.reasons import is_more_telling
from actors.gateway.responses import response_of
from actors.log_health import LogHealth
from actors.messages import Offered, Released
from config.rates import DOLLAR
from transport.codec import encode_response
from transport.errors import SegmentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.gateway.actor import GatewayKit
    from actors.gateway.pending import Pending
    from supervision import LightActor
    from transport.frames import ServerLink
    from transport.openrtb import Bid
    from transport.segments import SegmentWriter

FLUSH: Final = "flush"
"""Payload of the wake-up at which the owner calls ``flush``."""


class Answers:
    """The answers of one gateway that have not left yet.

    Args:
        kit: What the gateway is made of.
        owner: The gateway, which publishes and is woken.
        server: Where answers go.
        log: Where decision records go.
        leaving: Told of each request just before its answer leaves; the answer is None where it
            must not be given to the same request again.
    """

    def __init__(
        self,
        kit: GatewayKit,
        owner: LightActor,
        server: ServerLink,
        log: SegmentWriter,
        leaving: Callable[[Pending, bytes | None], None],
    ) -> None:
        self._kit = kit
        self._owner = owner
        self._server = server
        self._log = log
        self._leaving = leaving
        self._health = LogHealth(owner)
        self._done: list[tuple[Pending, bytes]] = []
        self._flushing = False

    def complete(self, pending: Pending) -> None:
        """Put the answer together; it leaves when the burst's records are written."""
        kit, why = self._kit, pending.reasons
        request_id = pending.admitted.request.id
        bids: dict[str, list[Bid]] = {}
        story = []
        currency = DOLLAR
        for decided in pending.decided:
            kit.meter.decided(decided)
            if kit.journal.decisions:
                kit.journal.decided(request_id, decided)
            if decided.bid is None or decided.offer is None:
                imp_id = decided.opportunity.imp_id
                if is_more_telling(decided.reason, why.get(imp_id, "")):
                    why[imp_id] = decided.reason
            else:
                currency = decided.opportunity.currency
                seat = decided.bid.candidate.campaign.seat
                bids.setdefault(seat, []).append(decided.offer)
            if decided.notes is not None:
                story.append(decided.notes)
        response = response_of(request_id, bids, why, story, currency)
        self._done.append((pending, encode_response(response, pending.admitted.form)))
        if not self._flushing:
            self._flushing = True
            self._owner.wake_after(0.0, FLUSH)

    def flush(self) -> None:
        """Write the burst's decision records, then let its answers go."""
        self._flushing = False
        done, self._done = self._done, []
        logged = self._write(done)
        self._time(done)
        for pending, answer in done:
            if not logged and any(each.bid is not None for each in pending.decided):
                self._leaving(pending, None)
                self._answer_unlogged(pending)
                continue
            self._announce(pending)
            self._leaving(pending, answer)
            for header in pending.headers:
                self._server.reply(header, answer)

    def flush_if_idle(self) -> None:
        """Seal an old segment of the log even when nothing happens."""
        if not self._flushing:
            self.flush()

    def _time(self, done: list[tuple[Pending, bytes]]) -> None:
        meter, now_s = self._kit.meter, self._owner.cell.clock()
        for pending, _answer in done:
            left_s = pending.deadline_s - now_s
            meter.answer_ms.append(1000.0 * (pending.admitted.time_s - left_s))
            meter.late += left_s < 0.0

    def _write(self, done: list[tuple[Pending, bytes]]) -> bool:
        try:
            for pending, _answer in done:
                for decided in pending.decided:
                    self._log.append(decided.record)
            self._log.flush()
        except SegmentError as error:
            self._kit.meter.unlogged += 1
            self._health.failed(error)
            return False
        self._health.worked()
        return True

    def _announce(self, pending: Pending) -> None:
        """Tell those who learn from bids what is offered."""
        for decided in pending.decided:
            bid = decided.bid
            if bid is None or decided.opportunity.test:
                continue
            if decided.vector is not None:
                self._owner.publish(
                    Offered(
                        bid.key, bid.candidate, decided.opportunity, decided.vector, bid.bid_micros
                    )
                )

    def _answer_unlogged(self, pending: Pending) -> None:
        """Answer without the bids that could not be recorded; their money is free again."""
        request_id = pending.admitted.request.id
        self._kit.journal.unlogged(request_id)
        why = dict(pending.reasons)
        for decided in pending.decided:
            if decided.bid is not None:
                self._owner.publish(Released(decided.bid.key))
                why[decided.opportunity.imp_id] = reasons.LOG_UNAVAILABLE
        answer = encode_response(response_of(request_id, {}, why), pending.admitted.form)
        for header in pending.headers:
            self._server.reply(header, answer)
