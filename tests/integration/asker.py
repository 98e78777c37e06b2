"""An exchange of one person: asks for bids and tells what became of them, one at a time."""

from __future__ import annotations

import itertools
import json
import select
import time
from typing import TYPE_CHECKING, Any

from config.campaigns import load_campaigns
from models.market import MarketSimulator
from transport.nng import NngClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.integration.node import Node

_RESEND_S = 1.0


class Line:
    """A connection that asks again until it is answered, as an nng REQ socket does."""

    def __init__(self, url: str) -> None:
        self._link = NngClient(4 << 20)
        self._link.dial(url)
        self._numbers = itertools.count(1)

    def ask(self, body: bytes, limit_s: float = 20.0) -> dict[str, Any]:
        """Return the answer to ``body``; fails when there is none within ``limit_s``."""
        number = next(self._numbers)
        begun_s, sent_s = time.monotonic(), float("-inf")
        while time.monotonic() - begun_s < limit_s:
            if self._link.take_changes() or time.monotonic() - sent_s > _RESEND_S:
                is_sent = self._link.send(number, body)
                sent_s = time.monotonic() if is_sent else float("-inf")
            select.select([self._link.fileno(), self._link.change_fileno()], [], [], 0.05)
            for reply in self._link.drain(64):
                if reply.request_id == number:
                    return dict(json.loads(reply.body))
        raise AssertionError(f"not answered within {limit_s} s: {body[:200]!r}")

    def close(self) -> None:
        self._link.close()


class Asker:
    """Asks the bidders of a node, by index, and keeps nothing to itself."""

    def __init__(self, node: Node, seed: int = 3) -> None:
        self._gateways = [Line(f"tcp://127.0.0.1:{node.port + i}") for i in range(node.bidders)]
        self._desks = [Line(f"tcp://127.0.0.1:{node.event_port + i}") for i in range(node.bidders)]
        self._requests: Iterator[Mapping[str, Any]] = iter(
            MarketSimulator(seed, load_campaigns(None)).requests()
        )
        self._name = f"{time.monotonic_ns():x}"
        self._numbers = itertools.count(1)

    def ask(self, bidder: int = 0, *, as_stranger: bool = False) -> dict[str, Any]:
        """Return the answer to a fresh request that wants to be told the story."""
        name = f"{self._name}-{next(self._numbers)}"
        request = dict(next(self._requests)) | {
            "id": name,
            "ext": {"bidwright": {"explain": 1}},
        }
        if as_stranger:  # whose profile no bidder can have made before
            request["user"] = {"id": name}
        return self._gateways[bidder].ask(json.dumps(request).encode())

    def outcome(self, bidder: int = 0) -> str:
        """Return ``bid``, or why there is none."""
        answer = self.ask(bidder)
        return "bid" if answer.get("seatbid") else str(answer["ext"]["reason"])

    def bids(self, number: int, bidder: int = 0) -> list[dict[str, Any]]:
        """Return so many bids; fails when they are not to be had."""
        found: list[dict[str, Any]] = []
        for _ in range(20 * number + 20):
            for seat in self.ask(bidder).get("seatbid", ()):
                found += seat["bid"]
            if len(found) >= number:
                return found[:number]
        raise AssertionError(f"{len(found)} bids, not {number}")

    def tell(self, kind: str, key: str, bidder: int = 0, **facts: Any) -> dict[str, Any]:
        """Tell an event until it is not refused for want of the ledger; return the answer."""
        body = json.dumps({"type": kind, "key": key} | facts).encode()
        begun_s = time.monotonic()
        while True:
            answer = self._desks[bidder].ask(body)
            is_again = str(answer.get("error") or "").startswith("ledger_unavailable")
            if not is_again or time.monotonic() - begun_s > 20.0:
                return answer

    def win(self, bid: Mapping[str, Any], bidder: int = 0) -> dict[str, Any]:
        """Tell that a bid was won at half its price, then bill it; return the bill's answer."""
        price_cpm = bid["price"] / 2
        assert self.tell("win", bid["id"], bidder, price_cpm=price_cpm)["ok"]
        return self.bill(bid, bidder)

    def bill(self, bid: Mapping[str, Any], bidder: int = 0) -> dict[str, Any]:
        """Bill a bid at half its price, as an exchange does when the ad is shown."""
        return self.tell("billing", bid["id"], bidder, price_cpm=bid["price"] / 2)

    def close(self) -> None:
        for line in (*self._gateways, *self._desks):
            line.close()


def steps_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return how each step of an explained answer was answered: live, retried or fallback."""
    impressions = answer["ext"]["bidwright"]["impressions"]
    return {step["step"]: step["kind"] for told in impressions for step in told["steps"]}
