"""The bidder's half of the money rules: what may be reserved from the leases it holds.

Principle: never promise money that someone else may be promised too. A lease's life is counted
from the moment its request was *sent*, so it ends here before the ledger's own count does, however
slow the road was. A reservation stays until the ledger booked its win, or its loss is known, or
the lease closes (its end plus the win window, again counted from the sending); what a reservation
gives back can be reserved again while the lease lives, and goes home to the ledger afterwards.

No I/O and no clock in here: every call that needs the time is told it, and what is to be sent to
the ledger is collected by ``take_requests``. So what a wallet holds follows from the calls that it
has noted, each before it did anything: see ``actors.budget.journal``. All amounts are integer
micros of USD per impression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from actors.budget.holdings import HeldLease, Line, RefuseReason, WalletState
from actors.budget.sizing import LeaseSizes
from transport.money import LeaseDenied, LeaseGranted, LeaseRequest, LeaseReturn, LeaseReturned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: So many tuples of campaign ids are known with their lines; then it begins anew.
MAX_GROUPS: Final = 4096


class WalletTerms(msgspec.Struct, frozen=True):
    """How a bidder manages its leases.

    Attributes:
        lease_s: Expected life of a lease; grants say the real one.
        lease_micros: Size of the first lease of a campaign, of whose spend nothing is known.
        max_lease_micros: Largest lease asked for.
        least_micros: Smallest lease asked for, where little is spent; 0 is ``lease_micros``.
        low_share: A new lease is asked for when less than this share of the last one is spendable.
        renew_share: For that decision, money counts only while more than this share of its lease's
            life is left.
        keep_s: A campaign that nobody asked about for this time gets no new lease, and what it has
            goes home.
        resend_s: An unanswered request or return is sent again after this time, then after twice
            this time, and so on.
    """

    lease_s: float = 5.0
    lease_micros: int = 2_000_000
    max_lease_micros: int = 32_000_000
    least_micros: int = 0
    low_share: float = 0.5
    renew_share: float = 0.3
    keep_s: float = 5.0
    resend_s: float = 0.5

    @property
    def sizes(self) -> LeaseSizes:
        """How large leases are."""
        least_micros = self.least_micros or self.lease_micros
        return LeaseSizes(self.lease_s, least_micros, self.max_lease_micros)


class Reservation(NamedTuple):
    """Whether money was set aside; ``reason`` is "" when it was."""

    ok: bool
    lease_id: str = ""
    reason: RefuseReason | Literal[""] = ""


class Wallet:
    """All leases of one bidder.

    Args:
        terms: How to manage leases.
        bidder: The bidder's name.
        incarnation: Unique for this wallet: one that knows nothing of what the one before had
            promised must never be given that one's leases.
        note: Called with each call that may change what is held, by name and arguments, before
            anything is changed.
    """

    def __init__(
        self,
        terms: WalletTerms,
        bidder: str,
        incarnation: str,
        note: Callable[..., None] | None = None,
    ) -> None:
        self.terms = terms
        self.expired = 0
        self.note = note or _unnoted
        self._bidder = bidder
        self._incarnation = incarnation
        self._prefix = f"{bidder}:{incarnation}:"
        self._request_count = 0
        self._renew_s = terms.renew_share * terms.lease_s
        self._sizes = terms.sizes
        self._lines: dict[str, Line] = {}
        self._groups: dict[tuple[str, ...], list[Line]] = {}
        self._by_key: dict[str, HeldLease] = {}
        self._released: dict[str, HeldLease] = {}
        self._leases: dict[str, HeldLease] = {}
        self._outbox: list[LeaseRequest | LeaseReturn] = []

    # --- what agents ask --------------------------------------------------------------------

    def spendable(self, campaign_ids: Iterable[str], now_s: float) -> dict[str, int]:
        """Return what one impression of each campaign may cost at most, in micros.

        Asks the ledger for more where money runs low; campaigns without money are left out.
        """
        found = {}
        for line in self._lines_of(campaign_ids):
            line.asked_s = now_s
            if now_s >= line.look_s:
                self.look(line.campaign_id, now_s)
            if line.best_micros:
                found[line.campaign_id] = line.best_micros
        return found

    def is_waiting(self, campaign_ids: Iterable[str], now_s: float) -> bool:
        """Whether a lease of any of these campaigns may come soon.

        One that was asked for longer ago than ``resend_s`` is nothing to wait for.
        """
        since_s = now_s - self.terms.resend_s
        return any(sent_s > since_s for sent_s in self._sent(campaign_ids))

    def is_unheard(self, campaign_ids: Iterable[str], now_s: float) -> bool:
        """Whether the ledger has left a request for any of these campaigns without an answer.

        One that was asked for less long ago than ``resend_s`` may still be answered.
        """
        until_s = now_s - self.terms.resend_s
        return any(sent_s <= until_s for sent_s in self._sent(campaign_ids))

    def reserve(self, key: str, campaign_id: str, micros: int, now_s: float) -> Reservation:
        """Set ``micros`` aside for the bid ``key``; the same key again is the same reservation."""
        known = self._by_key.get(key)
        if known is not None and known.reserved[key] == micros:
            return Reservation(True, known.lease_id)
        if known is not None or key in self._released:
            return Reservation(ok=False, reason="key_used")
        self.note("reserve", key, campaign_id, micros, now_s)
        line = self._line(campaign_id)
        line.asked_s = now_s
        line.end_leases(now_s)
        for lease in line.live:
            if lease.free_micros >= micros:
                lease.free_micros -= micros
                lease.reserved[key] = micros
                self._by_key[key] = lease
                line.demand.taken_micros += micros
                line.look_soon()
                return Reservation(True, lease.lease_id)
        self._look(line, now_s)
        return Reservation(ok=False, reason=line.why_refused())

    # --- what happened to bids --------------------------------------------------------------

    def settled(self, key: str, price_micros: int) -> None:
        """The ledger has charged ``price_micros`` for ``key``; the rest is free again."""
        lease = self._by_key.get(key) or self._released.get(key)
        if lease is not None:
            # Or a win after its loss: the ledger took the price from its lease all the same.
            self.note("settled", key, price_micros)
            self._by_key.pop(key, None)
            self._released.pop(key, None)
            lease.settle(key, price_micros)
            self._lines[lease.campaign_id].look_soon()

    def released(self, key: str) -> None:
        """The bid ``key`` was lost; its money is free again."""
        lease = self._by_key.get(key)
        if lease is not None:
            self.note("released", key)
            self._released[key] = self._by_key.pop(key)
            lease.release(key)
            self._lines[lease.campaign_id].look_soon()

    # --- what the ledger says ---------------------------------------------------------------

    def granted(self, grant: LeaseGranted, now_s: float) -> None:
        """Take a lease in; one that nobody waits for any more is given back at once."""
        self.note("granted", grant, now_s)
        line = self._line(grant.campaign_id)
        if line.request is None or line.request.request_id != grant.request_id:
            self._refuse_stray(grant)
            return
        line.request = None
        line.exhausted = False
        line.size_micros = grant.micros
        lease = HeldLease(
            lease_id=grant.lease_id,
            campaign_id=grant.campaign_id,
            granted_micros=grant.micros,
            ends_s=line.sent_s + grant.lease_s,
            closes_s=line.sent_s + grant.lease_s + grant.win_window_s,
            free_micros=grant.micros,
        )
        self._leases[lease.lease_id] = lease
        line.live.append(lease)
        line.look_soon()
        line.end_leases(now_s)

    def denied(self, denial: LeaseDenied, now_s: float) -> None:
        """Hear that there is no money now, and when to ask again."""
        self.note("denied", denial, now_s)
        line = self._line(denial.campaign_id)
        if line.request is None or line.request.request_id != denial.request_id:
            return
        line.request = None
        line.exhausted = denial.reason == "exhausted"
        if denial.reason != "stale":
            line.denied_until_s = now_s + denial.retry_after_s
        line.look_soon()

    def returned(self, answer: LeaseReturned) -> None:
        """Hear that the ledger has taken a return in."""
        lease = self._leases.get(answer.lease_id)
        if lease is not None:
            self.note("returned", answer)
            known = max(lease.returned_known_micros, answer.returned_micros)
            lease.returned_known_micros = known

    def tick(self, now_s: float) -> None:
        """Do what is due: end, close, return, renew, send again. Call some times per second."""
        self.work_off(now_s)
        for line in self._lines.values():
            is_asked_for = now_s - line.asked_s < self.terms.keep_s
            if is_asked_for and now_s >= line.look_s:
                self.look(line.campaign_id, now_s)
            elif line.live and not is_asked_for:
                self.let_go(line.campaign_id, now_s)

    def work_off(self, now_s: float) -> None:
        """Do what is due whether anyone asks or not: end, close, return, send again."""
        self.note("work_off", now_s)
        for line in self._lines.values():
            line.end_leases(now_s)
            for lease in line.closing:
                self._give_back(lease, now_s)
            for lease in [lease for lease in line.closing if lease.is_over(now_s)]:
                line.closing.remove(lease)
                self._forget(lease)
            self._send_again(line, now_s)

    def look(self, campaign_id: str, now_s: float) -> None:
        """Bring a campaign up to date, and ask for a lease if money or time runs low."""
        self.note("look", campaign_id, now_s)
        self._look(self._line(campaign_id), now_s)

    def let_go(self, campaign_id: str, now_s: float) -> None:
        """End a campaign's leases before their time: nobody asks about it."""
        self.note("let_go", campaign_id, now_s)
        line = self._line(campaign_id)
        line.let_go(now_s)
        for lease in line.closing:
            self._give_back(lease, now_s)

    def road_lost(self, now_s: float) -> None:
        """Hear that whatever was on its way is lost: send it again soon, however often it was."""
        self.note("road_lost", now_s)
        for line in self._lines.values():
            if line.request is not None:
                line.patience.begin(now_s, self.terms.resend_s)
            for lease in line.closing:
                lease.patience.begin(now_s, self.terms.resend_s)

    def give_all_back(self, now_s: float) -> None:
        """End all leases now, for a polite stop: free money goes home, reservations stay."""
        for campaign_id in self._lines:
            self.let_go(campaign_id, now_s)

    @property
    def has_requests(self) -> bool:
        """Whether there is anything to be sent to the ledger."""
        return bool(self._outbox)

    def take_requests(self) -> list[LeaseRequest | LeaseReturn]:
        """Return what is to be sent to the ledger since the last call."""
        requests, self._outbox = self._outbox, []
        return requests

    def held(self) -> dict[str, HeldLease]:
        """Return every lease that is not forgotten yet, by its id (for inspection)."""
        return dict(self._leases)

    # --- its life -----------------------------------------------------------------------------

    def freeze(self) -> WalletState:
        """Return all that it holds, as something that changes no more."""
        lines = tuple(line.twin() for line in self._lines.values())
        return WalletState(self._incarnation, self._request_count, self.expired, lines)

    def thaw(self, state: WalletState) -> None:
        """Hold what a wallet of the same incarnation held, and nothing else."""
        _incarnation, self._request_count, self.expired, lines = state
        self._groups.clear()
        self._lines = {line.campaign_id: line.twin() for line in lines}
        every = [each for line in self._lines.values() for each in (*line.live, *line.closing)]
        self._leases = {lease.lease_id: lease for lease in every}
        self._by_key = {key: lease for lease in every for key in lease.reserved}
        self._released = {key: lease for lease in every for key in lease.released}

    def go_on(self, now_s: float) -> None:
        """Begin after a break: ask again for all that may have been answered meanwhile."""
        self._outbox = [line.request for line in self._lines.values() if line.request is not None]
        for line in self._lines.values():
            line.asked_s = max(line.asked_s, now_s) if line.live else line.asked_s
            line.patience.begin(now_s, self.terms.resend_s)
            line.look_soon()
        for lease in self._leases.values():
            if lease.is_return_open:
                self._outbox.append(LeaseReturn(lease.lease_id, lease.returned_micros))
                lease.patience.begin(now_s, self.terms.resend_s)

    # --- rules ------------------------------------------------------------------------------

    def _line(self, campaign_id: str) -> Line:
        line = self._lines.get(campaign_id)
        if line is None:
            line = self._lines[campaign_id] = Line(campaign_id, self.terms.lease_micros)
        return line

    def _lines_of(self, campaign_ids: Iterable[str]) -> list[Line]:
        """Return the campaigns' lines; the same few tuples of campaigns are asked about mostly."""
        group = tuple(campaign_ids)
        lines = self._groups.get(group)
        if lines is None:
            if len(self._groups) >= MAX_GROUPS:
                self._groups.clear()
            lines = self._groups[group] = [self._line(campaign_id) for campaign_id in group]
        return lines

    def _sent(self, campaign_ids: Iterable[str]) -> Iterator[float]:
        """Yield when each request without an answer was sent."""
        for campaign_id in campaign_ids:
            line = self._lines.get(campaign_id)
            if line is not None and line.request is not None:
                yield line.sent_s

    def _look(self, line: Line, now_s: float) -> None:
        """Bring a line up to date: leases that ended, money that runs low, what is kept of it."""
        line.end_leases(now_s)
        ready_micros = line.keep(now_s, self._renew_s)
        may_ask = line.request is None and now_s >= line.denied_until_s
        if may_ask and ready_micros <= self.terms.low_share * line.size_micros:
            self._ask(line, now_s)

    def _ask(self, line: Line, now_s: float) -> None:
        """Ask for a new lease before the money or the time of the last one runs out."""
        self._request_count += 1
        line.request = LeaseRequest(
            f"{self._prefix}{self._request_count}",
            self._bidder,
            line.campaign_id,
            line.demand.next_size(self._sizes, line.size_micros, now_s),
        )
        line.sent_s = now_s
        line.patience.begin(now_s, self.terms.resend_s)
        self._outbox.append(line.request)

    def _send_again(self, line: Line, now_s: float) -> None:
        """Repeat an unanswered request under its id, for as long as it takes.

        A new id would leave a lease behind, blocked for nothing, each time that the ledger is slow;
        a grant that comes after the lease's end goes home at once instead.
        """
        if line.request is not None and line.patience.is_over(now_s):
            self._outbox.append(line.request)

    def _refuse_stray(self, grant: LeaseGranted) -> None:
        """Give a lease back whole that came too late; one that is held came twice."""
        mine = grant.request_id.startswith(self._prefix)
        if mine and grant.lease_id not in self._leases:
            self._outbox.append(LeaseReturn(grant.lease_id, grant.micros))

    def _give_back(self, lease: HeldLease, now_s: float) -> None:
        """Send the free money of an ended lease home, until the ledger says that it has it."""
        message = lease.give_back(now_s, self.terms.resend_s)
        if message is not None:
            self._outbox.append(message)

    def _forget(self, lease: HeldLease) -> None:
        self.expired += len(lease.reserved)
        for key in lease.reserved:
            del self._by_key[key]
        for key in lease.released:
            del self._released[key]
        del self._leases[lease.lease_id]


def _unnoted(*_call: object) -> None:
    """Note nothing: this wallet ends with who holds it."""
