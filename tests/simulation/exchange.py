"""The exchanges: they ask, wait, ask again, hold auctions, and tell what became of bids.

Principle: an exchange behaves as an nng REQ socket and an ad server together do. A request without
an answer is sent again, elsewhere if there is elsewhere; a notice without a confirmation likewise.
What it was told and what it told others is written down, and is the truth that the checkers hold
the node to.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.addresses import dial_url
from tests.simulation.answers import read
from tests.simulation.network import ProcessLinks
from tests.simulation.world import SECRET, traffic
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.network import Client
    from tests.simulation.plan import ExchangePlan
    from tests.simulation.world import World

LOOK_S = 0.02
"""How often an exchange looks at what came and what did not."""
IDLE_S = 0.25
"""And how often when nothing is missing."""
NOTICE_RESEND_S = 0.4
SHOWN = 0.95
"""Share of the ads that won which are shown, and billed."""
GARBAGE = (b"", b"{", b"\x81\xa1", b"[]", b'{"id":"x"}', b'{"id":"x","imp":[{"id":7}]}')


@dataclass
class Ask:
    """One request and what came of it."""

    number: int
    body: bytes
    tmax_s: float
    lane: int
    first_s: float
    sent_s: float
    answer: dict[str, Any] | None = None
    answered_s: float = 0.0


@dataclass
class Offer:
    """One bid that an exchange took into an auction.

    Attributes:
        valid_s: Until then a win must be paid in full.
        is_open: Nobody has told us that it lost.
    """

    key: str
    token: str
    campaign_id: str
    lease_id: str
    bid_micros: int
    valid_s: float
    is_open: bool = True


@dataclass
class Notice:
    """One event that has to be confirmed."""

    number: int
    body: bytes
    offer: Offer | None
    moves_money: bool
    lane: int
    sent_s: float = -1.0
    confirmed: bool = False
    tries: int = 0


class Exchange:
    """Everybody outside the node.

    Args:
        world: With the node.
        plan: How exchanges behave.

    Attributes:
        asks: All requests, by number.
        offers: All bids that took part in an auction, by their key.
        notices: All events, by number.
        prices: What the ledger may have booked for each key: the prices billed.
        paid: Called with the key of each bid whose price was confirmed.
    """

    def __init__(self, world: World, plan: ExchangePlan) -> None:
        self._world = world
        self._machine = world.machine
        self._plan = plan
        self._rng = random.Random(f"{world.plan.seed}/exchange")
        self._links = ProcessLinks(None, world.machine.network, "exchange")
        settings = world.settings
        host = settings.gateway.host
        self._bids = [self._dial(dial_url(host, port)) for port in settings.gateway_ports]
        self._events = [self._dial(dial_url(host, port)) for port in settings.event_ports]
        self.asks: dict[int, Ask] = {}
        self.offers: dict[str, Offer] = {}
        self.notices: dict[int, Notice] = {}
        self.prices: dict[str, set[int]] = {}
        self.paid: Callable[[str], object] = str
        self._forged: set[int] = set()
        self._open_asks: dict[int, Ask] = {}
        self._open_notices: dict[int, Notice] = {}
        self._to_come = 0
        self._number = 0

    def _dial(self, url: str) -> Client:
        client = self._links.client()
        client.dial(url)
        return client

    # --- asking --------------------------------------------------------------------------------

    def begin(self, for_s: float) -> None:
        """Spread the requests over the time given, and look at answers from now on."""
        left = self._plan.requests
        while left > 0:
            at_s = self._rng.uniform(0.0, for_s)
            for _ in range(min(left, self._rng.randint(1, self._plan.burst))):
                self._machine.after(at_s, self._send_new)
                left -= 1
        self._machine.after(LOOK_S, self._look)

    def ask_slowly(self, count: int) -> list[Ask]:
        """Send some more requests, one after the other, all of them good; return them later."""
        asked: list[Ask] = []
        for number in range(count):
            self._machine.after(number * 0.05, lambda: asked.append(self._send_good(100)))
        return asked

    def _send_new(self) -> None:
        if self._rng.random() < self._plan.garbage:
            self._send_first(self._rng.choice(GARBAGE), 0.0)
            return
        ask = self._send_good(self._rng.choice((60, 100, 100, 250, 12)))
        if self._rng.random() < self._plan.eager:
            self._send(ask)

    def _send_good(self, tmax_ms: int) -> Ask:
        request = json.loads(self._rng.choice(traffic()))
        request["id"] = f"r{self._number + 1}"
        request["tmax"] = tmax_ms
        return self._send_first(json.dumps(request).encode(), tmax_ms / 1000)

    def _send_first(self, body: bytes, tmax_s: float) -> Ask:
        self._number += 1
        number, now_s = self._number, self._machine.clock()
        ask = Ask(number, body, tmax_s, number % len(self._bids), now_s, now_s)
        self.asks[number] = self._open_asks[number] = ask
        self._send(ask)
        return ask

    def _send(self, ask: Ask) -> None:
        """Send to the next bidder that is connected; without one, look again later."""
        ask.sent_s = self._machine.clock()
        for _ in self._bids:
            ask.lane = (ask.lane + 1) % len(self._bids)
            if self._bids[ask.lane].send(ask.number, ask.body):
                return

    def _send_there(self, ask: Ask) -> None:
        self._bids[ask.lane].send(ask.number, ask.body)

    def _look(self) -> None:
        """Take answers and confirmations; send again what has none."""
        self._machine.after(LOOK_S if self.is_waiting else IDLE_S, self._look)
        now_s = self._machine.clock()
        for lane, client in enumerate(self._bids):
            self._look_at(lane, client)
        for ask in list(self._open_asks.values()):
            if now_s - ask.sent_s >= self._plan.resend_s:
                self._send(ask)
        for client in self._events:
            for reply in client.drain(1_000):
                self._confirmed(reply.request_id, reply.body)
            client.take_changes()
        for notice in list(self._open_notices.values()):
            if now_s - notice.sent_s >= NOTICE_RESEND_S:
                self._tell(notice)

    def _look_at(self, lane: int, client: Client) -> None:
        """Take the answers of one bidder; after a new connection ask it everything again."""
        for reply in client.drain(1_000):
            self._answered(reply.request_id, reply.body)
        if client.take_changes() and client.connected:
            for ask in [each for each in self._open_asks.values() if each.lane == lane]:
                client.send(ask.number, ask.body)

    def _answered(self, number: int, body: bytes) -> None:
        ask = self._open_asks.pop(number, None)
        if ask is None:
            return  # answered already: this is the answer to another sending
        ask.answer = read(body)
        ask.answered_s = self._machine.clock()
        if self._rng.random() < self._plan.eager:  # its answer was lost on the way
            self._machine.after(0.5 * self._rng.random(), lambda: self._send_there(ask))
        in_time = ask.answered_s - ask.sent_s <= ask.tmax_s and ask.sent_s == ask.first_s
        for seat in ask.answer.get("seatbid", ()):
            for bid in seat["bid"]:
                self._hold_auction(ask, bid, in_time=in_time)

    # --- auctions ------------------------------------------------------------------------------

    def _hold_auction(self, ask: Ask, bid: dict[str, Any], *, in_time: bool) -> None:
        rng, plan = self._rng, self._plan
        draws = [rng.random() for _ in range(6)]
        name = NoticeKey.decode(SECRET, bid["id"])
        if not in_time:
            return  # too late for the auction; nobody tells us so
        valid_s = ask.first_s + self._world.plan.win_window_s
        offer = Offer(
            name.key, bid["id"], name.campaign_id, name.lease_id, name.bid_micros, valid_s
        )
        self.offers[name.key] = offer
        if draws[0] < plan.silent:
            return
        lag_s = draws[1] * plan.lag_s
        if draws[2] < plan.win_share:
            micros = round(offer.bid_micros * (0.4 + 0.6 * draws[3]))
            if draws[4] < plan.rude:
                micros = offer.bid_micros * 3
            self._wins(offer, micros, lag_s)
        else:
            self._notice({"type": "loss", "loss_code": 102}, offer, lag_s)
            if draws[4] < plan.contrary:
                self._wins(offer, offer.bid_micros, lag_s + 0.3 * draws[5])

    def _wins(self, offer: Offer, micros: int, lag_s: float) -> None:
        rng = self._rng
        price = {"price_cpm": micros / 1000}
        self._notice({"type": "win", **price}, offer, lag_s)
        draw = rng.random()
        if draw < SHOWN:
            wait_s = rng.random() * 0.2 if draw < 0.5 else 0.0
            self._notice({"type": "billing", **price}, offer, lag_s + wait_s)
        if rng.random() < 0.7:
            self._notice({"type": "impression"}, offer, lag_s + rng.random() * 0.2)
        for kind in ("click", "conversion"):
            if rng.random() < 0.2:
                self._notice({"type": kind}, offer, lag_s + rng.random())

    # --- notices -------------------------------------------------------------------------------

    def _notice(self, event: dict[str, Any], offer: Offer, lag_s: float) -> None:
        self._to_come += 1
        self._machine.after(lag_s, lambda: self._first(event, offer))

    def _first(self, event: dict[str, Any], offer: Offer) -> None:
        self._to_come -= 1
        self._number += 1
        body = json.dumps({"key": offer.token, **event}).encode()
        moves = event["type"] == "billing"
        lane = self._rng.randrange(len(self._events))
        notice = Notice(self._number, body, offer, moves, lane)
        if moves:
            micros = min(round(event["price_cpm"] * 1000), offer.bid_micros)
            self.prices.setdefault(offer.key, set()).add(micros)
        elif event["type"] == "loss":
            offer.is_open = False
        self.notices[notice.number] = self._open_notices[notice.number] = notice
        self._tell(notice)
        if self._rng.random() < self._plan.forged:
            self._forge(offer, lane)

    def _forge(self, offer: Offer, lane: int) -> None:
        """Bill what we never signed; it must be refused."""
        self._number += 1
        token = self._rng.choice((f"x{offer.token}", offer.token[:-1], "", "no.token"))
        body = json.dumps({"key": token, "type": "billing", "price_cpm": 1e4}).encode()
        self._forged.add(self._number)
        self._events[lane].send(self._number, body)

    def _tell(self, notice: Notice) -> None:
        notice.sent_s = self._machine.clock()
        notice.tries += 1
        for _ in self._events:
            notice.lane = (notice.lane + 1) % len(self._events)
            if self._events[notice.lane].send(notice.number, notice.body):
                return

    def _confirmed(self, number: int, body: bytes) -> None:
        ack = json.loads(body)
        if number in self._forged:
            if ack["ok"]:
                self._world.history.blame("notices", f"{ack} to a forged notice")
            return
        notice = self._open_notices.get(number)
        if not ack["ok"]:
            if "ledger_unavailable" not in (ack.get("error") or ""):
                self._world.history.blame("notices", f"{ack} to {self.notices[number].body!r}")
            return
        known = self.notices[number]
        known.confirmed = True
        if known.moves_money and known.offer is not None:
            self.paid(known.offer.key)
        if notice is not None:
            if self._rng.random() < self._plan.repeats:
                return  # its confirmation is overheard: it is sent again
            del self._open_notices[number]

    # --- how it stands -------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether anything is not answered or confirmed yet, or still to be told."""
        return bool(self._open_asks or self._open_notices or self._to_come)

    def waiting(self) -> str:
        """Say what is missing."""
        asks, notices = sorted(self._open_asks), sorted(self._open_notices)
        return f"requests {asks[:5]} of {len(asks)}, notices {notices[:5]} of {len(notices)}"

    def close(self) -> None:
        """Hang up."""
        self._links.close()
