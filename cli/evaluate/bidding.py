"""``bidwright evaluate bidding``: published bidding rules beside each other on recorded prices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import CommandError
from cli.output import emit, output_option, print_table, say


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with the iPinYou logs.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Seed of the bootstrap.",
)
@output_option
def bidding(data: Path, seed: int, output: str) -> None:
    """Play bidding rules against recorded auctions, second price, with a budget an episode.

    Clicks are summed over the budgets; differences have a 95 % interval by paired bootstrap over
    episodes.
    """
    import msgspec

    from models.bidding.evaluation import evaluate_bidding
    from models.errors import ModelError

    say("playing the logs ...")
    try:
        rows = evaluate_bidding(data, seed)
    except ModelError as error:
        raise CommandError(str(error)) from error
    emit({"rules": msgspec.to_builtins(rows, enc_hook=float)}, output, _print)


def _print(found: dict[str, Any]) -> None:
    headings = ("log", "rule", "clicks", "over lin", "over rlb", "spent", "by budget")
    print_table(headings, (_cells(row) for row in found["rules"]))


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    gains = (_gain(row["more_than_lin"]), _gain(row["more_than_rlb"]))
    by_budget = "/".join(str(clicks) for clicks in row["by_budget"].values())
    return (row["log"], row["rule"], row["clicks"], *gains, f"{row['spent']:.1%}", by_budget)


def _gain(interval: dict[str, float]) -> str:
    return f"{interval['mean']:+.0f} [{interval['low']:+.0f}, {interval['high']:+.0f}]"
