"""``bidwright ledger export``: the journal for spreadsheets, programs and bookkeepers."""

from __future__ import annotations

import csv
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from cli.errors import CommandError
from cli.ledger.place import database, plain_errors
from cli.node import Node, node_options
from cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.ledger.journal import Entry

FORMATS = ("csv", "jsonl", "hledger")


@click.command()
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--since",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Leave out the entries up to this number.",
)
@click.option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where it goes, if not to stdout.",
)
@node_options
def export(node: Node, form: str, since: int, file: Path | None) -> None:
    """Write the journal: csv has a line for each posting, jsonl one for each entry.

    hledger is plain-text accounting: `hledger -f FILE balance` sums it up.
    """
    from actors.ledger.verify import entries, reading

    writers: dict[str, Callable[[Iterable[Entry], TextIO], int]] = {
        "csv": write_csv,
        "jsonl": write_jsonl,
        "hledger": write_hledger,
    }
    with ExitStack() as stack, plain_errors():
        out = _opened(stack, file)
        connection = stack.enter_context(reading(database(node)))
        count = writers[form](entries(connection, since), out)
    if file is not None:
        say(f"{count} entries written to {file}")


def _opened(stack: ExitStack, file: Path | None) -> TextIO:
    if file is None:
        return sys.stdout
    try:
        return stack.enter_context(file.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror}; choose another file") from error


def write_csv(entries: Iterable[Entry], out: TextIO) -> int:
    """Write a line for each posting; an entry that moved nothing has one without an account.

    Returns:
        How many entries there were.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("seq", "time", "kind", "key", "campaign_id", "lease_id", "account", "micros", "seal")
    )
    count = 0
    for entry in entries:
        count += 1
        said = (entry.seq, _time(entry), entry.kind, entry.key, entry.campaign_id, entry.lease_id)
        postings = [(each.account, each.micros) for each in entry.postings] or [("", 0)]
        writer.writerows((*said, *posting, entry.chain) for posting in postings)
    return count


def write_jsonl(entries: Iterable[Entry], out: TextIO) -> int:
    """Write an object for each entry, with what was asked and answered.

    Returns:
        How many entries there were.
    """
    import msgspec

    count = 0
    for entry in entries:
        count += 1
        record = msgspec.to_builtins(entry)
        record["postings"] = [{"account": a, "micros": m} for a, m in record["postings"]]
        for name in ("request", "answer"):
            record[name] = msgspec.json.decode(record[name]) if record[name] else None
        out.write(msgspec.json.encode({"time": _time(entry), **record}).decode() + "\n")
    return count


def write_hledger(entries: Iterable[Entry], out: TextIO) -> int:
    """Write transactions of plain-text accounting, in dollars with six places.

    Accounts are written with colons, as hledger nests them; entries that moved nothing are left
    out. See the journal format of https://hledger.org/hledger.html.

    Returns:
        How many entries there were.
    """
    count = 0
    for entry in entries:
        count += 1
        if not entry.postings:
            continue
        out.write(f"{_time(entry)[:10]} ({entry.seq}) {entry.kind} | {_one_line(entry.key)}\n")
        for posting in entry.postings:
            account = _one_line(posting.account).replace("/", ":")
            out.write(f"    {account}  USD {_dollars(posting.micros)}\n")
        out.write("\n")
    return count


def _time(entry: Entry) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(entry.at_micros / 1_000_000, UTC).isoformat()


def _dollars(micros: int) -> str:
    sign = "-" if micros < 0 else ""
    return f"{sign}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06}"


def _one_line(text: str) -> str:
    """Return a text without what would end a line, a field or an account's name."""
    return " ".join(text.replace(";", ",").replace("|", "/").split())
