"""``bidwright evaluate fraud``: are scores of invalid traffic chances, and who is refused?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import InvalidInputError
from cli.output import emit, output_option, print_facts, print_table


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Requests with user_agent, ip, device_kind, recent (of the source in a minute) and invalid"
    " (0 or 1); without it they are made.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@output_option
def fraud(data: Path | None, seed: int, output: str) -> None:
    """Measure the rules against invalid traffic, and calibrate their score.

    Calibration is fitted on one half of the requests and measured on the other. Made requests show
    that calibration works, not how much invalid traffic the rules find in the world.
    """
    import msgspec

    from models.errors import ModelError
    from models.fraud_evaluation import evaluate_fraud

    try:
        found = msgspec.to_builtins(evaluate_fraud(data, seed))
    except ModelError as error:
        raise InvalidInputError(str(error)) from error
    emit(found, output, _print)


def _print(found: dict[str, Any]) -> None:
    facts = [
        ("requests", f"{found['source']}: {found['measured']:,} measured"),
        ("invalid", f"{found['invalid']:.1%}"),
        ("refused of the invalid", f"{found['refused']:.1%}"),
        ("refused of the valid", f"{found['refused_wrongly']:.2%}"),
    ]
    print_facts(facts)
    print_table(("chance", "log-loss", "calibration error", "AUC"), map(_cells, found["rows"]))


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    error = f"{row['calibration_error']:.4f}"
    return (row["model"], f"{row['log_loss']:.4f}", error, f"{row['auc']:.3f}")
