"""The arena measured: is it like recorded logs, and do its advertisers differ as they should?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from models.arena.arena import Arena
from models.arena.replay import SHARES, compare
from models.arena.settings import ArenaSettings
from models.arena.traffic import draw_traffic
from models.evaluation import mean_interval
from models.pacing.evaluation import read_logs

if TYPE_CHECKING:
    from pathlib import Path

    from models.arena.landscapes import Landscapes
    from models.arena.settings import Kind
    from models.market.world import Floats
    from models.pacing.logs import Log

Rows = list[dict[str, Any]]

#: How far clicks and spend of the simulator may be from those of the log it is fitted to.
TOLERANCE: Final = 0.05
SEATED: Final[tuple[Kind, ...]] = ("truthful", "shaded", "paced")
_OTHERS: Final[tuple[Kind, ...]] = (
    *("truthful", "shaded", "shaded"),
    *("paced", "paced", "paced", "paced"),
)
_AUCTIONS: Final = 20_000


def evaluate_replay(folder: Path, seeds: int) -> Rows:
    """Return a row for each log, what the simulator was fitted to, and rule; sums over all shares.

    Args:
        folder: With the logs, as in `models.pacing.evaluation.read_logs`.
        seeds: How many times a simulator is played.

    Raises:
        EvaluationError: A log is missing or is not one.
    """
    rows: Rows = []
    for log, train in read_logs(folder):
        first, second = halves(log)
        unseen = ("first half", second, first) if train is None else ("training log", log, train)
        for name, replayed, known in (("itself", log, log), unseen):
            found = compare(replayed, known, SHARES, seeds)
            rules = dict.fromkeys(row["rule"] for row in found)
            rows += [
                _sums(log.name, name, [r for r in found if r["rule"] == rule]) for rule in rules
            ]
    return rows


def halves(log: Log) -> tuple[Log, Log]:
    """Return the first and the second half of a log's auctions."""
    middle = len(log.price) // 2
    first, second = (
        msgspec.structs.replace(log, price=log.price[s], click=log.click[s], pctr=log.pctr[s])
        for s in (slice(middle), slice(middle, None))
    )
    return first, second


def _sums(log: str, fitted_to: str, rows: Rows) -> dict[str, Any]:
    """Return what the log and the simulator gave over all shares, and how far they are apart."""
    totals = {
        side: {name: sum(row[side][name] for row in rows) for name in ("wins", "clicks", "spend")}
        for side in ("real", "simulated")
    }
    real, simulated = totals["real"], totals["simulated"]
    apart = {name: simulated[name] / max(real[name], 1.0) - 1.0 for name in real}
    return {
        "log": log,
        "fitted_to": fitted_to,
        "rule": rows[0]["rule"],
        **totals,
        "apart": apart,
        "within": max(abs(apart["clicks"]), abs(apart["spend"])) <= TOLERANCE,
        "by_share": {row["share"]: [row["real"], row["simulated"]] for row in rows},
    }


def evaluate_field(landscapes: Landscapes, seeds: int) -> Rows:
    """Return what one advertiser makes of the same runs with each kind of bidding.

    Args:
        landscapes: Prices of the rest of the market.
        seeds: How many runs; the others, the traffic and the luck are the same for all kinds.

    Returns:
        A row for each auction type and kind: surplus and its difference to `truthful`, as parts of
        the budget, with 95 % intervals over the runs; spend; and the most that anyone spent.
    """
    rows: Rows = []
    for first_price in (True, False):
        settings = ArenaSettings(
            kinds=("truthful", *_OTHERS), first_price=first_price, auctions=_AUCTIONS
        )
        runs = [draw_traffic(settings, seed, landscapes) for seed in range(1, seeds + 1)]
        found: dict[str, Floats] = {}
        for kind in SEATED:
            seated = msgspec.structs.replace(settings, kinds=(kind, *_OTHERS))
            arenas = [_played(Arena(seated, run, landscapes)) for run in runs]
            totals = np.array([arena.totals() for arena in arenas])  # (runs, 6, A)
            budget = arenas[0].budgets[0]
            found[kind] = (totals[:, 3, 0] - totals[:, 2, 0]) / budget
            rows.append(
                {
                    "auction": "first price" if first_price else "second price",
                    "kind": kind,
                    "surplus": mean_interval(found[kind]),
                    "more_than_truthful": mean_interval(found[kind] - found["truthful"]),
                    "spent": float(totals[:, 2, 0].mean() / budget),
                    "most_spent": float(totals[:, 2].max() / budget),
                }
            )
    return rows


def _played(arena: Arena) -> Arena:
    """Play a run in which nobody acts."""
    still = np.zeros(arena.settings.advertisers)
    while not arena.done:
        arena.step(still)
    return arena
