"""How well does spend follow its plan, over several days, and what does pacing cost a bidder?

Plays the days of ``bidwright evaluate pacing`` with several seeds (other traffic, other surges),
with ``--data`` the recorded logs, too, and measures the work of a word of the ledger and of a bid.

Run: ``python benchmarks/bench_pacing.py [--seeds N] [--data DIR]``; tables go to stderr, JSON to
stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
import timeit
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.budget.pacing import Pacing
from config.campaigns import load_campaigns
from config.trade import PacingSettings
from models.pacing.evaluation import evaluate_days, evaluate_goals, evaluate_logs
from transport.money import CampaignStanding

FIRST_SEED = 100
WORDS = 20_000
STARTS = datetime(2026, 11, 23, tzinfo=UTC)


def days(seeds: int) -> list[dict[str, Any]]:
    """Return each rule's worst of all seeds, from the bids' usual start, and the least spent."""
    worst: dict[tuple[str, str, str], dict[str, Any]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for row in evaluate_days(seed):
            name = (row["plan"], row["budget"], row["rule"])
            found = worst.setdefault(
                name,
                {"plan": name[0], "budget": name[1], "rule": name[2], "off": 0.0, "spent": 1.0},
            )
            found["off"] = max(found["off"], *row["worst_off_plan"].values())
            found["spent"] = min(found["spent"], row["least_spent"])
            assert row["most_spent"] <= 1.0, "spend above the budget"
        print(f"seed {seed} played", file=sys.stderr)
    return list(worst.values())


def cost() -> dict[str, float]:
    """Return what a word of the ledger and a bid cost, in microseconds."""
    campaign = msgspec.structs.replace(
        load_campaigns()[0], starts_at=STARTS, ends_at=STARTS + timedelta(days=1)
    )
    pacing = Pacing((campaign,), PacingSettings(), UTC)
    budget, begins_s = campaign.budget_micros, STARTS.timestamp()
    words = [
        CampaignStanding(
            campaign.id, budget, number * 1_000, 0, 0, "2026-11-23", number * 1_000, None,
            begins_s + number,
        )
        for number in range(WORDS)
    ]  # fmt: skip
    coming = iter(words)
    heard_s = timeit.timeit(lambda: pacing.hear(next(coming)), number=WORDS)
    asked_s = timeit.timeit(lambda: pacing.multiplier(campaign.id), number=WORDS)
    return {"word_us": 1e6 * heard_s / WORDS, "bid_us": 1e6 * asked_s / WORDS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"cost": cost(), "days": days(arguments.seeds)}
    if arguments.data is not None:
        found["logs"] = evaluate_logs(arguments.data, 1)
        found["goals"] = evaluate_goals(arguments.data)
    costs = found["cost"]
    told = f"a word of the ledger {costs['word_us']:.1f} us, a bid {costs['bid_us']:.2f} us"
    print(told, file=sys.stderr)
    for row in found["days"]:
        print(
            f"{row['plan']:8} {row['budget']:5} {row['rule']:13} worst off plan {row['off']:7.1%}, "
            f"least spent {row['spent']:.2%}",
            file=sys.stderr,
        )
    print(json.dumps(msgspec.to_builtins(found, enc_hook=float)))


if __name__ == "__main__":
    main()
