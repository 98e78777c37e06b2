"""``bidwright train``: make a model's weights again on the sample world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import CommandError
from cli.node import Node, node_options
from cli.numbers import FiniteRange
from cli.output import emit, output_option, print_facts, print_table, say
from models import TRAINABLE

_SHIPPED_SEED = 7


@click.command()
@click.argument("model", type=click.Choice(TRAINABLE))
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=_SHIPPED_SEED,
    show_default=True,
    help="Seed of the training; the default is that of the shipped weights.",
)
@click.option(
    "--scale",
    type=FiniteRange(min=0, min_open=True, max=10),
    default=1.0,
    show_default=True,
    help="Share of the usual amount of data and steps, for a quick try.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that gets a folder MODEL; by default `models` in the node's folder.",
)
@output_option
@node_options
def train(node: Node, model: str, output: str, **options: Any) -> None:
    """Train MODEL on the sample world, measure it beside its baselines, and write it."""
    import msgspec

    from models.errors import ModelError
    from models.training import train as train_model

    out: Path = options["out"] or node.paths().data_dir / "models"
    out.mkdir(parents=True, exist_ok=True)
    say(f"training the {model} with seed {options['seed']} ...")
    try:
        report = train_model(model, options["seed"], out, scale=options["scale"])
    except ModelError as error:
        raise CommandError(str(error)) from error
    # Metrics may be numbers of numpy.
    emit(msgspec.to_builtins(report, enc_hook=float), output, _print)


def _print(report: dict[str, Any]) -> None:
    manifest = report["manifest"]
    print_facts([("version", manifest.get("version")), ("written to", report["folder"])])
    headings = ("model or baseline", "metric", "mean", "95 % interval")
    rows = [
        (row, metric, f"{value['mean']:.4g}", _interval(value))
        for row, metrics in report["table"].items()
        for metric, value in metrics.items()
    ]
    print_table(headings, rows)


def _interval(value: dict[str, float]) -> str:
    """Return the bounds of a mean; a number that is no mean of several has none."""
    low, high = f"{value['low']:.4g}", f"{value['high']:.4g}"
    return f"{low} to {high}" if low != high else ""
