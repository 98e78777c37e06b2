"""What a seed means: the node, its traffic, and what goes wrong with it.

Principle: swarm testing (Groce et al. 2012). A run in which everything goes wrong a little finds
less than many runs in each of which a few things go wrong thoroughly, so each seed draws a few
kinds of faults and leaves the others out. A fault has a seed of its own: a run can be repeated
without it, and nothing about the others changes.
"""

from __future__ import annotations

import random
from typing import Final

import msgspec

from tests.simulation.faults import KINDS, WAITING

STEADY_S: Final = 0.6
"""Nothing goes wrong before that: the node is up."""
LASTS_S: Final = (0.01, 0.1, 0.5, 2.5)
OCCASION_S: Final = 1.0
MOST_KINDS: Final = 6
MOST_FAULTS: Final = 14


class FaultPlan(msgspec.Struct, frozen=True):
    """One fault: which kind, when, for how long, and the source of its other chances."""

    number: int
    kind: str
    at_s: float
    for_s: float
    seed: str

    def __str__(self) -> str:
        return f"#{self.number:<3} {self.at_s:7.3f} s  {self.kind} for {self.for_s:.3f} s"


class ExchangePlan(msgspec.Struct, frozen=True):
    """How exchanges behave.

    Attributes:
        requests: How many they send while things go wrong.
        burst: As many at one moment at most.
        resend_s: An unanswered request is sent again after so long.
        eager: Share of requests that are sent twice at once, and of those sent again when answered.
        garbage: Share of bodies that are none.
        repeats: Share of notices that are sent again although confirmed.
        win_share: Share of bids that win.
        silent: Share of bids that nothing more is heard of.
        rude: Share of prices above the bid.
        contrary: Share of lost bids that have won after all.
        lag_s: Notices come up to so long after the bid; some come after the win window.
        forged: Share of notices that come along with one that we never signed.
    """

    requests: int
    burst: int
    resend_s: float
    eager: float
    garbage: float
    repeats: float
    win_share: float
    silent: float
    rude: float
    contrary: float
    lag_s: float
    forged: float


class Tightness(msgspec.Struct, frozen=True):
    """Bounds of the node; tight ones are met."""

    mailbox_limit: int
    max_in_flight: int
    late_strikes: int
    group_commit_ms: int
    segment_bytes: int
    cache_users: int
    refresh_events: int
    max_batch: int
    max_queue: int
    sheds: bool = True


class Plan(msgspec.Struct, frozen=True):
    """Everything that a seed decides."""

    seed: int
    bidders: int
    budget_micros: tuple[int, int]
    lease_micros: int
    lease_s: float
    win_window_s: float
    intensity: int
    period_s: int
    with_recorder: bool
    faults_s: float
    exchange: ExchangePlan
    tightness: Tightness
    kinds: tuple[str, ...]
    faults: tuple[FaultPlan, ...]

    def without(self, numbers: frozenset[int]) -> Plan:
        """Return the same plan but for some of its faults."""
        left = tuple(fault for fault in self.faults if fault.number not in numbers)
        return msgspec.structs.replace(self, faults=left)


def plan_of(seed: int) -> Plan:
    """Draw the plan of a seed."""
    rng = random.Random(f"{seed}/plan")
    faults_s = rng.choice((1.5, 3.0, 6.0))
    kinds = tuple(sorted(rng.sample(sorted(KINDS), rng.randint(1, MOST_KINDS))))
    lease_micros = rng.choice((5_000, 20_000, 50_000))
    lowest = int(lease_micros * rng.choice((0.8, 3.0, 10.0)))
    return Plan(
        seed=seed,
        bidders=rng.choice((1, 1, 2)),
        budget_micros=(lowest, lowest * rng.choice((1, 5))),
        lease_micros=lease_micros,
        lease_s=rng.choice((0.7, 1.5, 2.5)),
        win_window_s=rng.choice((1.0, 2.0, 4.0)),
        intensity=rng.choice((1, 3, 10, 10, 10)),
        period_s=rng.choice((1, 5, 10)),
        with_recorder=rng.random() < 0.15,
        faults_s=faults_s,
        exchange=_exchange(rng),
        tightness=_tightness(rng),
        kinds=kinds,
        faults=_faults(rng, seed, kinds, faults_s),
    )


def _tightness(rng: random.Random) -> Tightness:
    """Mostly the defaults, now and then so tight that it hurts."""
    return Tightness(
        mailbox_limit=rng.choice((64, 4096, 4096)),
        max_in_flight=rng.choice((3, 1024, 1024, 1024)),
        late_strikes=rng.choice((2, 20)),
        group_commit_ms=rng.choice((0, 2, 2, 20)),
        segment_bytes=rng.choice((4096, 8_388_608)),
        cache_users=rng.choice((3, 100_000)),
        refresh_events=rng.choice((1, 4)),
        max_batch=rng.choice((1, 64)),
        max_queue=rng.choice((2, 1000, 1000)),
    )


def _exchange(rng: random.Random) -> ExchangePlan:
    return ExchangePlan(
        requests=rng.randint(20, 70),
        burst=rng.choice((1, 1, 3, 12)),
        resend_s=rng.choice((0.15, 0.4, 1.0)),
        eager=rng.choice((0.0, 0.1, 0.5)),
        garbage=rng.choice((0.0, 0.0, 0.1)),
        repeats=rng.choice((0.0, 0.3)),
        win_share=rng.choice((0.3, 0.6, 0.95)),
        silent=rng.choice((0.0, 0.1, 0.4)),
        rude=rng.choice((0.0, 0.0, 0.1)),
        contrary=rng.choice((0.0, 0.0, 0.0, 0.15)),
        lag_s=rng.choice((0.05, 0.5, 3.0)),
        forged=rng.choice((0.0, 0.0, 0.2)),
    )


def _faults(
    rng: random.Random, seed: int, kinds: tuple[str, ...], faults_s: float
) -> tuple[FaultPlan, ...]:
    moments = sorted(rng.uniform(0.0, faults_s) for _ in range(rng.randint(1, MOST_FAULTS)))
    if rng.random() < 0.3:  # several at one moment
        moments = [moments[number // 3 * 3] for number in range(len(moments))]
    return tuple(
        fault_plan(seed, number, rng.choice(kinds), (STEADY_S + at_s, rng.choice(LASTS_S)))
        for number, at_s in enumerate(moments)
    )


def fault_plan(seed: int, number: int, kind: str, times_s: tuple[float, float]) -> FaultPlan:
    """Plan one fault: when it begins, counted from the start, and how long it lasts."""
    at_s, for_s = times_s
    if kind in WAITING:
        for_s = max(for_s, OCCASION_S)
    return FaultPlan(number, kind, at_s, for_s, f"{seed}/fault/{number}")
