"""``bidwright train``: make a model's weights again on the sample world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import CommandError
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts, say

MODELS = ("profiler", "selector", "optimizer")


@click.command()
@click.argument("model", type=click.Choice(MODELS))
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of world and training.")
@click.option("--steps", type=click.IntRange(min=1), help="Training steps; each model has its own.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the weights; by default models/MODEL in the node's folder.",
)
@output_option
@node_options
def train(node: Node, model: str, output: str, **options: Any) -> None:
    """Train MODEL on the sample world and write its weights and manifest."""
    from models.errors import ModelError
    from models.training import train as train_model

    out: Path = options["out"] or node.paths().data_dir / "models" / model
    say(f"training {model} ...")
    try:
        metrics = train_model(model, seed=options["seed"], out_dir=out, steps=options["steps"])
    except ModelError as error:
        raise CommandError(str(error)) from error
    emit({"model": model, "out": str(out), "metrics": metrics}, output, _print)


def _print(result: dict[str, Any]) -> None:
    print_facts([("model", result["model"]), ("written to", result["out"])])
    print_facts(result["metrics"].items())
