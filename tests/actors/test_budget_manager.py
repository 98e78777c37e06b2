from __future__ import annotations

import random
from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.budget.journal import MOST_CALLS, Journal
from actors.budget.liveness import Liveness, LivenessTerms
from actors.budget.manager import BudgetManager, Kept
from actors.budget.pacing import Pacing
from actors.budget.wallet import WalletTerms
from actors.messages import (
    BudgetView,
    Forward,
    Fund,
    Funded,
    Heard,
    LinkDown,
    Released,
    Reserve,
    Reserved,
    Settled,
)
from config.campaigns import load_campaigns
from config.trade import PacingSettings
from supervision import Cell, LightActor, VirtualClock
from tests.money.worlds import Ledger, MemoryStore
from transport.messages import Click, Conversion, Loss, Win
from transport.money import (
    BudgetExhausted,
    CampaignStanding,
    LeaseClosed,
    LeaseRequest,
    ReleasedNotice,
    SettledNotice,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervision import Ref, Report

TERMS = WalletTerms(lease_s=5.0, lease_micros=400, max_lease_micros=800)
BUDGETS = {"autumn": 10_000, "winter": 300}


class Link(LightActor):
    """Stands for the link to the ledger: answers after ``delay_s`` from a ledger in memory."""

    def __init__(self, ledger: Ledger, delay_s: float) -> None:
        super().__init__()
        self.ledger = ledger
        self.delay_s = delay_s
        self.is_down = False
        self.forwarded: list[Forward] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, Forward):
            self.forwarded.append(message)
            if self.is_down:
                self.send(sender, LinkDown("disconnected", message.message))
            else:
                self.wake_after(self.delay_s, (message.message, sender))
        elif hasattr(message, "payload"):
            request, asker = message.payload
            (reply,) = self.ledger.handle([request], self.cell.clock())
            self.send(asker, reply)


class World:
    """A budget manager in a cell on virtual time."""

    def __init__(self, delay_s: float = 0.005) -> None:
        self.clock = VirtualClock(1_000.0)
        self.cell = Cell(self.clock, random.Random(0))
        self.ledger = Ledger(MemoryStore(), BUDGETS, self.clock())
        self.link = Link(self.ledger, delay_s)
        self.link_ref = self.cell.spawn(lambda: self.link, name="link")
        self.cell.registry.bind("link-ledger", self.link_ref)
        self.journal = Journal()
        self.liveness = Liveness(LivenessTerms(60.0, 5, 100))
        self.manager = self.start()

    def start(self, *, pacing: Pacing | None = None, **options: Any) -> Ref:
        kept = Kept(self.journal, pacing or Pacing.of_nothing(), self.liveness)
        self.manager = self.cell.spawn(
            lambda: BudgetManager(TERMS, "bidder-1", kept=kept, **options),
            name="budget-manager",
        )
        self.cell.run(max_s=0.0)
        return self.manager

    def tell(self, message: object) -> None:
        self.cell.outside.post(self.manager, message)
        self.cell.run(max_s=0.0)

    def answers(self) -> list[Any]:
        taken = [message for message, _ in self.cell.outside.mailbox]
        self.cell.outside.mailbox.clear()
        return taken

    def fund(self, *campaign_ids: str, within_s: float = 0.03) -> Mapping[str, int] | None:
        """Ask, wait until the deadline, and return the answer; None when there was none."""
        self.tell(Fund(campaign_ids, self.clock() + within_s))
        self.cell.run(max_s=within_s)
        answers = self.answers()
        return answers[0].spendable if answers else None

    def reserve(self, key: str, micros: int, campaign_id: str = "autumn") -> Reserved:
        self.tell(Reserve(key, campaign_id, micros, self.clock() + 0.01))
        (answer,) = self.answers()
        assert isinstance(answer, Reserved)
        return answer

    def asked(self) -> int:
        return sum(isinstance(forward.message, LeaseRequest) for forward in self.link.forwarded)


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_question_waits_for_the_lease_that_is_on_its_way(world: World) -> None:
    assert world.fund("autumn", "winter") == {"autumn": 400, "winter": 300}


def test_an_answer_comes_as_soon_as_the_lease_does(world: World) -> None:
    world.tell(Fund(("autumn",), world.clock() + 10.0))
    world.cell.run(max_s=0.0051)
    assert [type(answer) for answer in world.answers()] == [Funded]


def test_a_question_without_money_is_answered_before_its_deadline() -> None:
    slow = World(delay_s=1.0)
    assert slow.fund("autumn", within_s=0.03) == {}


def test_a_thousand_questions_wait_together_and_each_has_one_answer(world: World) -> None:
    for _ in range(1_000):
        world.cell.outside.post(world.manager, Fund(("autumn", "winter"), world.clock() + 0.03))
    world.cell.run(max_s=0.02)
    answers = world.answers()
    assert len(answers) == 1_000
    assert {answer.spendable.get("autumn") for answer in answers} == {400}
    assert world.asked() == 2


def test_a_question_for_which_there_is_no_time_is_answered_at_once(world: World) -> None:
    world.tell(Fund(("autumn",), world.clock() + 0.001))
    (answer,) = world.answers()
    assert answer.spendable == {}


def test_a_campaign_whose_lease_is_denied_is_not_waited_for(world: World) -> None:
    world.tell(Fund(("unknown",), world.clock() + 10.0))
    world.cell.run(max_s=0.006)
    (answer,) = world.answers()
    assert answer.spendable == {}


def test_nobody_waits_for_a_ledger_that_is_not_there(world: World) -> None:
    world.link.is_down = True
    world.tell(Fund(("autumn",), world.clock() + 10.0))
    (answer,) = world.answers()
    assert answer.spendable == {}
    world.cell.kill(world.link_ref)
    world.tell(Fund(("winter",), world.clock() + 10.0))
    (answer,) = world.answers()
    assert answer.spendable == {}


def test_money_flows_again_when_the_link_is_back(world: World) -> None:
    world.link.is_down = True
    world.fund("autumn")
    world.link.is_down = False
    world.cell.run(max_s=1.0)
    assert world.fund("autumn") == {"autumn": 400}


def test_a_link_that_dies_after_a_long_silence_costs_no_more_than_the_first_wait(
    world: World,
) -> None:
    world.link.delay_s = 1e9
    for _ in range(12):
        assert world.fund("autumn") == {}
        world.cell.run(max_s=1.0)
    world.cell.kill(world.link_ref)
    world.cell.run(max_s=0.01)
    world.link = Link(world.ledger, 0.005)
    world.cell.registry.bind("link-ledger", world.cell.spawn(lambda: world.link, name="link"))
    world.cell.run(max_s=TERMS.resend_s + 0.2)
    assert world.fund("autumn") == {"autumn": 400}


def test_without_a_ledger_bidding_stops_when_the_leases_end(world: World) -> None:
    world.fund("autumn")
    world.link.is_down = True
    world.cell.run(max_s=4.0)
    assert world.reserve("in time", 10).ok
    world.cell.run(max_s=2.0)
    assert not world.reserve("too late", 10).ok
    assert world.fund("autumn") == {}


def test_bidders_are_told_that_it_is_the_ledger_that_is_away(world: World) -> None:
    world.fund("autumn")
    world.link.delay_s = 1e9
    world.cell.run(max_s=4.9)
    world.tell(Fund(("autumn",), world.clock() + 0.03))
    assert world.answers() == [Funded({"autumn": 400}, {"autumn": BudgetView()})]
    world.cell.run(max_s=0.2)
    world.tell(Fund(("autumn", "winter"), world.clock() + 0.03))
    world.cell.run(max_s=0.03)
    assert world.answers() == [Funded({}, reason="ledger_away")]


def test_want_of_budget_is_not_the_ledgers_being_away(world: World) -> None:
    world.ledger.handle([LeaseRequest("other", "bidder-2", "winter", 300)], world.clock())
    world.tell(Fund(("winter",), world.clock() + 0.03))
    world.cell.run(max_s=0.03)
    assert world.answers() == [Funded({})]


def bid_unheard(world: World, seconds: int, exchange: str = "") -> list[bool]:
    """Bid once a second and hear nothing; tell which bids had money."""
    made = []
    for _ in range(seconds):
        world.cell.run(max_s=1.0)
        now_s = world.clock()
        world.tell(Fund(("autumn",), now_s + 0.03, exchange=exchange))
        world.tell(Reserve(f"bid-{now_s}", "autumn", 1, now_s + 0.03, exchange=exchange))
        made.append(world.answers()[-1].ok)
    return made


def test_bids_of_which_nothing_is_heard_slow_down_until_there_is_news(world: World) -> None:
    told: list[Report] = []
    world.cell.reporter = told.append
    world.liveness = Liveness(LivenessTerms(60.0, 5, 1))
    world.cell.kill(world.manager)
    silent: list[int] = []
    world.start(tell_silent=silent.append)
    world.fund("autumn")
    assert all(bid_unheard(world, 60, "loud"))
    world.cell.run(max_s=2.0)
    now_s = world.clock()
    assert world.manager.actor.describe()["silent"] == ["ledger", "loud"]
    world.tell(Reserve("large", "autumn", 30, now_s, exchange="loud"))
    assert world.answers()[-1].ok
    world.tell(Fund(("autumn",), now_s + 0.03, exchange="loud"))
    world.tell(Reserve("next", "autumn", 1, now_s, exchange="loud"))
    assert world.answers() == [
        Funded({}, reason="slow_mode"),
        Reserved("next", ok=False, reason="slow_mode"),
    ]
    world.tell(CampaignStanding("autumn", 9, 0, 0, 9, "2026-01-01", 0, None, 1.0))
    world.tell(Win("large"))
    assert all(bid_unheard(world, 3, "loud"))
    assert [report.kind for report in told] == ["slow_on", "slow_on", "slow_off", "slow_off"]
    assert "exchange loud has told nothing of 60 bids" in str(told[1].reason)
    assert (silent[0], max(silent), silent[-1]) == (0, 2, 0)


@pytest.mark.parametrize(
    "news",
    [
        Settled("key", 30),
        Released("key"),
        Win("key"),
        Heard(Loss("key")),
        Heard(Click("key")),
    ],
)
def test_any_word_of_a_bids_fate_is_news(world: World, news: object) -> None:
    world.fund("autumn")
    world.tell(Reserve("key", "autumn", 1, 0.0, exchange="e"))
    bid_unheard(world, 70, "e")
    assert "e" in world.manager.actor.describe()["silent"]
    world.tell(news)
    world.cell.run(max_s=0.2)
    assert "e" not in world.manager.actor.describe()["silent"]


def test_a_restart_does_not_make_silence_forgotten(world: World) -> None:
    world.fund("autumn")
    bid_unheard(world, 70, "e")
    world.cell.kill(world.manager)
    world.start()
    assert world.manager.actor.describe()["silent"] == ["ledger", "e"]


def test_campaigns_named_at_the_start_have_money_before_the_first_question(world: World) -> None:
    world.start(campaign_ids=["autumn", "winter"])
    world.cell.run(max_s=0.006)
    world.tell(Fund(("winter",), world.clock() + 0.03))
    (answer,) = world.answers()
    assert answer.spendable == {"winter": 300}


def test_a_reservation_names_its_lease_and_a_refusal_its_reason(world: World) -> None:
    world.fund("autumn")
    done = world.reserve("key", 100)
    assert done == Reserved("key", ok=True, lease_id="db-1")
    assert world.reserve("key", 100) == done
    assert world.reserve("other", 301) == Reserved("other", ok=False, reason="lease_spent")
    assert world.reserve("none", 1, "winter").reason == "no_lease"


@pytest.mark.parametrize(
    ("news", "left"),
    [
        (Settled("key", 30), 370),
        (SettledNotice("key", "autumn", "db-1", 30), 370),
        (Released("key"), 400),
        (ReleasedNotice("key", "autumn", "db-1"), 400),
    ],
)
def test_what_became_of_a_bid_changes_what_is_left(world: World, news: object, left: int) -> None:
    world.fund("autumn")
    world.reserve("key", 100)
    world.tell(news)
    world.tell(news)
    assert world.fund("autumn") == {"autumn": left}


def test_settlements_that_are_published_in_the_cell_are_heard(world: World) -> None:
    world.fund("autumn")
    world.reserve("won", 100)
    world.reserve("lost", 100)
    world.cell.topics.publish(world.link_ref, Settled("won", 30))
    world.cell.topics.publish(world.link_ref, Released("lost"))
    world.cell.run(max_s=0.0)
    assert world.fund("autumn") == {"autumn": 370}


def test_a_restarted_manager_goes_on_with_leases_and_reservations(world: World) -> None:
    world.fund("autumn")
    done = world.reserve("key", 100)
    world.cell.kill(world.manager)
    world.start()
    assert world.reserve("key", 100) == done
    assert world.fund("autumn") == {"autumn": 300}
    world.tell(Settled("key", 30))
    assert world.fund("autumn") == {"autumn": 370}
    assert world.ledger.clerk.campaigns["autumn"].leased_micros == 400


def test_a_lease_that_came_for_a_dead_manager_is_given_to_its_successor(world: World) -> None:
    world.tell(Fund(("autumn",), world.clock() + 0.03))
    world.cell.run(max_s=0.001)
    world.cell.kill(world.manager)
    world.cell.run(max_s=1.0)
    world.start()
    world.cell.run(max_s=0.01)
    assert world.fund("autumn") == {"autumn": 400}
    assert world.ledger.clerk.campaigns["autumn"].leased_micros == 400


def test_a_manager_that_can_not_repeat_the_journal_says_so_and_begins_with_nothing(
    world: World,
) -> None:
    told: list[Report] = []
    world.cell.reporter = told.append
    world.fund("autumn")
    world.reserve("key", 100)
    world.cell.kill(world.manager)
    world.journal.note("settled")
    world.journal.note("settled")
    world.start()
    assert [report.kind for report in told] == ["wallet_lost"]
    assert world.fund("autumn") == {"autumn": 400}
    assert world.ledger.clerk.campaigns["autumn"].leased_micros == 800


def test_a_journal_that_has_grown_long_is_replaced_by_what_it_led_to(world: World) -> None:
    world.fund("autumn")
    for number in range(MOST_CALLS):
        world.cell.outside.post(world.manager, Reserve(f"k{number}", "autumn", 1, 0.0))
        world.cell.outside.post(world.manager, Released(f"k{number}"))
        world.cell.run(max_s=0.0)
    assert len(world.journal) > MOST_CALLS
    world.cell.run(max_s=0.2)
    assert len(world.journal) < 10
    world.answers()
    world.cell.kill(world.manager)
    world.start()
    assert world.fund("autumn") == {"autumn": 400}


def test_leases_are_renewed_while_someone_asks_and_given_back_after(world: World) -> None:
    for _ in range(30):
        assert world.fund("autumn") == {"autumn": 400}
        world.cell.run(max_s=0.5)
    renewed = world.asked()
    assert 4 <= renewed <= 6
    world.cell.run(max_s=60.0)
    assert world.asked() <= renewed + 2
    assert world.ledger.clerk.campaigns["autumn"].leased_micros == 0


def test_a_polite_stop_sends_unused_money_home(world: World) -> None:
    world.fund("autumn")
    world.reserve("key", 100)
    world.cell.stop(world.manager)
    world.cell.run(max_s=0.01)
    assert world.ledger.clerk.campaigns["autumn"].leased_micros == 100


def test_an_answer_tells_the_pace_that_the_ledgers_word_makes(world: World) -> None:
    autumn = msgspec.structs.replace(
        load_campaigns()[0], id="autumn", daily_budget_micros=9_000, default_bid_micros=1
    )
    world.start(pacing=Pacing((autumn,), PacingSettings(start=0.5), UTC))

    def pace() -> float:
        world.tell(Fund(("autumn",), world.clock() + 0.03))
        world.cell.run(max_s=0.03)
        (answer,) = world.answers()
        assert isinstance(answer, Funded)
        return answer.budgets["autumn"].pace

    def standing(at_s: float, spent: int) -> CampaignStanding:
        left = 10_000 - spent
        return CampaignStanding("autumn", 10_000, spent, 0, left, "1970-01-02", spent, 9_000, at_s)

    assert pace() == 0.5
    world.tell(standing(86_400.0, 0))
    assert pace() == 0.5
    world.tell(standing(86_460.0, 100))
    assert pace() < 0.45
    (last,) = [each.message for each in world.link.forwarded][-1:]
    assert isinstance(last, LeaseRequest)


@pytest.mark.parametrize(
    ("news", "counts"),
    [
        (Conversion("key", campaign_id="autumn"), True),
        (Heard(Conversion("key", campaign_id="autumn")), True),
        (Conversion("key", campaign_id="autumn", test=True), False),
        (Heard(Click("key", campaign_id="autumn")), False),
    ],
)
def test_conversions_give_a_goal_its_pace_back_wherever_they_are_heard(
    world: World, news: object, *, counts: bool
) -> None:
    autumn = msgspec.structs.replace(
        load_campaigns()[0], id="autumn", goal_cpa_micros=1_000, value_per_conversion_micros=4_000
    )
    pacing = Pacing((autumn,), PacingSettings(), UTC)
    world.start(pacing=pacing)

    def spend(micros: int) -> float:
        world.tell(CampaignStanding("autumn", 10**9, micros, 0, 0, "1970-01-02", 0, None, micros))
        world.cell.run(max_s=0.01)
        return pacing.multiplier("autumn")

    assert spend(0) == 0.25
    poor = spend(20_000)
    assert poor < 0.1
    for _ in range(20):
        world.cell.topics.publish(world.cell.outside, news)
    assert (spend(20_001) > 1.5 * poor) == counts


def test_a_request_for_a_lease_tells_what_multipliers_its_bidder_has_come_to(
    world: World,
) -> None:
    autumn = msgspec.structs.replace(load_campaigns()[0], id="autumn", daily_budget_micros=9_000)
    world.start(pacing=Pacing((autumn,), PacingSettings(start=0.25), UTC))
    world.fund("autumn")
    first = world.link.forwarded[-1].message
    world.tell(CampaignStanding("autumn", 10_000, 0, 0, 10_000, "1970-01-02", 0, 9_000, 86_400.0))
    world.cell.run(max_s=30.0)
    world.fund("autumn")
    asked = [
        each.message for each in world.link.forwarded if isinstance(each.message, LeaseRequest)
    ]
    assert isinstance(first, LeaseRequest)
    assert first.pace == 0.0
    assert asked[-1].pace == 0.25


def test_news_for_others_and_strange_messages_change_nothing(world: World) -> None:
    world.fund("autumn")
    for message in (LeaseClosed("db-1", "autumn", 0), BudgetExhausted("autumn", 1, 1), object()):
        world.tell(message)
    assert world.fund("autumn") == {"autumn": 400}


def test_those_who_look_in_see_the_money_held(world: World) -> None:
    world.fund("autumn")
    world.reserve("key", 100)
    described = world.manager.actor.describe()
    assert described["held_micros"] == {"autumn": 400}
    assert described["reservations"] == 1
