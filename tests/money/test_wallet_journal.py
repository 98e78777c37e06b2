"""A wallet rebuilt from the cell's journal holds what the one before held, wherever it died.

The wallet lives through a random history and is taken over by a successor now and then: between two
calls, or in the middle of one, where an exception strikes at any line of the money's code. Nobody
outside may be able to tell, except that a call that died may not have happened.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.budget.errors import JournalError
from actors.budget.journal import MOST_CALLS, Journal, faults_of
from actors.budget.wallet import Wallet
from tests.money.test_wallet_kept import TERMS, busy_history, steps
from transport.money import LeaseDenied, LeaseGranted, LeaseRequest, LeaseReturn, LeaseReturned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

MONEY_CODE = tuple(f"actors/budget/{name}.py" for name in ("wallet", "holdings", "sizing"))


class StruckError(Exception):
    """What ends the holder of a wallet."""


class Strike:
    """Raises at the n-th line of money's code that runs under it."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *_exit: object) -> None:
        sys.settrace(self._before)

    def _enter_frame(self, frame: FrameType, _event: str, _value: object) -> Any:
        return self._on_line if frame.f_code.co_filename.endswith(MONEY_CODE) else None

    def _on_line(self, _frame: FrameType, event: str, _value: object) -> Any:
        self.left -= event == "line"
        if self.left == 0:
            raise StruckError
        return self._on_line


def money_of(wallet: Wallet) -> Any:
    """Return all that counts: not when something is looked at or sent again."""
    state = wallet.freeze()
    lines = {}
    for line in state.lines:
        leases = [
            (
                *(each.lease_id, each.granted_micros, each.ends_s, each.closes_s, each.free_micros),
                *(each.reserved, each.released, each.settled_micros),
                *(each.returned_micros, each.returned_known_micros),
            )
            for each in (*line.live, *line.closing)
        ]
        asked = line.request, line.denied_until_s, line.exhausted, line.size_micros, line.demand
        lines[line.campaign_id] = (len(line.live), leases, asked)
    return state.incarnation, state.request_count, state.expired, lines


def reserved_of(wallet: Wallet) -> dict[str, int]:
    return {key: m for lease in wallet.held().values() for key, m in lease.reserved.items()}


class Bidder:
    """A wallet, its journal, and what the ledger and the exchanges have been told of it."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.journal = Journal()
        self.wallet = self.journal.begin(TERMS, "bidder-1", "life-1")
        self.requests: list[LeaseRequest] = []
        self.returns: list[LeaseReturn] = []
        self.keys = self.grants = self.takeovers = 0

    def take_over(self) -> None:
        self.wallet = self.journal.recover(TERMS, "bidder-1", self.now_s)
        self.takeovers += 1
        self.post()

    def post(self) -> None:
        sent = self.wallet.take_requests()
        self.requests += [each for each in sent if isinstance(each, LeaseRequest)]
        self.returns += [each for each in sent if isinstance(each, LeaseReturn)]

    def call_of(self, step: tuple[Any, ...]) -> tuple[str, Any] | None:
        """Return the call of the wallet that a step is, None if it is none."""
        kind, *values = step
        if kind == "wait":
            self.now_s += values[0]
            return None
        self.keys += kind == "reserve"
        names = {
            "ask": ("spendable", *values, self.now_s),
            "reserve": ("reserve", f"key-{self.keys}", *values, self.now_s),
            "tick": ("tick", self.now_s),
            "stop politely": ("give_all_back", self.now_s),
        }
        if kind in ("settle", "release"):
            pick, *price = values
            return f"{kind.rstrip('e')}ed", (f"key-{self.keys - pick}", *price)
        if kind in names:
            name, *arguments = names[kind]
            return name, tuple(arguments)
        return self.answer_of(step)

    def answer_of(self, step: tuple[Any, ...]) -> tuple[str, Any] | None:
        match step:
            case ("grant", pick, micros, lease_s) if self.requests:
                request = self.requests[-1 - pick % len(self.requests)]
                self.grants += 1
                name = f"db-{self.grants}"
                grant = LeaseGranted(
                    request.request_id, name, request.campaign_id, micros, lease_s, 30.0, 80, 100
                )
                return "granted", (grant, self.now_s)
            case ("deny", pick, reason, retry_after_s) if self.requests:
                request = self.requests[-1 - pick % len(self.requests)]
                denial = LeaseDenied(
                    request.request_id, request.campaign_id, reason, retry_after_s, 0, 9
                )
                return "denied", (denial, self.now_s)
            case ("hear of return", pick) if self.returns:
                home = self.returns[-1 - pick % len(self.returns)]
                return "returned", (LeaseReturned(home.lease_id, home.returned_micros),)
        return None

    def live(self, step: tuple[Any, ...]) -> None:
        call = self.call_of(step)
        if call is not None:
            getattr(self.wallet, call[0])(*call[1])
            self.post()

    def die_in(self, step: tuple[Any, ...], line: int) -> None:
        """Be struck in the middle of a step, and go on as one's successor."""
        call = self.call_of(step)
        if call is None:
            return
        name, values = call
        before, after = self.twin(), self.twin()
        getattr(after, name)(*values)
        try:
            with Strike(line):
                getattr(self.wallet, name)(*values)
        except StruckError:
            self.take_over()
            if name in ("tick", "give_all_back", "spendable"):
                # Calls that consist of several: whatever was done, no promise was lost or made.
                now = reserved_of(self.wallet).items()
                assert reserved_of(after).items() <= now <= reserved_of(before).items()
            else:
                assert money_of(self.wallet) in (money_of(before), money_of(after))

    def twin(self) -> Wallet:
        twin = Wallet(TERMS, "bidder-1", "life-1")
        twin.thaw(self.wallet.freeze())
        return twin


def relive(history: Sequence[tuple[Any, ...]], rng: random.Random) -> Bidder:
    bidder = Bidder()
    for step in history:
        match rng.randrange(6):
            case 0:
                held = money_of(bidder.wallet)
                bidder.take_over()
                assert money_of(bidder.wallet) == held
                bidder.live(step)
            case 1:
                bidder.die_in(step, rng.randint(1, 40))
            case _:
                bidder.live(step)
        if rng.randrange(40) == 0:
            bidder.journal.compact(bidder.wallet)
        assert not list(faults_of(bidder.wallet))
    return bidder


@given(st.lists(steps, max_size=40), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_successor_holds_what_was_held_whatever_has_happened(
    history: list[tuple[Any, ...]], seed: int
) -> None:
    relive(history, random.Random(seed))


@pytest.mark.parametrize("seed", range(8))
def test_a_successor_holds_what_was_held_through_busy_times(seed: int) -> None:
    bidder = relive(busy_history(seed, 400), random.Random(seed))
    assert bidder.takeovers > 50
    assert bidder.grants > 20


def funded(micros: int = 1_000) -> Bidder:
    """Return a bidder with one lease."""
    bidder = Bidder()
    bidder.live(("ask", ("autumn",)))
    bidder.live(("grant", 0, micros, 5.0))
    return bidder


@pytest.mark.parametrize("line", range(1, 60))
def test_a_reservation_is_made_whole_or_not_at_all_wherever_it_dies(line: int) -> None:
    bidder = funded()
    bidder.die_in(("reserve", "autumn", 300), line)
    reserved = reserved_of(bidder.wallet)
    assert bidder.wallet.spendable(("autumn",), bidder.now_s) == {
        "autumn": 1_000 - sum(reserved.values())
    }
    again = bidder.wallet.reserve("key-1", "autumn", 300, bidder.now_s)
    assert again.ok
    assert reserved_of(bidder.wallet) == {"key-1": 300}


def test_what_was_asked_of_the_ledger_is_asked_again_under_the_same_name() -> None:
    bidder = Bidder()
    bidder.live(("ask", ("autumn", "winter")))
    first = list(bidder.requests)
    bidder.take_over()
    assert bidder.requests[2:] == first
    bidder.live(("grant", 0, 300, 5.0))
    assert bidder.wallet.spendable(("winter",), bidder.now_s) == {"winter": 300}


def test_what_was_given_back_is_said_again_until_the_ledger_has_heard_it() -> None:
    bidder = funded()
    bidder.live(("stop politely",))
    bidder.take_over()
    assert bidder.returns == [LeaseReturn("db-1", 1_000)] * 2
    bidder.live(("hear of return", 0))
    bidder.take_over()
    assert len(bidder.returns) == 2


def test_a_call_that_ends_every_holder_is_left_out_the_next_time() -> None:
    bidder = funded()
    bidder.live(("reserve", "autumn", 300))
    bidder.journal.note("settled")
    bidder.take_over()
    assert reserved_of(bidder.wallet) == {"key-1": 300}


def test_a_journal_that_can_not_be_repeated_is_no_wallet() -> None:
    bidder = funded()
    bidder.journal.note("settled")
    bidder.journal.note("settled")
    with pytest.raises(JournalError, match="begin anew"):
        bidder.take_over()


def test_a_wallet_that_promises_more_than_it_has_is_given_up() -> None:
    bidder = funded()
    (lease,) = bidder.wallet.held().values()
    lease.free_micros += 1
    bidder.journal.compact(bidder.wallet)
    with pytest.raises(JournalError, match="db-1"):
        bidder.take_over()


def test_nobody_can_take_over_where_no_wallet_was_held() -> None:
    journal = Journal()
    assert journal.is_empty
    with pytest.raises(JournalError, match="begin"):
        journal.recover(TERMS, "bidder-1", 0.0)


def test_a_compact_journal_is_short_and_its_memory_is_given_back() -> None:
    bidder = funded(10**9)
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    for number in range(MOST_CALLS * 3):
        bidder.wallet.reserve(f"k{number}", "autumn", 5, bidder.now_s)
        bidder.wallet.settled(f"k{number}", 4)
        if bidder.journal.is_long:
            bidder.journal.compact(bidder.wallet)
    grown = tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()
    assert len(bidder.journal) < MOST_CALLS
    assert grown < 2_000_000
    bidder.take_over()
    (lease,) = bidder.wallet.held().values()
    assert lease.settled_micros == MOST_CALLS * 3 * 4
