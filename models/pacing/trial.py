"""A day of one campaign, bid by bid: what a pacing rule makes of auctions that are known.

The bidder of a trial sees what a real one does: at each tick what was settled so far, and that is
less than what it won, since a win is booked some time after its bid. Its budget is as hard as the
ledger's: a bid leaves only while spend and open bids together stay within it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.pacing.pacer import PaceState

if TYPE_CHECKING:
    from models.market.day import Day
    from models.pacing.pacer import Pacer
    from models.pacing.plan import SpendPlan

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TICK_S: Final = 10.0
#: In first price a bid is this share of what it was worth; how well that is shaded is not pacing's.
FIRST_PRICE_SHARE: Final = 0.7
SETTLED_AFTER_S: Final = 30.0
FROM_S: Final = 7_200.0


class Terms(NamedTuple):
    """What a campaign has to keep to.

    Attributes:
        plan: Of its day.
        budget_micros: Of its day.
        start_level: Level of its bids before anything is known.
    """

    plan: SpendPlan
    budget_micros: int
    start_level: float = 0.0


class Trial(msgspec.Struct, frozen=True):
    r"""What became of a campaign's day.

    Attributes:
        spent_micros: In all.
        budget_micros: It could have been.
        worst_from_second_hour: Largest distance of spend and plan at any tick after two hours,
            as a share of the plan.
        clicks: Expected clicks of what was won.
        conversions: Expected conversions of what was won.
        surplus_micros: Value less price of what was won.
        won: Impressions.
        spend_micros: Spent by the end of each tick, shape ``(T,)``.
        level: Of the bids in each tick, shape ``(T,)``.
    """

    spent_micros: float
    budget_micros: int
    worst_from_second_hour: float
    clicks: float
    conversions: float
    surplus_micros: float
    won: int
    spend_micros: Floats
    level: Floats


def run(day: Day, terms: Terms, pacer: Pacer | None) -> Trial:
    """Bid through a day.

    Args:
        day: Its auctions.
        terms: Plan and budget.
        pacer: None bids the value until the budget is gone.
    """
    edges = np.arange(0.0, terms.plan.ends_s + TICK_S / 2, TICK_S)
    bounds = np.searchsorted(day.at_s, edges)
    spend, levels = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    taken = np.zeros(len(day.at_s), dtype=bool)
    state = PaceState(0.0, 0, terms.start_level if pacer else 0.0)
    spent = 0.0
    late = int(SETTLED_AFTER_S / TICK_S)
    for tick, (first, last) in enumerate(pairwise(bounds.tolist())):
        if pacer is not None and tick:
            settled = int(spend[tick - late]) if tick >= late else 0
            state = pacer.step(state, terms.plan, terms.budget_micros, edges[tick], settled)
        won, cost = _tick(day, slice(first, last), np.exp(state.level), terms.budget_micros - spent)
        taken[first:last] = won
        spent += cost
        spend[tick], levels[tick] = spent, state.level
    return _trial(day, terms, taken, spend, levels)


def _tick(day: Day, part: slice, multiplier: float, left_micros: float) -> tuple[Bools, float]:
    """Return which of a tick's auctions are won, and what that costs."""
    worth = day.value_micros[part] * multiplier
    bid = np.where(day.first_price[part], FIRST_PRICE_SHARE * worth, worth)
    needed = day.needed_micros[part]
    won = bid >= needed
    price = np.where(day.first_price[part], bid, needed) * won
    if price.sum() > left_micros:
        # Money is set aside for each bid in its turn; who comes too late gets none.
        won &= np.cumsum(price) <= left_micros
        price *= won
    return won, float(price.sum())


def _trial(day: Day, terms: Terms, taken: Bools, spend: Floats, levels: Floats) -> Trial:
    ends = (np.arange(len(spend)) + 1.0) * TICK_S
    planned = terms.budget_micros * np.array([terms.plan.share(end) for end in ends])
    late = ends >= FROM_S
    off = np.abs(spend[late] - planned[late]) / np.maximum(planned[late], 1.0)
    return Trial(
        float(spend[-1]),
        terms.budget_micros,
        float(off.max()),
        float(day.click[taken].sum()),
        float(day.conversion[taken].sum()),
        float(day.value_micros[taken].sum() - spend[-1]),
        int(taken.sum()),
        spend,
        levels,
    )
