"""``bidwright evaluate arena``: is the arena like recorded logs, and do its advertisers differ?"""

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
    help="Folder with the iPinYou logs and price histograms; without it only made-up prices.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2, max=1_000),
    default=20,
    show_default=True,
    help="Runs of the arena.",
)
@output_option
def arena(data: Path | None, seeds: int, output: str) -> None:
    """Play recorded logs and their simulators, and one advertiser of each kind against others.

    `replay`: the same advertiser in a log's auctions and in those of a simulator fitted to it.
    `field`: surplus as a part of the budget; others, traffic and luck are the same for each kind.
    """
    import msgspec

    from models.arena import read_landscapes, synthetic_landscapes
    from models.arena.evaluation import evaluate_field, evaluate_replay
    from models.errors import ModelError

    found: dict[str, Any] = {"replay": []}
    try:
        landscapes = synthetic_landscapes() if data is None else read_landscapes(data)
        if data is not None:
            say("playing the logs ...")
            found["replay"] = evaluate_replay(data, seeds)
    except ModelError as error:
        raise CommandError(str(error)) from error
    say("playing the arena ...")
    found["field"] = evaluate_field(landscapes, seeds)
    emit(msgspec.to_builtins(found, enc_hook=float), output, _print)


def _print(found: dict[str, Any]) -> None:
    if found["replay"]:
        headings = (
            "log",
            "fitted to",
            "rule",
            "clicks",
            "simulated",
            "apart",
            "spend apart",
            "5 %",
        )
        print_table(headings, (_replay_cells(row) for row in found["replay"]))
    fields = ("auction", "kind", "surplus", "more than truthful", "spent", "most spent")
    print_table(fields, (_field_cells(row) for row in found["field"]))


def _replay_cells(row: dict[str, Any]) -> tuple[object, ...]:
    clicks = (f"{row['real']['clicks']:.0f}", f"{row['simulated']['clicks']:.1f}")
    apart = (f"{row['apart']['clicks']:+.1%}", f"{row['apart']['spend']:+.1%}")
    within = "within" if row["within"] else "outside"
    return (row["log"], row["fitted_to"], row["rule"], *clicks, *apart, within)


def _field_cells(row: dict[str, Any]) -> tuple[object, ...]:
    intervals = (_interval(row["surplus"]), _interval(row["more_than_truthful"]))
    return (
        row["auction"],
        row["kind"],
        *intervals,
        f"{row['spent']:.1%}",
        f"{row['most_spent']:.2%}",
    )


def _interval(interval: dict[str, float]) -> str:
    return f"{interval['mean']:+.2f} [{interval['low']:+.2f}, {interval['high']:+.2f}]"
