"""Two ways to print a result: a table for people, JSON for scripts. Data only, on stdout."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

_WIDTH_OF_A_PIPE = 140

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the result.",
)


def emit(value: object, output: str, render: Callable[[Any], None]) -> None:
    """Print ``value`` as JSON, or let ``render`` print it for a person."""
    if output == "json":
        print_json(value)
    else:
        render(value)


def print_json(value: object) -> None:
    """Print ``value`` as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(message: str) -> None:
    """Tell the person something that is not data: on stderr."""
    click.echo(message, err=True)


def console() -> Console:
    """Return a console on stdout; a pipe is plain and as wide as a wide terminal."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return Console(width=width, highlight=False, file=sys.stdout)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
) -> None:
    """Print rows under headings; cells that are numbers stand on the right.

    Args:
        headings: One for each column.
        rows: Cells; ``None`` is printed as nothing.
        title: A line above the table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    listed = [list(row) for row in rows]
    for index, heading in enumerate(headings):
        cells = [row[index] for row in listed]
        numeric = any(isinstance(cell, int | float) for cell in cells)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text("" if cell is None else _text(cell)) for cell in row))
    output = console()
    with output.capture() as captured:
        output.print(table)
    for line in captured.get().splitlines():
        if line.strip():
            click.echo(line.rstrip())


def print_facts(facts: Iterable[tuple[str, object]], title: str | None = None) -> None:
    """Print names and values, one pair a line, values aligned."""
    listed = list(facts)
    if title:
        click.echo(title)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        click.echo(f"  {name:<{width}}  {_text(value)}")


def dollars(micros: int) -> str:
    """Return an amount in micros of a US dollar as people write it."""
    return (
        f"${micros / 1_000_000:,.6f}".rstrip("0").rstrip(".")
        if micros % 10_000
        else (f"${micros / 1_000_000:,.2f}")
    )


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.3f}".rstrip("0").rstrip(".")
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
