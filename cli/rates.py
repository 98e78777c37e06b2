"""``bidwright rates``: what currencies are worth to the node, and a new table for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from cli.errors import InvalidInputError
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts, print_table

if TYPE_CHECKING:
    from config.rates import RateTable

_MICROS: float = 1e6
_READABLE = 0o644


@click.group()
def rates() -> None:
    """Show and renew the table of exchange rates."""


@rates.command()
@output_option
@node_options
def show(node: Node, output: str) -> None:
    """Show the rates that the node goes by, in US dollars for one unit.

    Exit code 4 when the table is not valid.
    """
    from config.rates import load_rates

    path = _configured(node)
    emit(_summary(load_rates(path), path), output, _print)


@rates.command()
@click.argument("file", type=click.File("rb"))
@output_option
@node_options
def update(node: Node, file: BinaryIO, output: str) -> None:
    """Check the rates in FILE (- for standard input) and put them in the place of the node's table.

    FILE has the format of Prebid's currency files: {"dataAsOf": "...", "conversions": {"USD":
    {"EUR": 0.86}}}. A running node reads them by itself, within `market.rates_check_s`. Exit code 4
    when they are not valid; then the old table stays.
    """
    from config.rates import MOST_BYTES, rates_in

    path = _configured(node)
    if path is None:
        raise InvalidInputError(
            "the node goes by the sample table of the package, which is not for writing; name a "
            "file of your own (market.rates in the settings file, or --set market.rates=FILE with "
            "`bidwright up`), and start the node with it"
        )
    content = file.read(MOST_BYTES + 1)
    table = rates_in(content, getattr(file, "name", "FILE"))
    _replace(path, content)
    emit(_summary(table, path), output, _print)


def _configured(node: Node) -> Path | None:
    return node.running_settings().market.rate_file


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds the old or the new one, and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), _READABLE)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _summary(table: RateTable, path: Path | None) -> dict[str, Any]:
    return {
        "file": str(path) if path is not None else "",
        "as_of": table.as_of,
        "dollars": {code: micros / _MICROS for code, micros in sorted(table.micros.items())},
    }


def _print(summary: dict[str, Any]) -> None:
    rows = [(code, f"{dollars:.6f}") for code, dollars in summary["dollars"].items()]
    print_table(("currency", "dollars for one"), rows)
    file = summary["file"] or "the sample of the package"
    print_facts([("file", file), ("as of", summary["as_of"] or "it does not say")])
