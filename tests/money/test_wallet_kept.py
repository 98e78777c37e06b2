"""What a wallet keeps between questions is what it would work out anew, whatever has happened.

Two wallets live through the same random history. The plain one forgets before every call what it
kept; both must give the same answers and send the same requests, and what the other keeps must be
true not only now but up to the moment at which it says it will look again.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.budget.wallet import MAX_GROUPS, Wallet, WalletTerms
from transport.money import LeaseDenied, LeaseGranted, LeaseRequest, LeaseReturn, LeaseReturned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.budget.holdings import Line

TERMS = WalletTerms(lease_s=5.0, lease_micros=300, max_lease_micros=900, keep_s=3.0, resend_s=0.5)
CAMPAIGNS = ("autumn", "winter", "spring")

GROUPS = (CAMPAIGNS[:1], CAMPAIGNS[1:], CAMPAIGNS, CAMPAIGNS[:2])

picks = st.integers(0, 30)
amounts = st.integers(1, 200)
steps = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(GROUPS)),
    st.tuples(st.just("reserve"), st.sampled_from(CAMPAIGNS), amounts),
    st.tuples(st.just("settle"), picks, amounts),
    st.tuples(st.just("release"), picks),
    st.tuples(
        st.just("grant"), picks, st.sampled_from([100, 300, 900]), st.sampled_from([2.0, 5.0])
    ),
    st.tuples(
        st.just("deny"), picks, st.sampled_from(["exhausted", "stale"]), st.sampled_from([0.3, 2.0])
    ),
    st.tuples(st.just("hear of return"), picks),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.2, 0.5, 1.0, 3.5, 31.0])),
    st.tuples(st.just("tick")),
    st.tuples(st.just("stop politely")),
)


def busy_history(seed: int, length: int) -> list[tuple[Any, ...]]:
    """Return steps like real traffic: questions and bids often, ends rarely."""
    rng = random.Random(seed)
    kinds = ("ask", "reserve", "settle", "release", "grant", "deny", "hear", "wait", "tick", "stop")
    weights = (30, 25, 10, 10, 20, 2, 3, 15, 5, 0.3)
    made: list[tuple[Any, ...]] = []
    for kind in rng.choices(kinds, weights, k=length):
        recent = rng.choice((0, 0, 0, 1, 2, 5))
        made.append(
            {
                "ask": ("ask", rng.choice(GROUPS)),
                "reserve": ("reserve", rng.choice(CAMPAIGNS), rng.randint(1, 120)),
                "settle": ("settle", recent, rng.randint(1, 150)),
                "release": ("release", recent),
                "grant": ("grant", recent, rng.choice((100, 300, 900)), 5.0),
                "deny": ("deny", recent, rng.choice(("exhausted", "stale")), 0.3),
                "hear": ("hear of return", recent),
                "wait": ("wait", rng.choice((0.01, 0.05, 0.2, 0.5, 1.0))),
                "tick": ("tick",),
                "stop": ("stop politely",),
            }[kind]
        )
    return made


class PlainWallet(Wallet):
    """Keeps nothing: looks at every lease at every question."""

    def forget(self) -> None:
        for line in self._lines.values():
            line.look_soon()


class Twins:
    """A wallet and its plain twin in the same world; a pick of 0 is the latest of its kind."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.wallet = Wallet(TERMS, "bidder-1", "life-1")
        self.plain = PlainWallet(TERMS, "bidder-1", "life-1")
        self.requests: list[LeaseRequest] = []
        self.returns: list[LeaseReturn] = []
        self.keys = 0
        self.reserved = 0
        self.grants = 0

    def both(self, name: str, *values: Any) -> Any:
        """Call both; answers and what is sent must be the same."""
        self.plain.forget()
        answer = getattr(self.wallet, name)(*values)
        assert getattr(self.plain, name)(*values) == answer
        sent = self.wallet.take_requests()
        assert self.plain.take_requests() == sent
        self.requests += [each for each in sent if isinstance(each, LeaseRequest)]
        self.returns += [each for each in sent if isinstance(each, LeaseReturn)]
        return answer

    def live(self, step: tuple[Any, ...]) -> None:
        """Let one thing happen."""
        match step:
            case ("ask", group):
                self.both("spendable", group, self.now_s)
            case ("reserve", campaign_id, micros):
                self.reserve(campaign_id, micros)
            case ("settle", pick, micros):
                self.both("settled", f"key-{self.keys - pick}", micros)
            case ("release", pick):
                self.both("released", f"key-{self.keys - pick}")
            case ("wait", seconds):
                self.now_s += seconds
            case ("tick",):
                self.both("tick", self.now_s)
            case ("stop politely",):
                self.both("give_all_back", self.now_s)
            case _:
                self.hear(step)

    def reserve(self, campaign_id: str, micros: int) -> None:
        self.keys += 1
        done = self.both("reserve", f"key-{self.keys}", campaign_id, micros, self.now_s)
        if done.ok:
            self.reserved += 1
            lease = self.wallet.held()[done.lease_id]
            assert self.now_s < lease.ends_s
            assert lease.free_micros >= 0

    def hear(self, step: tuple[Any, ...]) -> None:
        """Let the ledger answer one of the messages sent so far, perhaps not for the first time."""
        match step:
            case ("grant", pick, micros, lease_s) if self.requests:
                request = self.requests[-1 - pick % len(self.requests)]
                self.grants += 1
                self.both("granted", _grant(request, self.grants, micros, lease_s), self.now_s)
            case ("deny", pick, reason, retry_after_s) if self.requests:
                request = self.requests[-1 - pick % len(self.requests)]
                denial = LeaseDenied(
                    request.request_id, request.campaign_id, reason, retry_after_s, 0, 9
                )
                self.both("denied", denial, self.now_s)
            case ("hear of return", pick) if self.returns:
                home = self.returns[-1 - pick % len(self.returns)]
                self.both("returned", LeaseReturned(home.lease_id, home.returned_micros))

    def check(self) -> None:
        """What each line keeps is true now and up to just before it looks again."""
        for line in self.wallet._lines.values():
            if self.now_s < line.look_s:
                until_s = min(math.nextafter(line.look_s, -math.inf), self.now_s + 1_000.0)
                assert line.best_micros == max((each.free_micros for each in line.live), default=0)
                for moment_s in (self.now_s, (self.now_s + until_s) / 2, until_s):
                    assert all(each.ends_s > moment_s for each in line.live)
                    assert not is_lease_wanted(line, moment_s)


def _grant(request: LeaseRequest, number: int, micros: int, lease_s: float) -> LeaseGranted:
    return LeaseGranted(
        request.request_id, f"db-{number}", request.campaign_id, micros, lease_s, 30.0, 80, 100
    )


def is_lease_wanted(line: Line, now_s: float) -> bool:
    """Say so by the terms alone, from the leases themselves."""
    if line.request is not None or now_s < line.denied_until_s:
        return False
    fresh_s = TERMS.renew_share * TERMS.lease_s
    ready = [each.free_micros for each in line.live if now_s < each.ends_s - fresh_s]
    return sum(ready) <= TERMS.low_share * line.size_micros


def relive(history: Sequence[tuple[Any, ...]]) -> Twins:
    twins = Twins()
    for step in history:
        twins.live(step)
        twins.check()
    return twins


@given(st.lists(steps, max_size=40))
@settings(max_examples=60, deadline=None)
def test_what_is_kept_equals_what_would_be_worked_out_anew(history: list[tuple[Any, ...]]) -> None:
    relive(history)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_kept_stays_true_through_busy_times(seed: int) -> None:
    twins = relive(busy_history(seed, 400))
    assert twins.grants > 20
    assert twins.reserved > 20


def test_an_idle_campaign_gets_its_lease_when_it_is_asked_about_again() -> None:
    twins = Twins()
    twins.both("spendable", ("autumn",), twins.now_s)
    twins.both("granted", _grant(twins.requests[0], 1, 300, 5.0), twins.now_s)
    for _ in range(400):
        twins.now_s += 0.1
        twins.both("tick", twins.now_s)
    assert len(twins.requests) == 1
    assert twins.both("spendable", ("autumn",), twins.now_s) == {}
    assert len(twins.requests) == 2


def test_money_of_a_lease_past_its_end_is_neither_told_nor_reserved_without_any_tick() -> None:
    twins = Twins()
    twins.both("spendable", ("autumn",), twins.now_s)
    twins.both("granted", _grant(twins.requests[0], 1, 300, 5.0), twins.now_s)
    assert twins.both("spendable", ("autumn",), 104.999) == {"autumn": 300}
    assert twins.both("spendable", ("autumn",), 105.0) == {}
    assert not twins.both("reserve", "key", "autumn", 1, 105.0).ok


def test_tuples_of_campaigns_beyond_the_bound_are_answered_all_the_same() -> None:
    wallet = Wallet(TERMS, "bidder-1", "life-1")
    wallet.spendable(("autumn",), 0.0)
    (request,) = wallet.take_requests()
    assert isinstance(request, LeaseRequest)
    wallet.granted(_grant(request, 1, 300, 5.0), 0.0)
    for number in range(MAX_GROUPS + 10):
        group = (f"campaign-{number}", "autumn")
        assert wallet.spendable(group, 0.1) == {"autumn": 300}
        assert len(wallet._groups) <= MAX_GROUPS
    assert wallet.spendable((f"campaign-{MAX_GROUPS}", "autumn"), 0.2) == {"autumn": 300}
