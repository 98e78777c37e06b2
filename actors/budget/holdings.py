"""What a bidder holds: leases, and per campaign a line of them with what it can spend now.

Principle: most questions change nothing. A line therefore keeps the largest free amount of its
leases, and the moment until which neither that nor the need for a new lease can change by time
alone; whatever changes by an event is worked out anew at the next question. All amounts are integer
micros of USD per impression, all times seconds on the bidder's clock.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from actors.budget.sizing import Demand
from transport.money import LeaseReturn

if TYPE_CHECKING:
    from transport.money import LeaseRequest

RefuseReason = Literal["no_lease", "lease_spent", "budget_exhausted", "key_used"]

#: No unanswered message waits longer than this before it is sent again.
MAX_WAIT_S: Final = 10.0

_LONG_AGO_S: Final = float("-inf")
_NEVER_S: Final = float("inf")


@dataclass(slots=True)
class Patience:
    """When to send something again that was not answered: after longer and longer waits."""

    due_s: float = _LONG_AGO_S
    wait_s: float = 0.0

    def begin(self, now_s: float, first_wait_s: float) -> None:
        """Note that it was sent for the first time."""
        self.wait_s = first_wait_s
        self.due_s = now_s + first_wait_s

    def is_over(self, now_s: float) -> bool:
        """Whether to send it again now; if so, the next wait is twice as long."""
        if now_s < self.due_s:
            return False
        self.wait_s = min(2 * self.wait_s, MAX_WAIT_S)
        self.due_s = now_s + self.wait_s
        return True


@dataclass(slots=True)
class HeldLease:
    """A lease as its holder sees it.

    ``free_micros`` may be reserved until ``ends_s``; ``reserved`` is blocked, by key, until
    ``closes_s``. Invariant: ``free + sum(reserved) + returned + settled <= granted``.
    """

    lease_id: str
    campaign_id: str
    granted_micros: int
    ends_s: float
    closes_s: float
    free_micros: int
    reserved: dict[str, int] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    settled_micros: int = 0
    returned_micros: int = 0
    returned_known_micros: int = 0
    patience: Patience = field(default_factory=Patience)

    @property
    def held_micros(self) -> int:
        """What this bidder may still spend or has promised: free and reserved."""
        return self.free_micros + sum(self.reserved.values())

    def is_over(self, now_s: float) -> bool:
        """Whether nothing can come of it any more, given that it has ended."""
        if now_s >= self.closes_s:
            return True
        return not self.reserved and not self.is_return_open

    def settle(self, key: str, price_micros: int) -> None:
        """Book a price of a reservation; the rest is free. Of a released one: of what is free."""
        self.settled_micros += price_micros
        self.released.discard(key)
        free_micros = self.free_micros + self.reserved.pop(key, 0) - price_micros
        self.free_micros = max(0, free_micros)

    def release(self, key: str) -> None:
        """Free a reservation, and remember that it was."""
        self.free_micros += self.reserved.pop(key)
        self.released.add(key)

    def give_back(self, now_s: float, resend_s: float) -> LeaseReturn | None:
        """Return what is to be said of the free money of an ended lease, None for nothing now."""
        self.returned_micros += self.free_micros
        if self.free_micros > 0:
            self.free_micros = 0
            self.patience.begin(now_s, resend_s)
        elif not self.is_return_open or not self.patience.is_over(now_s):
            return None
        return LeaseReturn(self.lease_id, self.returned_micros)

    @property
    def is_return_open(self) -> bool:
        """Whether the ledger has not said yet that it has all that was given back."""
        return self.returned_micros > self.returned_known_micros

    def twin(self) -> HeldLease:
        """Return one that is equal and goes its own way."""
        twin = copy.copy(self)
        twin.reserved, twin.released = self.reserved.copy(), self.released.copy()
        twin.patience = copy.copy(self.patience)
        return twin


@dataclass(slots=True)
class Line:
    """One campaign's leases, and the one request that may be on its way.

    ``live`` leases stand in the order of their ends, because there is one request at a time;
    ``closing`` ones have ended and wait for their reservations and returns.

    Invariant: before ``look_s`` no lease ends, none becomes wanted, and ``best_micros`` is the
    largest free amount of a live one. Whoever changes what that rests on calls ``look_soon``.
    """

    campaign_id: str
    size_micros: int
    live: deque[HeldLease] = field(default_factory=deque)
    closing: list[HeldLease] = field(default_factory=list)
    asked_s: float = _LONG_AGO_S
    request: LeaseRequest | None = None
    sent_s: float = 0.0
    patience: Patience = field(default_factory=Patience)
    denied_until_s: float = _LONG_AGO_S
    exhausted: bool = False
    demand: Demand = field(default_factory=Demand)
    best_micros: int = 0
    look_s: float = _LONG_AGO_S

    def look_soon(self) -> None:
        """Note that something has changed: what is kept must not be believed any more."""
        self.look_s = _LONG_AGO_S

    def twin(self) -> Line:
        """Return one that is equal and goes its own way."""
        twin = copy.copy(self)
        twin.live = deque(lease.twin() for lease in self.live)
        twin.closing = [lease.twin() for lease in self.closing]
        twin.patience, twin.demand = copy.copy(self.patience), copy.copy(self.demand)
        return twin

    def why_refused(self) -> RefuseReason:
        """Return why there is no money for a bid."""
        if self.live:
            return "lease_spent"
        return "budget_exhausted" if self.exhausted else "no_lease"

    def end_leases(self, now_s: float) -> None:
        """Let nothing be spent any more from leases whose end has come."""
        while self.live and self.live[0].ends_s <= now_s:
            self.closing.append(self.live.popleft())
            self.look_soon()

    def let_go(self, now_s: float) -> None:
        """End all leases now, before their time."""
        for lease in self.live:
            lease.ends_s = min(lease.ends_s, now_s)
        self.end_leases(now_s)

    def keep(self, now_s: float, renew_s: float) -> int:
        """Keep what holds now and until when, after ``end_leases``.

        Args:
            now_s: The present moment.
            renew_s: Free money does not count as ready for so long before its lease's end.

        Returns:
            The free money that is ready, in micros.
        """
        ready = best = 0
        look_s = self.denied_until_s if self.denied_until_s > now_s else _NEVER_S
        for lease in self.live:
            change_s = lease.ends_s - renew_s
            if now_s < change_s:
                ready += lease.free_micros
            else:
                change_s = lease.ends_s
            best = max(best, lease.free_micros)
            look_s = min(look_s, change_s)
        self.best_micros, self.look_s = best, look_s
        return ready


class WalletState(NamedTuple):
    """All that a wallet holds at one moment."""

    incarnation: str
    request_count: int
    expired: int
    lines: tuple[Line, ...]
