"""Two ways to print a result: a table for people, JSON for scripts. Data only, on stdout."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

_WIDTH_OF_A_PIPE = 10_000
_GAP = 3


class Styled(NamedTuple):
    """A cell of a table with a colour, as rich names it; a terminal without colours ignores it."""

    cell: object
    style: str


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


def print_json(value: object, *, lines: bool = False) -> None:
    """Print ``value`` as indented JSON, or as one line."""
    click.echo(json.dumps(value, indent=None if lines else 2, ensure_ascii=False, default=str))


def say(message: str) -> None:
    """Tell the person something that is not data: on stderr."""
    click.echo(message, err=True)


def width_of_stdout() -> int:
    """Return how many columns there are; a pipe has no end, so that no line is ever broken."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_A_PIPE


def console() -> Console:
    """Return a console on stdout; a pipe is plain, and so is everything with NO_COLOR."""
    from rich.console import Console

    return Console(
        width=width_of_stdout(),
        highlight=False,
        file=sys.stdout,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str | None = None,
    spare: Sequence[str] = (),
) -> None:
    """Print rows under headings; cells that are numbers or amounts stand on the right.

    The first column is never broken into lines; the others are where the terminal is too narrow.

    Args:
        headings: One for each column.
        rows: Cells; ``None`` is printed as nothing.
        title: A line above the table.
        spare: Headings of columns that a narrow terminal can do without, the first to go first.
    """
    listed = [list(row) for row in rows]
    shown = columns_that_fit(headings, listed, spare, width_of_stdout())
    table = make_table([headings[index] for index in shown], _columns(listed, shown), title)
    print_renderable(table)


def make_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None
) -> Table:
    """Return rows under headings, to be printed or to be redrawn in place.

    Args:
        headings: One for each column.
        rows: Cells, some with a colour; ``None`` is printed as nothing.
        title: A line above the table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, heading in enumerate(headings):
        right = any(_is_number(_plain(row[index])) for row in rows)
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(_cell(cell), style=_style(cell)) for cell in row))
    return table


def columns_that_fit(
    headings: Sequence[str], rows: Sequence[Sequence[object]], spare: Sequence[str], width: int
) -> list[int]:
    """Return the columns to show: all, less as many of the spare ones as must go for the width."""
    shown = list(range(len(headings)))
    widths = [
        max(len(text) for text in (heading, *(_cell(row[index]) for row in rows)))
        for index, heading in enumerate(headings)
    ]
    for heading in spare:
        if sum(widths[index] + _GAP for index in shown) <= width:
            break
        shown.remove(headings.index(heading))
    return shown


def print_renderable(renderable: RenderableType) -> None:
    """Print what rich can draw, without blank lines and without blanks at the ends of lines."""
    output = console()
    with output.capture() as captured:
        output.print(renderable)
    for line in captured.get().splitlines():
        if line.strip():
            click.echo(line.rstrip(), color=output.color_system is not None)


def _columns(rows: Iterable[Sequence[object]], shown: Sequence[int]) -> list[list[object]]:
    return [[row[index] for index in shown] for row in rows]


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


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and cell.startswith("$"))


def cell_width(cell: object) -> int:
    """Return how many columns a cell takes."""
    return len(_cell(cell))


def _plain(cell: object) -> object:
    return cell.cell if isinstance(cell, Styled) else cell


def _style(cell: object) -> str:
    return cell.style if isinstance(cell, Styled) else ""


def _cell(cell: object) -> str:
    plain = _plain(cell)
    return "" if plain is None else _text(plain)


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.3f}".rstrip("0").rstrip(".")
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
