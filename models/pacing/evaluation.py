"""How well pacing rules do: on days of the sample world with waves of traffic, and on real logs.

Every rule meets the same auctions, and what one gains over another is a paired difference with its
interval by bootstrap over episodes. Nothing is tuned on what is reported, with one exception that
favours the other side: where a log has no training part, the linear rule gets the best base in
hindsight.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow.parquet

from config.campaigns import load_campaigns
from models.errors import EvaluationError
from models.evaluation import Interval
from models.market.day import HOURLY, day
from models.market.world import World
from models.pacing.controllers import DualDescent, Pid
from models.pacing.goals import GoalKeeper
from models.pacing.logs import Log, keep, linear, paced, value
from models.pacing.pacer import HORIZON_BIDS, Pacer
from models.pacing.plan import DAY_S, SpendPlan
from models.pacing.trial import Terms, run

if TYPE_CHECKING:
    from pathlib import Path

    from models.market.day import Day
    from models.pacing.controllers import Controller
    from models.pacing.logs import Played

#: The rules that are compared, with the horizon of each on a day (seconds); both were tuned on
#: other seeds.
CONTROLLERS: Final[dict[str, tuple[Pid | DualDescent, float]]] = {
    "pid": (Pid(), 600.0),
    "dual descent": (DualDescent(), 150.0),
}
PLANS: Final = {"even": SpendPlan(0.0, DAY_S), "traffic": SpendPlan(0.0, DAY_S, HOURLY)}
CAMPAIGNS: Final = ("campus-online", "stride-running", "velo-nord")
DAY_SHARES: Final = (1 / 32, 1 / 8, 1 / 4, 1 / 2)
DAY_AUCTIONS: Final = 400_000
#: What bids are multiplied with before anything is known; the first one is what is served.
STARTS: Final = (0.2, 1.0, 0.02)
LOG_HORIZON: Final = 100
LOG_SHARES: Final = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
#: Of what a click costs on average.
GOALS: Final = (0.4, 0.6, 0.8)
_UNLIMITED: Final = 10**15
_BASES: Final = np.geomspace(5.0, 250.0, 16)
_DRAWS: Final = 1_000

Table = list[dict[str, Any]]


class _PlayedDay(NamedTuple):
    """A day, what bidding the value costs on it, and a usual bid."""

    day: Day
    most_micros: float
    usual_bid_micros: int


def _pacer(rule: str, usual_bid_micros: int) -> Pacer | None:
    if rule not in CONTROLLERS:
        return None
    return Pacer(*CONTROLLERS[rule], horizon_micros=HORIZON_BIDS * usual_bid_micros)


def evaluate_days(seed: int, auctions: int = DAY_AUCTIONS) -> Table:
    """Return how each rule keeps to each plan, a row for each budget and plan.

    A budget is a share of what bidding the value all day would cost. Of several campaigns the worst
    counts for the plan and the end, the sum for what was bought. What a rule begins with must not
    matter after two hours, so each begins with several multipliers.

    Args:
        seed: Of the traffic.
        auctions: Of a day.
    """
    world = World()
    campaigns = {campaign.id: campaign for campaign in load_campaigns()}
    days = []
    for number, name in enumerate(CAMPAIGNS):
        campaign = campaigns[name]
        rng = np.random.default_rng((seed, number))
        drawn = day(
            world, world.ads([campaign]), campaign.value_per_conversion_micros, auctions, rng
        )
        unlimited = run(drawn, Terms(PLANS["even"], _UNLIMITED), None)
        days.append(_PlayedDay(drawn, unlimited.spent_micros, campaign.default_bid_micros))
    return [
        _day_row(plan, share, rule, days)
        for plan in PLANS
        for share in DAY_SHARES
        for rule in ("unpaced", *CONTROLLERS)
    ]


def _day_row(plan: str, share: float, rule: str, days: list[_PlayedDay]) -> dict[str, Any]:
    """Return what one rule makes of one plan and budget, over all days and starts."""
    starts = STARTS if rule in CONTROLLERS else STARTS[:1]
    by_start = [
        [
            run(
                each.day,
                Terms(PLANS[plan], int(each.most_micros * share), math.log(start)),
                _pacer(rule, each.usual_bid_micros),
            )
            for each in days
        ]
        for start in starts
    ]
    ends = [trial.spent_micros / trial.budget_micros for trials in by_start for trial in trials]
    usual = by_start[0]
    return {
        "plan": plan,
        "budget": f"1/{round(1 / share)}",
        "rule": rule,
        "worst_off_plan": {
            str(start): max(trial.worst_from_second_hour for trial in trials)
            for start, trials in zip(starts, by_start, strict=True)
        },
        "least_spent": min(ends),
        "most_spent": max(ends),
        "clicks": sum(trial.clicks for trial in usual),
        "conversions": sum(trial.conversions for trial in usual),
        "surplus_micros": sum(trial.surplus_micros for trial in usual),
    }


def evaluate_logs(folder: Path, seed: int) -> Table:
    """Return what each rule makes of each log, a row for each of them over all budgets.

    Args:
        folder: With the logs, as in `read_logs`.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: A log is missing or is not one.
    """
    rows: Table = []
    for test, train in read_logs(folder):
        shares = LOG_SHARES if train is not None else LOG_SHARES[1:]
        played = _play_all(test, train, shares)
        rng = np.random.default_rng(seed)
        for rule, results in played.items():
            row: dict[str, Any] = {"log": test.name, "rule": rule}
            row["clicks"] = sum(int(each.clicks.sum()) for each in results)
            row["by_budget"] = {
                f"1/{round(1 / share)}": int(each.clicks.sum())
                for share, each in zip(shares, results, strict=True)
            }
            budget = sum(each.budget * test.episodes for each in results)
            row["spent"] = sum(float(each.cost.sum()) for each in results) / budget
            row["most_of_an_episode"] = max(
                float((each.cost / each.budget).max()) for each in results
            )
            row["more_than_value"] = _gain(results, played["value, unpaced"], rng)
            row["more_than_linear"] = _gain(results, played["linear, unpaced"], rng)
            rows.append(row)
    return rows


def evaluate_goals(folder: Path) -> Table:
    """Return what clicks cost on each log where they have a goal, with and without feedback.

    Args:
        folder: With the logs, as in `read_logs`.

    Raises:
        EvaluationError: A log is missing or is not one.
    """
    rows: Table = []
    for test, _ in read_logs(folder):
        usual = test.mean_price / test.click_rate
        for share in GOALS:
            goal = share * usual
            for rule, keeper in (("chances only", None), ("feedback", GoalKeeper())):
                kept = keep(test, goal, keeper)
                rows.append(
                    {
                        "log": test.name,
                        "goal": goal,
                        "rule": rule,
                        "of_goal": kept.cost / max(kept.clicks, 1) / goal,
                        "clicks": kept.clicks,
                    }
                )
    return rows


def _play_all(test: Log, train: Log | None, shares: tuple[float, ...]) -> dict[str, list[Played]]:
    """Return what each rule makes of each budget."""
    rules = {
        "value, unpaced": [value(test, share) for share in shares],
        "linear, unpaced": [linear(test, share, _tuned(train or test, share)) for share in shares],
        "constant, pid": [_paced_constant(test, share) for share in shares],
    }
    for name, (controller, _) in CONTROLLERS.items():
        rules[name] = [_paced(test, share, controller) for share in shares]
    return rules


def _paced(log: Log, share: float, controller: Controller) -> Played:
    return paced(log, share, controller, LOG_HORIZON)


def _paced_constant(log: Log, share: float) -> Played:
    """Pace a bid that knows nothing of the impression, to see what the prediction is worth."""
    blind = msgspec.structs.replace(log, pctr=np.full(len(log.pctr), log.click_rate))
    return paced(blind, share, Pid(), LOG_HORIZON)


def _tuned(log: Log, share: float) -> float:
    """Return the base of the linear rule that wins most clicks; of equals the cheapest."""
    results = [linear(log, share, float(base)) for base in _BASES]
    best = max(
        range(len(_BASES)), key=lambda at: (results[at].clicks.sum(), -results[at].cost.sum())
    )
    return float(_BASES[best])


def _gain(ours: list[Played], theirs: list[Played], rng: np.random.Generator) -> Interval:
    """Return the clicks won more, with a 95 % interval by paired bootstrap over episodes."""
    by_episode = np.array(
        [mine.clicks - other.clicks for mine, other in zip(ours, theirs, strict=True)]
    ).sum(axis=0)
    drawn = rng.integers(0, len(by_episode), (_DRAWS, len(by_episode)))
    sums = by_episode[drawn].sum(axis=1)
    low, high = np.quantile(sums, (0.025, 0.975))
    return Interval(float(by_episode.sum()), float(low), float(high))


def read_logs(folder: Path) -> list[tuple[Log, Log | None]]:
    """Read the logs of campaigns 2997 and 1458: test part, and training part if there is one.

    Args:
        folder: Has ``ipinyou_2997_test``, ``ipinyou_sam``, ``ipinyou_1458_multiexchange`` and
            ``ipinyou_price_histograms``.

    Raises:
        EvaluationError: A log is missing or is not one.
    """
    histograms = _read(folder, "ipinyou_price_histograms/train_market_price_hist.parquet")
    stats = (folder / "ipinyou_price_histograms/campaign_stats.csv").read_text(encoding="utf-8")
    names = stats.splitlines()[0].split(",")
    lines = [dict(zip(names, line.split(","), strict=True)) for line in stats.splitlines()[1:]]
    known = next(line for line in lines if line["campaign"] == "2997")
    shown = float(known["imp_train"])
    facts = float(known["cost_train"]) / shown, float(known["clk_train"]) / shown
    columns = _read(folder, "ipinyou_2997_test/auctions.parquet")
    found: list[tuple[Log, Log | None]] = [
        (_log("2997", columns, facts, histograms["2997"].astype(np.float64)), None)
    ]
    for name, place in (
        ("1458 sam", "ipinyou_sam/1458_{}.parquet"),
        ("1458 multiexchange", "ipinyou_1458_multiexchange/{}.parquet"),
    ):
        train = _read(folder, place.format("train"))
        facts = float(train["market_price"].mean()), float(train["click"].mean())
        histogram = np.bincount(train["market_price"].astype(np.int64), minlength=301)
        prices = histogram.astype(np.float64)
        test = _read(folder, place.format("test"))
        found.append((_log(name, test, facts, prices), _log(name, train, facts, prices)))
    return found


def _log(name: str, columns: dict[str, Any], facts: tuple[float, float], histogram: Any) -> Log:
    return Log(
        name,
        columns["market_price"].astype(np.int64),
        columns["click"].astype(np.int64),
        columns["pctr"].astype(np.float64),
        *facts,
        histogram,
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    """Return the columns of a file.

    Raises:
        EvaluationError: It can't be read.
    """
    try:
        table = pyarrow.parquet.read_table(folder / name)
    except (OSError, pyarrow.ArrowException) as error:
        raise EvaluationError(f"cannot read {folder / name}: {error}; give its folder") from error
    return {column: table[column].to_numpy() for column in table.column_names}
