"""``bidwright reproduce``: make tables of results again and write them down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cli.errors import CommandError
from cli.output import Styled, emit, output_option, print_table, say
from cli.reproduce.tables import TABLES

if TYPE_CHECKING:
    from cli.reproduce.rows import Row
    from cli.reproduce.run import Made
    from cli.reproduce.tables import Table

_BY_NAME = {table.name: table for table in TABLES}


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the folders rtb, sessions, seqrec, bandit; tables without their data are"
    " skipped.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reproduced"),
    show_default=True,
    help="Folder that gets TABLE.json for each.",
)
@click.option("--quick", is_flag=True, help="Small versions, to see that all runs; no results.")
@output_option
@click.pass_context
def reproduce(
    context: click.Context, /, tables: tuple[str, ...], data: Path | None, out: Path, **more: str
) -> None:
    """Make the tables of results again: all of them, or the TABLEs named.

    Each runs one `bidwright evaluate` command and sets our number beside that of a simple method
    and the published one. Exit code 1 when a table could not be made; one without its data is
    skipped.
    """
    from cli.reproduce.run import make_table

    chosen = _chosen(tables)
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for table in chosen:
        say(f"{table.name}: about {'a moment' if more['quick'] else table.time} ...")
        each = make_table(table, data, quick=bool(more["quick"]))
        (out / f"{table.name}.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(each, enc_hook=float), indent=1)
        )
        made.append(each)
        if more["output"] != "json":
            print_made(each)
    plain = msgspec.to_builtins(made, enc_hook=float)
    emit(plain, more["output"], lambda _: say(f"written to {out}"))
    if any(each.status == "failed" for each in made):
        context.exit(1)


def _chosen(names: tuple[str, ...]) -> list[Table]:
    """Return the tables of these names, also where commas part them; all without any."""
    wanted = [name for word in names for name in word.split(",") if name]
    unknown = [name for name in wanted if name not in _BY_NAME]
    if unknown:
        raise CommandError(f"no table {unknown[0]!r}; there are {', '.join(_BY_NAME)}")
    return [_BY_NAME[name] for name in wanted] or list(TABLES)


def print_made(made: Made) -> None:
    """Print one table for a person."""
    if made.status != "made":
        print_table((made.table, "why"), [(made.status, made.why)])
        return
    title = f"{made.table}: {made.command} ({made.wall_s:.0f} s, commit {made.commit})"
    headings = ("result", "ours", "95 %", "simple method", "published", "goal")
    print_table(headings, (_cells(row) for row in made.rows), title)


def _cells(row: Row) -> tuple[object, ...]:
    interval = "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"
    simple = "" if row.baseline is None else f"{row.baseline:.4g} {row.simple}"
    return (row.what, f"{row.ours:.4g}", interval, simple, row.anchor, _goal(row))


def _goal(row: Row) -> object:
    if row.goal is None:
        return ""
    sign = "at least" if row.goal.better == "above" else "at most"
    met = bool(row.is_met)
    return Styled(
        f"{sign} {row.goal.number:g}: {'yes' if met else 'no'}", "green" if met else "red"
    )
