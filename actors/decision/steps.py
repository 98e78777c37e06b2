"""The seven steps of a decision: what each one asks, what its answer means, who stands in for it.

Principle: one row of a table per step. ``QUESTION[step]`` makes the question, ``TAKE`` says what an
answer of a type does to the decision, ``FALL_BACK[step]`` is what happens when nobody answers: open
on enrichment, closed on money and rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.decision import reasons
from actors.decision.quotes import affordable_micros, cost_micros
from actors.messages import (
    Bid,
    BudgetView,
    Clear,
    Cleared,
    Fund,
    Funded,
    Price,
    Priced,
    Profile,
    Profiled,
    Question,
    Reserve,
    Reserved,
    Select,
    Selected,
    Vet,
    Vetted,
)
from actors.reading.floors import floor_of_ad
from models.optimizer.pricing import on_terms
from transport.messages import StepTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.decision.machine import Decision
    from config.campaigns import Campaign
    from models.eligibility import Candidate
    from models.opportunity import Opportunity

VET: Final = 0
PROFILE: Final = 1
FUND: Final = 2
SELECT: Final = 3
PRICE: Final = 4
CLEAR: Final = 5
RESERVE: Final = 6
COUNT: Final = 7

NAMES: Final = ("vet", "profile", "fund", "select", "price", "clear", "reserve")
ROLES: Final = (
    "fraud-detector",
    "user-profiler",
    "budget-manager",
    "creative-selector",
    "bid-optimizer",
    "oversight",
    "budget-manager",
)
"""Who answers a step, by step number."""

FAILS_OPEN: Final = (True, True, False, True, True, False, False)
"""Steps that may go on without their agent; the others are money and rules."""

_WHOLE_BUDGET: Final = BudgetView()


# --- what each answer means --------------------------------------------------------------------


def _take_vetted(decision: Decision, answer: Vetted, now_s: float) -> None:
    decision.fraud_reasons = answer.reasons
    if not answer.valid:
        detail = answer.reasons[0] if answer.reasons else ""
        decision.no_bid(reasons.detailed(reasons.INVALID_TRAFFIC, detail))
        return
    decision.open(PROFILE, now_s)
    decision.open(FUND, now_s)


def _take_profiled(decision: Decision, answer: Profiled, now_s: float) -> None:
    decision.vector = answer.vector
    decision.profile_source = answer.source
    decision.capped = answer.capped
    if answer.version:
        decision.versions["profiler"] = answer.version
    if answer.source == "fallback" and not decision.rules.falls_back:
        decision.no_bid(reasons.detailed(reasons.NO_FALLBACK, NAMES[PROFILE]))
        return
    if answer.source == "fallback":
        # The profiler lives but what it rests on does not: to the log this is a fallback too.
        report = decision.reports[-1]
        decision.reports[-1] = StepTaken(report.step, "fallback", report.ms)
    _select_when_ready(decision, now_s)


def _take_funded(decision: Decision, answer: Funded, now_s: float) -> None:
    spendable = answer.spendable
    opportunity = decision.opportunity
    least = cost_micros(opportunity.floor_micros or 1, opportunity)
    decision.spendable = spendable
    decision.budgets = answer.budgets
    eligible = decision.eligible
    poor = {each for each in eligible.campaign_ids if spendable.get(each, 0) < least}
    decision.affordable = (
        [each for each in eligible.ads if each.campaign.id not in poor] if poor else eligible.ads
    )
    if not decision.affordable:
        decision.no_bid(answer.reason or reasons.NO_BUDGET)
        return
    if _floors_differ(opportunity):
        placed = [eligible.placed(each, opportunity.slots) for each in decision.affordable]
        decision.affordable = [each for each in placed if _may_reach(decision, each)]
        if not decision.affordable:
            decision.no_bid(reasons.BELOW_FLOOR)
            return
    _select_when_ready(decision, now_s)


def _floors_differ(opportunity: Opportunity) -> bool:
    """Whether an ad's floor may be above the least one, or one ad is owed a bid."""
    slots = opportunity.slots
    floor = slots[0].floor
    return (
        len(slots) > 1
        or opportunity.deal is not None
        or bool(floor.by_duration or floor.per_s_micros)
    )


def _may_reach(decision: Decision, candidate: Candidate) -> bool:
    return floor_of_ad(decision.opportunity, candidate) <= _cap_micros(decision, candidate.campaign)


def _select_when_ready(decision: Decision, now_s: float) -> None:
    if decision.vector is None or decision.spendable is None:
        return
    capped = decision.capped
    if capped:
        decision.affordable = [
            each
            for each in decision.affordable
            if each.campaign.id not in capped and each.creative.id not in capped
        ]
        if not decision.affordable:
            decision.no_bid(reasons.detailed(reasons.NO_CANDIDATE, "frequency_cap"))
            return
    decision.open(SELECT, now_s)


def _take_selected(decision: Decision, answer: Selected, now_s: float) -> None:
    chosen = decision.affordable[answer.index]
    decision.candidate = decision.eligible.placed(chosen, decision.opportunity.slots)
    decision.propensity = answer.propensity
    decision.predicted_ctr = answer.predicted_ctr
    if answer.version:
        decision.versions["selector"] = answer.version
    decision.open(PRICE, now_s)


def _take_priced(decision: Decision, answer: Priced, now_s: float) -> None:
    decision.expected_value_micros = answer.expected_value_micros
    decision.unshaded_micros = answer.unshaded_micros
    decision.shading_control = answer.control
    if answer.version:
        decision.versions["optimizer"] = answer.version
    candidate, deal = decision.candidate, decision.opportunity.deal
    assert candidate is not None
    floor_micros = floor_of_ad(decision.opportunity, candidate)
    cap_micros = _cap_micros(decision, candidate.campaign)
    bid_micros = min(answer.bid_micros, cap_micros)
    if deal is not None:
        bid_micros = on_terms(bid_micros, floor_micros, cap_micros, deal)
    decision.bid_micros = max(bid_micros, 0)
    if bid_micros <= 0 and answer.bid_micros <= 0:
        decision.no_bid(reasons.NOT_WORTH_FLOOR)
    elif bid_micros < max(floor_micros, 1):
        decision.no_bid(reasons.BELOW_FLOOR)
    else:
        decision.open(CLEAR, now_s)


def _cap_micros(decision: Decision, campaign: Campaign) -> int:
    """Return what the bid may be at most: house cap, campaign's own cap, money that is there."""
    assert decision.spendable is not None
    rules = decision.rules
    house = rules.price_cap_micros if decision.vetted else rules.unvetted_cap_micros
    money = affordable_micros(decision.spendable.get(campaign.id, 0), decision.opportunity)
    return min(house, campaign.limit_micros, money)


def _take_cleared(decision: Decision, answer: Cleared, now_s: float) -> None:
    if answer.veto is not None:
        decision.no_bid(reasons.detailed(reasons.VETOED, answer.veto))
        return
    if decision.opportunity.test:
        # Nobody will be billed for it (OpenRTB 2.6, section 3.2.1), so no money is set aside.
        _bid(decision)
        return
    decision.open(RESERVE, now_s)


def _take_reserved(decision: Decision, answer: Reserved, _now_s: float) -> None:
    assert answer.key == decision.key, f"reserved {answer.key!r} for {decision.key!r}"
    if not answer.ok:
        decision.no_bid(reasons.detailed(reasons.NOT_RESERVED, answer.reason))
        return
    decision.lease_id = answer.lease_id
    _bid(decision)


def _bid(decision: Decision) -> None:
    """End the decision with the bid."""
    assert decision.candidate is not None
    micros = decision.bid_micros
    decision.bid = Bid(
        decision.key,
        decision.lease_id,
        micros,
        decision.candidate,
        cost_micros(micros, decision.opportunity),
    )
    decision.finish()


TAKE: Final[Mapping[type[object], tuple[int, Callable[..., None]]]] = {
    Vetted: (VET, _take_vetted),
    Profiled: (PROFILE, _take_profiled),
    Funded: (FUND, _take_funded),
    Selected: (SELECT, _take_selected),
    Priced: (PRICE, _take_priced),
    Cleared: (CLEAR, _take_cleared),
    Reserved: (RESERVE, _take_reserved),
}


# --- the questions -----------------------------------------------------------------------------


def _vet(decision: Decision, due_s: float, attempt: int) -> Vet:
    return Vet(decision.opportunity, due_s, attempt)


def _profile(decision: Decision, due_s: float, attempt: int) -> Profile:
    return Profile(decision.opportunity, due_s, attempt)


def _fund(decision: Decision, due_s: float, attempt: int) -> Fund:
    exchange = decision.opportunity.exchange
    return Fund(decision.eligible.campaign_ids, due_s, attempt, exchange)


def _select(decision: Decision, due_s: float, attempt: int) -> Select:
    assert decision.vector is not None
    return Select(decision.vector, decision.affordable, due_s, attempt)


def _price(decision: Decision, due_s: float, attempt: int) -> Price:
    assert decision.candidate is not None
    assert decision.vector is not None
    assert decision.spendable is not None
    campaign_id = decision.candidate.campaign.id
    return Price(
        decision.opportunity,
        decision.candidate,
        decision.vector,
        decision.predicted_ctr,
        affordable_micros(decision.spendable[campaign_id], decision.opportunity),
        decision.budgets.get(campaign_id, _WHOLE_BUDGET),
        due_s,
        attempt,
    )


def _clear(decision: Decision, due_s: float, attempt: int) -> Clear:
    assert decision.candidate is not None
    return Clear(
        decision.opportunity,
        decision.candidate,
        decision.bid_micros,
        decision.vetted,
        due_s,
        attempt,
    )


def _reserve(decision: Decision, due_s: float, attempt: int) -> Reserve:
    assert decision.candidate is not None
    campaign_id = decision.candidate.campaign.id
    amount_micros = cost_micros(decision.bid_micros, decision.opportunity)
    exchange = decision.opportunity.exchange
    return Reserve(decision.key, campaign_id, amount_micros, due_s, attempt, exchange)


QUESTION: Final[tuple[Callable[[Decision, float, int], Question], ...]] = (
    _vet,
    _profile,
    _fund,
    _select,
    _price,
    _clear,
    _reserve,
)


# --- the fallbacks -----------------------------------------------------------------------------


def _without_vetting(decision: Decision, now_s: float) -> None:
    decision.vetted = False
    _take_vetted(decision, decision.rules.fallbacks.vetted(), now_s)


def _without_profiler(decision: Decision, now_s: float) -> None:
    _take_profiled(decision, decision.rules.fallbacks.profiled(decision.opportunity), now_s)


def _without_selector(decision: Decision, now_s: float) -> None:
    _take_selected(decision, decision.rules.fallbacks.selected(decision.affordable), now_s)


def _without_optimizer(decision: Decision, now_s: float) -> None:
    assert decision.candidate is not None
    answer = decision.rules.fallbacks.priced(decision.candidate, decision.pace)
    _take_priced(decision, answer, now_s)


def _without_money(decision: Decision, _now_s: float) -> None:
    decision.no_bid(reasons.BUDGET_UNAVAILABLE)


def _without_oversight(decision: Decision, _now_s: float) -> None:
    decision.no_bid(reasons.OVERSIGHT_UNAVAILABLE)


FALL_BACK: Final[tuple[Callable[[Decision, float], None], ...]] = (
    _without_vetting,
    _without_profiler,
    _without_money,
    _without_selector,
    _without_optimizer,
    _without_oversight,
    _without_money,
)
