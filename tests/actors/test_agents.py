"""The agents that only add memory to a model: fraud detector, selector, optimizer, oversight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.bid_optimizer import BidOptimizer
from actors.creative_selector import CLICK_WINDOW_S, LEARN_BATCH, MAX_PENDING, CreativeSelector
from actors.decision.reasons import nbr_of
from actors.fraud_detector import FraudDetector
from actors.messages import (
    BudgetView,
    Clear,
    Cleared,
    Feedback,
    Price,
    Priced,
    Select,
    Selected,
    Vet,
    Vetted,
)
from actors.metering import Meter
from actors.oversight import Oversight
from actors.pricing import load_pricing
from models.fraud import FraudRules
from models.oversight import OversightRules
from models.registry import weights_folder
from models.selector.thompson import Choice
from supervision import VirtualClock
from tests.actors.cells import World
from tests.actors.samples import VECTOR, candidate, opportunity
from transport.metrics import MemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.selector.thompson import Observation


class Selector:
    """Chooses the last, and notes what it is taught."""

    version = "s1"

    def __init__(self) -> None:
        self.lessons: list[list[tuple[str, bool]]] = []

    def choose(self, _vector: Any, candidates: Sequence[Any], _rng: Any) -> Choice:
        return Choice(len(candidates) - 1, 0.25, 0.01)

    def update(self, seen: Sequence[Observation]) -> None:
        self.lessons.append([(each.candidate.campaign.id, each.clicked) for each in seen])


class Bench:
    """One agent and one who asks."""

    def __init__(self, agent: Any) -> None:
        self.world = World()
        self.probe, self.asker = self.world.probe()
        self.agent = agent
        self.ref = self.world.spawn(agent)
        self.world.run()

    def ask(self, question: Any) -> Any:
        self.asker.ask(self.ref, question)
        self.world.run()
        return self.probe.heard[-1]

    def publish(self, event: Any) -> None:
        self.world.cell.topics.publish(self.asker, event)


def feedback(kind: str, key: str, name: str = "shoes") -> Feedback:
    return Feedback(kind, key, candidate(name), opportunity(), VECTOR, 3_000)


def test_a_person_passes_and_a_robot_does_not() -> None:
    bench = Bench(FraudDetector(FraudRules()))
    assert bench.ask(Vet(opportunity(), 1e9)) == Vetted(valid=True, score=0.0)
    refused = bench.ask(Vet(opportunity(user_agent="curl/8.0"), 1e9))
    assert not refused.valid
    assert refused.reasons[0] == "bot_user_agent"
    assert bench.agent.describe() == {"judged": 2, "refused": 1}


def test_a_source_that_comes_too_often_is_refused_but_a_question_asked_again_is_not_counted() -> (
    None
):
    bench = Bench(FraudDetector(FraudRules(many_requests=2, too_many_requests=3)))
    for _ in range(5):
        bench.ask(Vet(opportunity(), 1e9, attempt=2))
    assert bench.ask(Vet(opportunity(), 1e9)).valid
    bench.ask(Vet(opportunity(), 1e9))
    assert not bench.ask(Vet(opportunity(), 1e9)).valid


def test_the_selector_answers_with_propensity_and_version() -> None:
    bench = Bench(CreativeSelector(Selector))  # type: ignore[arg-type]
    chosen = bench.ask(Select(VECTOR, [candidate("a"), candidate("b")], 1e9))
    assert chosen == Selected(1, 0.25, 0.01, "s1")


def test_a_shown_ad_is_learnt_from_once_when_its_click_has_come_or_will_not() -> None:
    selector = Selector()
    bench = Bench(CreativeSelector(lambda: selector))  # type: ignore[arg-type,return-value]
    bench.publish(feedback("impression", "b-1", "clicked"))
    bench.publish(feedback("impression", "b-2", "ignored"))
    bench.publish(feedback("click", "b-1", "clicked"))
    bench.publish(feedback("click", "b-9", "never shown"))
    bench.publish(feedback("win", "b-3", "only won"))
    bench.world.run(CLICK_WINDOW_S - 0.5)
    assert selector.lessons == []
    bench.world.run(3.0)
    assert selector.lessons == [[("clicked", True), ("ignored", False)]]


def test_what_is_learnt_at_one_time_and_kept_is_bounded() -> None:
    selector = Selector()
    bench = Bench(CreativeSelector(lambda: selector))  # type: ignore[arg-type,return-value]
    for number in range(MAX_PENDING + 10):
        bench.publish(feedback("impression", f"b-{number}"))
    bench.world.run(CLICK_WINDOW_S * 3)
    assert {len(lesson) for lesson in selector.lessons} == {LEARN_BATCH}
    assert sum(map(len, selector.lessons)) == MAX_PENDING


def price(**changes: Any) -> Price:
    facts: dict[str, Any] = {
        "opportunity": opportunity(floor_micros=1),
        "candidate": candidate(),
        "vector": VECTOR,
        "predicted_ctr": 0.02,
        "spendable_micros": 100_000,
        "budget": BudgetView(),
        "deadline_s": 1e9,
    }
    return Price(**(facts | changes))


def optimizer() -> BidOptimizer:
    return BidOptimizer(lambda: load_pricing(weights_folder("optimizer"), 50_000))


def test_the_optimizer_prices_by_value_within_money_limits_and_floor() -> None:
    bench = Bench(optimizer())
    rich: Priced = bench.ask(price())
    assert 0 < rich.bid_micros <= min(rich.expected_value_micros, 20_000)
    assert bench.ask(price(spendable_micros=7)).bid_micros == 7
    over = int(rich.expected_value_micros) + 1
    dear = bench.ask(price(opportunity=opportunity(floor_micros=over), spendable_micros=10**9))
    assert dear.bid_micros == 0


def test_a_first_price_bid_is_shaded_and_a_campaign_ahead_of_its_plan_bids_less() -> None:
    bench = Bench(optimizer())
    second = bench.ask(price()).bid_micros
    first = bench.ask(price(opportunity=opportunity(floor_micros=1, first_price=True))).bid_micros
    ahead = bench.ask(price(budget=BudgetView(0.5))).bid_micros
    assert 0 < first < second
    assert 0 < ahead < second


def test_a_share_of_first_price_bids_is_left_unshaded_and_says_so() -> None:
    bench = Bench(BidOptimizer(lambda: load_pricing(weights_folder("optimizer"), 50_000, 0.2)))
    asked = [opportunity(first_price=True, request_id=f"r-{number}") for number in range(200)]
    priced = [bench.ask(price(opportunity=each)) for each in asked]
    control = [each for each in priced if each.control]
    assert 20 <= len(control) <= 60
    assert all(each.bid_micros == each.unshaded_micros for each in control)
    assert all(0 < e.bid_micros < e.unshaded_micros for e in priced if not e.control)
    assert [bench.ask(price(opportunity=each)) for each in asked] == priced
    second = bench.ask(price())
    assert (second.control, second.bid_micros) == (False, second.unshaded_micros)


@pytest.mark.parametrize(
    ("changes", "veto"),
    [
        ({}, None),
        ({"bid_micros": 60_000}, "above_price_cap"),
        ({"bid_micros": 2_500, "vetted": False}, "above_price_cap"),
        ({"bid_micros": 1_500, "vetted": False}, None),
        ({"bid_micros": 400}, "below_floor"),
        ({"opportunity": opportunity(blocked_categories=frozenset({"IAB18"}))}, "blocked_category"),
    ],
)
def test_oversight_clears_only_what_keeps_every_rule(
    changes: dict[str, Any], veto: str | None
) -> None:
    bench = Bench(Oversight(OversightRules(), 50_000, 2_000))
    facts: dict[str, Any] = {
        "opportunity": opportunity(),
        "candidate": candidate(max_bid_micros=100_000),
        "bid_micros": 3_000,
        "vetted": True,
        "deadline_s": 1e9,
    }
    assert bench.ask(Clear(**(facts | changes))) == Cleared(veto)
    told = bench.agent.describe()
    assert told["cleared"] == (veto is None)
    assert told["vetoes"] == ({} if veto is None else {veto: 1})


def test_an_agent_ignores_what_is_not_for_it() -> None:
    for agent in (FraudDetector(FraudRules()), Oversight(OversightRules(), 1, 1), optimizer()):
        bench = Bench(agent)
        bench.asker.ask(bench.ref, "what is this")
        bench.world.run()
        assert bench.probe.heard == []
        assert bench.ref.actor is agent


@pytest.mark.parametrize(
    ("reason", "nbr"),
    [
        ("invalid_traffic:bot_user_agent", 3),
        ("invalid_traffic:datacenter_ip", 5),
        ("invalid_traffic:too_many_requests", 4),
        ("no_candidate:country", 500),
        ("no_candidate:frequency_cap", 9),
        ("no_candidate:incomplete_schain", 16),
        ("no_candidate:blocked_seller", 17),
        ("out_of_time", 15),
        ("something new", 0),
    ],
)
def test_every_reason_has_a_number_for_the_exchange(reason: str, nbr: int) -> None:
    assert nbr_of(reason) == nbr


def test_counters_are_handed_over_once_and_under_safe_bounds() -> None:
    metrics = MemoryMetrics()
    meter = Meter(metrics, VirtualClock(1_000.0))
    meter.requests = 3
    meter.no_bid("vetoed:blocked_category")
    meter.event("win")
    meter.spend_micros = 2_500
    for _ in range(2):
        meter.flush()
    assert metrics.counters == {
        "requests": 3,
        "no_bids.vetoed": 1,
        "events.win": 1,
        "spend_micros": 2_500,
    }
