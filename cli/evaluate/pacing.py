"""``bidwright evaluate pacing``: how well spend follows its plan, and what it buys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import CommandError
from cli.output import dollars, emit, output_option, print_table, say

_SEED = 1


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the iPinYou logs; without it only days of the sample world are played.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=_SEED,
    show_default=True,
    help="Seed of the traffic.",
)
@click.option(
    "--auctions",
    type=click.IntRange(min=1_000, max=5_000_000),
    default=400_000,
    show_default=True,
    help="Auctions of a day.",
)
@output_option
def pacing(data: Path | None, seed: int, auctions: int, output: str) -> None:
    """Play pacing rules against days with waves of traffic, and against recorded prices.

    `worst` is how far spend was from its plan at any moment from the second hour on, for bids that
    begin at 0.2, 1 and 0.02 of the value; `end` is what was spent of the budget: the least and the
    most of all campaigns.
    """
    import msgspec

    from models.errors import ModelError
    from models.pacing.evaluation import evaluate_days, evaluate_goals, evaluate_logs

    found: dict[str, Any] = {"days": [], "logs": [], "goals": []}
    if data is not None:
        say("playing the logs ...")
        try:
            found["logs"] = evaluate_logs(data, seed)
            found["goals"] = evaluate_goals(data)
        except ModelError as error:
            raise CommandError(str(error)) from error
    say("playing days of the sample world ...")
    found["days"] = evaluate_days(seed, auctions)
    emit(msgspec.to_builtins(found, enc_hook=float), output, _print)


def _print(found: dict[str, Any]) -> None:
    headings = ("plan", "budget", "rule", "worst", "end", "clicks", "conversions", "surplus")
    print_table(headings, (_day_cells(row) for row in found["days"]))
    if found["logs"]:
        of_logs = ("log", "rule", "clicks", "over value", "over linear", "spent", "by budget")
        print_table(of_logs, (_log_cells(row) for row in found["logs"]))
        of_goals = ("log", "cost of a click", "rule", "of goal", "clicks")
        print_table(of_goals, (_goal_cells(row) for row in found["goals"]))


def _day_cells(row: dict[str, Any]) -> tuple[object, ...]:
    worst = " / ".join(f"{share:.1%}" for share in row["worst_off_plan"].values())
    end = f"{row['least_spent']:.2%} - {row['most_spent']:.2%}"
    bought = (
        round(row["clicks"]),
        round(row["conversions"]),
        dollars(round(row["surplus_micros"], -4)),
    )
    return (row["plan"], row["budget"], row["rule"], worst, end, *bought)


def _log_cells(row: dict[str, Any]) -> tuple[object, ...]:
    gains = (_gain(row["more_than_value"]), _gain(row["more_than_linear"]))
    by_budget = "/".join(str(clicks) for clicks in row["by_budget"].values())
    return (row["log"], row["rule"], row["clicks"], *gains, f"{row['spent']:.1%}", by_budget)


def _goal_cells(row: dict[str, Any]) -> tuple[object, ...]:
    return (row["log"], round(row["goal"]), row["rule"], f"{row['of_goal']:.1%}", row["clicks"])


def _gain(interval: dict[str, float]) -> str:
    return f"{interval['mean']:+.0f} [{interval['low']:+.0f}, {interval['high']:+.0f}]"
