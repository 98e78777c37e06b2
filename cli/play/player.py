"""Play the exchange against a node: ask, hold auctions, tell what came of them, count it all."""

from __future__ import annotations

import selectors
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cli.play.answers import read_answer
from cli.play.exchange import hold_auctions
from cli.play.summary import Tally
from transport.messages import EventAck, encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cli.play.channel import Answer, Channel
    from cli.play.exchange import Market
    from cli.play.schedule import Schedule
    from cli.play.traffic import Ask

_NAP_S = 0.02
_MOST_EVENTS = 4096
_SEND_BURST = 128
_MS = 1000
_NOT_BOOKED = "ledger_unavailable"
_AGAIN_S = 0.1
_EVENT_PATIENCE_S = 10.0

_read_ack = msgspec.msgpack.Decoder(EventAck).decode


class Limits(NamedTuple):
    """When a run ends.

    Attributes:
        duration_s: No request is sent after this time.
        most: No more than so many requests are sent; None for no bound.
    """

    duration_s: float
    most: int | None = None


class _Pending(NamedTuple):
    ask: Ask
    due_s: float


class _Notice(NamedTuple):
    """An event until the node says that it is booked."""

    body: bytes
    born_s: float


class _Again(NamedTuple):
    """An event that the node asked to send again, and when."""

    notice: _Notice
    due_s: float
    lane: int


@dataclass(slots=True)
class Player:
    """One run of the exchange.

    Attributes:
        requests: Channel to the gateways.
        events: Channel to the event sockets, with the same lanes; None tells nobody.
        traffic: The requests.
        market: Decides the auctions.
        schedule: When requests are due.
        limits: When the run ends.
        clock: Monotonic seconds.
        wall: Unix time in seconds, for the events.
        tally: What was counted so far.
        nap_s: Longest wait for an answer before the clock is looked at again.
    """

    requests: Channel
    events: Channel | None
    traffic: Iterator[Ask]
    market: Market
    schedule: Schedule
    limits: Limits
    clock: Callable[[], float]
    wall: Callable[[], float]
    tally: Tally = field(default_factory=Tally)
    nap_s: float = _NAP_S
    _started_s: float = 0.0
    _exhausted: bool = False
    _again: deque[_Again] = field(default_factory=deque)

    def run(self, on_progress: Callable[[float, Tally], None]) -> float:
        """Play until the limits are reached and every answer has come or been given up.

        Args:
            on_progress: Called now and then with the seconds played so far.

        Returns:
            Seconds from the start to the last answer to a request.
        """
        self._started_s = self.clock()
        last_answer_s = 0.0
        with selectors.SelectSelector() as selector:
            self._register(selector)
            while not self._finished():
                self._send(self._now())
                selector.select(self._nap(self._now()))
                if self._take_answers():
                    last_answer_s = self._now()
                self._take_acks()
                on_progress(self._now(), self.tally)
        self.tally.resent = self.requests.resent
        return last_answer_s or self._now()

    def stop(self) -> None:
        """Ask nothing more; the run ends when what is under way has been answered or given up."""
        self._exhausted = True

    def _register(self, selector: selectors.BaseSelector) -> None:
        for channel in (self.requests, self.events):
            if channel is not None:
                for descriptor in channel.descriptors():
                    selector.register(descriptor, selectors.EVENT_READ)

    def _now(self) -> float:
        return self.clock() - self._started_s

    def _asking(self, now_s: float) -> bool:
        most = self.limits.most
        enough = most is not None and self.tally.sent >= most
        return not (self._exhausted or enough or now_s >= self.limits.duration_s)

    def _finished(self) -> bool:
        if self._asking(self._now()) or self.requests:
            return False
        return not self.events and not self._again

    def _nap(self, now_s: float) -> float:
        if not self._asking(now_s):
            return self.nap_s
        return min(max(self.schedule.next_s(self.tally.sent) - now_s, 0.0), self.nap_s)

    def _send(self, now_s: float) -> None:
        if self.events is not None and len(self.events) >= _MOST_EVENTS:
            return
        due = self.schedule.due(now_s, self.tally.sent, len(self.requests))
        for _ in range(min(due, _SEND_BURST)):
            if not self._asking(now_s):
                return
            ask = next(self.traffic, None)
            if ask is None:
                self._exhausted = True
                return
            pending = _Pending(ask, self.schedule.due_s(self.tally.sent, now_s))
            self.tally.sent += 1
            self.requests.submit(pending, ask.body, now_s)

    def _take_answers(self) -> bool:
        answers = self.requests.poll(self._now())
        for answer in answers:
            self._take(answer)
        return bool(answers)

    def _take(self, answer: Answer) -> None:
        pending: _Pending = answer.tag
        if answer.body is None:
            self.tally.unanswered += 1
            return
        took_ms = (self._now() - pending.due_s) * _MS
        self.tally.answered += 1
        self.tally.latencies_ms.append(took_ms)
        self.tally.late += took_ms > pending.ask.tmax_ms
        reading = read_answer(pending.ask.request, answer.body)
        if reading.fault:
            self.tally.faults[reading.fault] += 1
        elif reading.bids:
            self.tally.with_bid += 1
            self.tally.bids += len(reading.bids)
        else:
            self.tally.no_bids[reading.reason] += 1
        count_fallbacks(reading.explanation, self.tally)
        if reading.bids:
            happened = hold_auctions(
                self.market, pending.ask, reading.bids, self.tally, self.wall()
            )
            self._tell([encode_event(event) for event in happened], answer.lane)

    def _tell(self, bodies: list[bytes], lane: int) -> None:
        if self.events is None:
            return
        now_s = self._now()
        for body in bodies:
            self.tally.events_sent += 1
            self.events.submit(_Notice(body, now_s), body, now_s, lane)

    def _take_acks(self) -> None:
        if self.events is None:
            return
        now_s = self._now()
        while self._again and self._again[0].due_s <= now_s:
            notice, due_s, lane = self._again.popleft()
            self.events.submit(notice, notice.body, due_s, lane)
        for answer in self.events.poll(now_s):
            error = ack_error(answer.body)
            notice = answer.tag
            if not error:
                self.tally.events_acknowledged += 1
            elif error.startswith(_NOT_BOOKED) and now_s < notice.born_s + _EVENT_PATIENCE_S:
                self.tally.events_repeated += 1
                self._again.append(_Again(notice, now_s + _AGAIN_S, answer.lane))
            else:
                self.tally.event_errors[error] += 1


def ack_error(body: bytes | None) -> str:
    """Return what is wrong with the answer to an event, "" when nothing is."""
    if body is None:
        return "no answer"
    try:
        ack = _read_ack(body)
    except msgspec.DecodeError:
        return "unreadable answer"
    return "" if ack.ok else ack.error or "refused"


def count_fallbacks(explanation: Mapping[str, Any], tally: Tally) -> None:
    """Count the fallbacks in the explanation of one answer; nothing when there is none."""
    steps = [step for step in explained_steps(explanation) if step.get("kind") == "fallback"]
    if explanation:
        tally.explained += 1
        tally.with_fallback += bool(steps)
    for step in steps:
        tally.fallback_steps[str(step.get("step", "?"))] += 1


def explained_steps(explanation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps in an explanation, of all its impressions."""
    impressions = explanation.get("impressions")
    holders = impressions if isinstance(impressions, list) else [explanation]
    for holder in holders:
        steps = holder.get("steps") if isinstance(holder, dict) else None
        yield from (step for step in steps or () if isinstance(step, dict))
