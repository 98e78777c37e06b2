"""Planted faults: the money code made wrong on purpose, in ways that its authors feared.

Each takes pytest's ``monkeypatch``; afterwards the state machine has to notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import msgspec

from actors.budget.wallet import Reservation, Wallet
from actors.ledger import bookkeeping, books, clerk, journal, operators
from actors.ledger.bookkeeping import Bookkeeper, Days
from actors.ledger.books import Day
from actors.ledger.clerk import Clerk
from actors.ledger.rows import Changes, Rows
from actors.ledger.store import LedgerStore
from transport.money import LeaseReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from actors.budget.holdings import HeldLease
    from transport.money import LeaseGranted, Settle

    Fault = Callable[[pytest.MonkeyPatch], None]


# --- the ledger's rules --------------------------------------------------------------------------


def exchanges_are_believed_above_the_bid(patch: pytest.MonkeyPatch) -> None:
    """Whatever an exchange says is paid."""
    settle = books.settle

    def gullible(campaign: Any, lease: Any, win: Settle, today: Any) -> Any:
        return settle(campaign, lease, msgspec.structs.replace(win, bid_micros=0), today)

    patch.setattr(books, "settle", gullible)


def wins_do_not_draw_on_their_lease(patch: pytest.MonkeyPatch) -> None:
    """A win is booked from free budget, and its lease keeps the money as well."""
    settle = books.settle

    def beside(campaign: Any, lease: Any, win: Settle, today: Any) -> Any:
        empty = msgspec.structs.replace(lease, drawn_micros=lease.granted_micros) if lease else None
        booked = settle(campaign, empty, win, today)
        return booked._replace(lease=lease)

    patch.setattr(books, "settle", beside)


def days_have_no_limit(patch: pytest.MonkeyPatch) -> None:
    """Daily budgets are forgotten."""
    patch.setattr(Day, "room_micros", lambda _self, campaign: campaign.free_micros)


def days_forget_what_is_leased(patch: pytest.MonkeyPatch) -> None:
    """A day's limit counts only what was spent."""
    room = Day.room_micros

    def forgetful(self: Day, campaign: Any) -> int:
        return room(msgspec.structs.replace(self, leased_micros=0), campaign)

    patch.setattr(Day, "room_micros", forgetful)


def refunds_go_to_today(patch: pytest.MonkeyPatch) -> None:
    """What was spent on another day is given back to this one."""
    answered = Rows.answered

    def today(self: Rows, request: Any, answer: Any, states: Any, days: Days, **more: Any) -> None:
        now = self.calendar.today()
        later = Days(now, now) if type(request).__name__ == "Refund" else days
        answered(self, request, answer, states, later, **more)

    patch.setattr(Rows, "answered", today)


def refunds_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """A booking can be given back again and again."""

    def refund(campaign: Any, settlement: Any, micros: int) -> Any:
        return books.Refunded(books._moved(campaign, settled=-micros), settlement)

    patch.setattr(books, "refund", refund)


def operators_may_charge_what_is_not_there(patch: pytest.MonkeyPatch) -> None:
    """Charges are not limited by the day's budget."""
    adjust = operators.adjust

    def generous(rows: Rows, request: Any) -> Any:
        with _patched(Day, "room_micros", lambda _self, campaign: campaign.free_micros):
            return adjust(rows, request)

    patch.setattr(operators, "adjust", generous)


def returns_are_differences(patch: pytest.MonkeyPatch) -> None:
    """A return that comes twice gives money back twice."""
    give_back = books.give_back

    def added(campaign: Any, lease: Any, returned_micros: int) -> Any:
        return give_back(campaign, lease, lease.returned_micros + returned_micros)

    patch.setattr(books, "give_back", added)


def closing_frees_what_was_granted(patch: pytest.MonkeyPatch) -> None:
    """A lease that closes gives everything back, won or not."""

    def close(campaign: Any, lease: Any) -> Any:
        after = msgspec.structs.replace(lease, is_open=False)
        freed = min(lease.granted_micros, campaign.leased_micros)
        return books.Moved(books._moved(campaign, leased=-freed), after, freed)

    patch.setattr(books, "close", close)


def late_wins_are_free(patch: pytest.MonkeyPatch) -> None:
    """What comes after its lease is recorded and never paid."""
    settle = books.settle

    def unpaid(campaign: Any, lease: Any, win: Settle, today: Any) -> Any:
        if lease is not None and not lease.is_open:
            win = msgspec.structs.replace(win, price_micros=0)
        return settle(campaign, lease, win, today)

    patch.setattr(books, "settle", unpaid)


# --- the ledger's memory -------------------------------------------------------------------------


def repetitions_are_done_again(patch: pytest.MonkeyPatch) -> None:
    """The journal is not asked whether an operation was done."""
    patch.setattr(Rows, "done", lambda _self, _request: None)


def a_burst_does_not_know_itself(patch: pytest.MonkeyPatch) -> None:
    """Only the disk is asked, so that twice in one burst is twice."""
    patch.setattr(Bookkeeper, "fresh", lambda _self, _key: None)


def a_second_price_is_answered(patch: pytest.MonkeyPatch) -> None:
    """A repetition gets the answer that it would get as the first."""
    earlier = Clerk._earlier

    def agreeable(self: Clerk, request: Any, kind: Any) -> Any:
        answer, same = earlier(self, request, kind)
        price = getattr(request, "price_micros", None)
        if answer is not None and price is not None and answer.booked_micros:
            answer = msgspec.structs.replace(answer, booked_micros=price)
        return answer, same

    patch.setattr(Clerk, "_earlier", agreeable)


def keys_of_operators_can_be_used_again(patch: pytest.MonkeyPatch) -> None:
    """Another charge under an old key is taken for the old one."""
    patch.setattr(clerk, "means_the_same", lambda _request, _earlier: True)


def leases_end_without_their_win_window(patch: pytest.MonkeyPatch) -> None:
    """What a dead bidder had promised is promised again."""
    remember = Rows.remember

    def short(self: Rows, lease: Any, now_s: float) -> None:
        remember(self, lease, now_s - 30.0)

    patch.setattr(Rows, "remember", short)


def leases_live_by_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    """A clock that jumps closes leases."""
    remember, ended = Rows.remember, Rows.ended

    def by_wall(self: Rows, lease: Any, _now_s: float) -> None:
        remember(self, lease, self.calendar.unix_clock())

    patch.setattr(Rows, "remember", by_wall)
    patch.setattr(Rows, "ended", lambda self, _now_s: ended(self, self.calendar.unix_clock()))


def open_leases_are_forgotten_at_a_start(patch: pytest.MonkeyPatch) -> None:
    """A ledger that begins again closes nothing that was open, and so never gives it back."""
    snapshot = LedgerStore.snapshot
    patch.setattr(LedgerStore, "snapshot", lambda self: snapshot(self)._replace(open_leases=[]))


def closed_leases_are_not_looked_up(patch: pytest.MonkeyPatch) -> None:
    """A late win is taken for one of a lease that never was."""
    find = LedgerStore.find
    patch.setattr(LedgerStore, "find", lambda self, wanted: find(self, wanted)._replace(leases={}))


# --- the ledger's disk ---------------------------------------------------------------------------


def commits_come_later(patch: pytest.MonkeyPatch) -> None:
    """What was answered is written with the next burst."""
    commit = LedgerStore.commit

    def late(self: LedgerStore, changes: Changes) -> None:
        held: Changes | None = getattr(self, "_held", None)
        self._held = changes or held  # type: ignore[attr-defined]
        if held is not None and changes:
            commit(self, held)

    patch.setattr(LedgerStore, "commit", late)


def commits_leave_settlements_out(patch: pytest.MonkeyPatch) -> None:
    """Wins are in the journal and nowhere else."""
    commit = LedgerStore.commit
    patch.setattr(
        LedgerStore, "commit", lambda self, changes: commit(self, changes._replace(settlements=[]))
    )


def commits_leave_balances_out(patch: pytest.MonkeyPatch) -> None:
    """Balances stay what they were."""
    commit = LedgerStore.commit
    patch.setattr(
        LedgerStore, "commit", lambda self, changes: commit(self, changes._replace(balances={}))
    )


def two_ledgers_may_write(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whose the database is."""
    transaction = LedgerStore._transaction

    def open_to_all(self: LedgerStore, doing: str, *, check_owner: bool = False) -> Any:
        return transaction(self, doing, check_owner=False)

    patch.setattr(LedgerStore, "_transaction", open_to_all)


def seals_do_not_cover_amounts(patch: pytest.MonkeyPatch) -> None:
    """Whoever changes an amount is not found out."""
    sealed = journal.sealed

    def loose(previous: str, entry: Any) -> Any:
        bare = sealed(previous, msgspec.structs.replace(entry, postings=()))
        return msgspec.structs.replace(entry, chain=bare.chain)

    patch.setattr(bookkeeping, "sealed", loose)


def wins_cost_the_house_nothing(patch: pytest.MonkeyPatch) -> None:
    """The other half of what no budget covered is not posted."""
    postings_of = bookkeeping.postings_of

    def half(before: Any, after: Any, days: Days) -> Any:
        return tuple(p for p in postings_of(before, after, days) if p.account != "house/unfunded")

    patch.setattr(bookkeeping, "postings_of", half)


# --- the bidder ----------------------------------------------------------------------------------


def wallets_promise_more_than_they_have(patch: pytest.MonkeyPatch) -> None:
    """A reservation is made of whichever lease lives, free money or not."""
    reserve = Wallet.reserve

    def generous(self: Wallet, key: str, campaign_id: str, micros: int, now_s: float) -> Any:
        done = reserve(self, key, campaign_id, micros, now_s)
        line = self._line(campaign_id)
        if done.ok or not line.live:
            return done
        return Reservation(ok=True, lease_id=line.live[0].lease_id)

    patch.setattr(Wallet, "reserve", generous)


def wallets_free_the_whole_of_a_win(patch: pytest.MonkeyPatch) -> None:
    """The price of a win can be spent again."""
    settled = Wallet.settled
    patch.setattr(Wallet, "settled", lambda self, key, _price: settled(self, key, 0))


def wallets_free_a_loss_twice(patch: pytest.MonkeyPatch) -> None:
    """A notice that comes twice frees its money twice."""
    released = Wallet.released

    def twice(self: Wallet, key: str) -> None:
        lease = self._by_key.get(key)
        micros = lease.reserved[key] if lease else 0
        released(self, key)
        if lease is not None:
            lease.free_micros += micros

    patch.setattr(Wallet, "released", twice)


def wallets_count_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    """A lease begins when the bidder hears of it, however long that took."""
    granted = Wallet.granted

    def from_now(self: Wallet, grant: LeaseGranted, now_s: float) -> None:
        self._line(grant.campaign_id).sent_s = now_s
        granted(self, grant, now_s)

    patch.setattr(Wallet, "granted", from_now)


def wallets_return_what_they_promised(patch: pytest.MonkeyPatch) -> None:
    """When a lease ends, reserved money goes home as well."""

    def all_of_it(self: Wallet, lease: HeldLease, _now_s: float) -> None:
        lease.returned_micros = lease.granted_micros - lease.settled_micros
        lease.free_micros = 0
        self._outbox.append(LeaseReturn(lease.lease_id, lease.returned_micros))

    patch.setattr(Wallet, "_give_back", all_of_it)


def wallets_keep_what_they_return(patch: pytest.MonkeyPatch) -> None:
    """Money that went home is still spent."""
    give_back = Wallet._give_back

    def keep(self: Wallet, lease: HeldLease, now_s: float) -> None:
        free = lease.free_micros
        give_back(self, lease, now_s)
        lease.free_micros = free

    patch.setattr(Wallet, "_give_back", keep)


def wallets_share_a_name(patch: pytest.MonkeyPatch) -> None:
    """A restarted bidder is given the leases of the one before."""
    init = Wallet.__init__

    def same(self: Wallet, terms: Any, bidder: str, _incarnation: str, *more: Any) -> None:
        init(self, terms, bidder, "always the same", *more)

    patch.setattr(Wallet, "__init__", same)


def _patched(owner: type, name: str, value: Any) -> Any:
    """Return a context in which an attribute is another one."""
    return mock.patch.object(owner, name, value)


FAULTS: Final[tuple[Fault, ...]] = (
    exchanges_are_believed_above_the_bid,
    wins_do_not_draw_on_their_lease,
    days_have_no_limit,
    days_forget_what_is_leased,
    refunds_go_to_today,
    refunds_are_not_remembered,
    operators_may_charge_what_is_not_there,
    returns_are_differences,
    closing_frees_what_was_granted,
    late_wins_are_free,
    repetitions_are_done_again,
    a_burst_does_not_know_itself,
    a_second_price_is_answered,
    keys_of_operators_can_be_used_again,
    leases_end_without_their_win_window,
    leases_live_by_the_wall_clock,
    open_leases_are_forgotten_at_a_start,
    closed_leases_are_not_looked_up,
    commits_come_later,
    commits_leave_settlements_out,
    commits_leave_balances_out,
    two_ledgers_may_write,
    seals_do_not_cover_amounts,
    wins_cost_the_house_nothing,
    wallets_promise_more_than_they_have,
    wallets_free_the_whole_of_a_win,
    wallets_free_a_loss_twice,
    wallets_count_from_the_answer,
    wallets_return_what_they_promised,
    wallets_keep_what_they_return,
    wallets_share_a_name,
)
