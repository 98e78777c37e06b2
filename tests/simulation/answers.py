"""Every request and every notice is answered exactly once, in time, and again with the same words.

Principle: looked at where the node meets the outside: what a server link takes and what it answers.
A gateway that dies takes what it has in hand along; one that lives owes an answer to each delivery.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.decision import reasons
from actors.events.desk import LEDGER_WAIT_S, TICK_S
from actors.gateway.actor import GUARD_S

if TYPE_CHECKING:
    from tests.simulation.machine import Process
    from tests.simulation.network import Server
    from tests.simulation.world import World
    from transport.frames import Received

SLACK_S = GUARD_S + 0.0005
"""Deadlines that lie closer together than the guard are looked at together."""
SWEEP_S = 0.25
NOT_FOR_EVER = (reasons.OVERLOADED, reasons.INSUFFICIENT_TIME, reasons.LOG_UNAVAILABLE)
"""Reasons that hold for a moment only: the next delivery may get another answer."""


class Owed(NamedTuple):
    """A delivery without an answer yet."""

    body: bytes
    taken_s: float
    within_s: float


class Desk:
    """One server link of a bidder, gateway or event desk: what it took, owes and has said."""

    def __init__(self, process: Process, *, takes_bids: bool) -> None:
        self.process = process
        self.takes_bids = takes_bids
        self.owed: dict[bytes, list[Owed]] = {}
        self.said: dict[bytes, bytes] = {}


class Answers:
    """Watches all server links of all bidders.

    Args:
        world: With the node.

    Attributes:
        count: Answers to bid requests so far.
        bids: Keys of all bids that left.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._desks: dict[Server, Desk] = {}
        self._ports = [f":{port}" for port in world.settings.gateway_ports]
        self.count = 0
        self.bids: dict[str, None] = {}
        world.born.append(self._watch)
        world.machine.after(SWEEP_S, self._sweep)

    def _watch(self, process: Process) -> None:
        if process.spec.id.startswith("bidder-"):
            process.links.taken = self._taken
            process.links.answered = self._answered

    def _desk(self, server: Server) -> Desk:
        desk = self._desks.get(server)
        if desk is None:
            process = server.links.owner
            assert process is not None
            takes_bids = any(url.endswith(tuple(self._ports)) for url in server.urls)
            desk = self._desks[server] = Desk(process, takes_bids=takes_bids)
        return desk

    def _taken(self, server: Server, received: Received) -> None:
        desk = self._desk(server)
        within_s = _time_for(received.body) if desk.takes_bids else LEDGER_WAIT_S + TICK_S
        owed = Owed(received.body, self._world.machine.clock(), within_s + SLACK_S)
        desk.owed.setdefault(received.header, []).append(owed)

    def _answered(self, server: Server, header: bytes, answer: bytes) -> None:
        desk = self._desk(server)
        waiting = desk.owed.get(header)
        if not waiting:
            self._blame("answered_once", f"{desk.process.path} answers what it does not owe")
            return
        owed = waiting.pop(0)
        if not waiting:
            del desk.owed[header]
        late_s = self._late_s(desk, owed)
        if late_s > 0:
            self._blame("in_time", f"{late_s * 1000:.1f} ms too late: {owed.body[:60]!r}")
        if desk.takes_bids:
            self.count += 1
            self._check(desk, owed.body, answer)

    def _late_s(self, desk: Desk, owed: Owed) -> float:
        now_s = self._world.machine.clock()
        lagged_s = desk.process.lagged_s(owed.taken_s, now_s) + desk.process.pace_s
        return now_s - owed.taken_s - owed.within_s - lagged_s

    def _check(self, desk: Desk, body: bytes, answer: bytes) -> None:
        told = read(answer)
        reason = told.get("ext", {}).get("reason", "")
        if reason not in NOT_FOR_EVER:
            before = desk.said.setdefault(body, answer)
            if before != answer:
                self._blame(
                    "same_answer", f"{body[:60]!r}: {before[:200]!r}, then {answer[:200]!r}"
                )
        bids = [bid for seat in told.get("seatbid", ()) for bid in seat["bid"]]
        if not bids and not isinstance(told.get("nbr"), int):
            self._blame("valid_answer", f"neither bid nor reason: {answer[:200]!r}")
        for bid in bids:
            self._check_bid(read(body), told, bid)

    def _check_bid(
        self, request: dict[str, Any], told: dict[str, Any], bid: dict[str, Any]
    ) -> None:
        self.bids[bid["id"]] = None
        imp = next((imp for imp in request["imp"] if imp["id"] == bid["impid"]), None)
        cap_cpm = self._world.settings.money.price_cap_micros / 1000
        right = (
            imp is not None
            and told["id"] == request["id"]
            and imp.get("bidfloor", 0.0) <= bid["price"] <= cap_cpm
        )
        if not right:
            self._blame("valid_answer", f"{bid} for {imp}")

    def _sweep(self) -> None:
        """Find what should have been answered by now, and forget links that are gone."""
        self._world.machine.after(SWEEP_S, self._sweep)
        for server, desk in list(self._desks.items()):
            if server.is_closed:
                del self._desks[server]
            elif not desk.process.is_hung:
                self._find_forgotten(desk)

    def _find_forgotten(self, desk: Desk) -> None:
        for header, waiting in list(desk.owed.items()):
            if any(self._late_s(desk, owed) > SWEEP_S for owed in waiting):
                self._blame("answered", f"{desk.process.path} forgets {waiting[0].body[:60]!r}")
                del desk.owed[header]

    def owed(self) -> int:
        """Return how many deliveries to living links have no answer yet."""
        alive = (desk for server, desk in self._desks.items() if not server.is_closed)
        return sum(len(waiting) for desk in alive for waiting in desk.owed.values())

    def _blame(self, rule: str, what: str) -> None:
        self._world.history.blame(rule, what)


def read(body: bytes) -> dict[str, Any]:
    """Read JSON or MessagePack."""
    told: dict[str, Any] = json.loads(body) if body[:1] == b"{" else msgspec.msgpack.decode(body)
    return told


def _time_for(body: bytes) -> float:
    """Return how long a gateway may take for a request; what it can't read it answers at once."""
    try:
        tmax_ms = json.loads(body)["tmax"]
    except (ValueError, KeyError, TypeError):
        return 0.0
    margin_ms = 10
    return float(max(0, tmax_ms - margin_ms)) / 1000 + GUARD_S
