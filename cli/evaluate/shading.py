"""``bidwright evaluate shading``: what wins, and what bids below their value earn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import CommandError
from cli.output import emit, output_option, print_facts, print_table, say


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with train.parquet and test.parquet: bid, market_price, and facts as text.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@output_option
def shading(data: Path, seed: int, output: str) -> None:
    """Learn the price to beat from censored bids, and shade first-price bids by it.

    Only what a bidder sees is learnt from: prices where it won. The table tells how well two models
    foretell held-back auctions, and what rules of bidding earn of all that there was to earn.
    """
    import msgspec

    from models.errors import ModelError
    from models.landscape.evaluation import evaluate_shading

    say("fitting on the first half of the log ...")
    try:
        found = msgspec.to_builtins(evaluate_shading(data, seed))
    except ModelError as error:
        raise CommandError(str(error)) from error
    emit(found, output, _print)


def _print(found: dict[str, Any]) -> None:
    headings = ("model", "log-loss of winning", "below Kaplan-Meier", "ANLP", "seconds")
    print_table(headings, (_fit_cells(row) for row in found["fits"]))
    values = tuple(found["shading"][0]["share"])
    names = (f"at {value}" for value in values)
    print_table(
        ("rule", *names, "mean", "the model earns more by"),
        (_rule_cells(row) for row in found["shading"]),
    )
    print_facts([("log", found["log"]), ("learnt from", found["train"]), ("on", found["test"])])


def _fit_cells(row: dict[str, Any]) -> tuple[object, ...]:
    losses = (_interval(row["log_loss"]), _interval(row["beats_kaplan_meier"]))
    return (row["model"], *losses, f"{row['anlp']:.2f}", f"{row['seconds']:.1f}")


def _rule_cells(row: dict[str, Any]) -> tuple[object, ...]:
    shares = (f"{share:.3f}" for share in row["share"].values())
    return (row["rule"], *shares, f"{row['mean']:.3f}", _interval(row["model_is_better_by"]))


def _interval(interval: dict[str, float]) -> str:
    return f"{interval['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
