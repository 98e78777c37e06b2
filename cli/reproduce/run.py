"""Runs the command of a table and keeps what it said, with all that is needed to repeat it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.evaluate import evaluate
from cli.reproduce.rows import Row

if TYPE_CHECKING:
    from cli.reproduce.tables import Table


class Made(msgspec.Struct, frozen=True):
    """A table that was made, or why it was not.

    Attributes:
        table: Its name.
        status: ``made``, ``skipped`` or ``failed``.
        why: In words, where it was not made.
        command: That makes it.
        rows: What it says.
        commit: Of the code; with ``+`` where files differ from it.
        machine: Processor and number of cores.
        wall_s: How long it took.
        found: The command's own JSON, all of it.
    """

    table: str
    status: str
    why: str = ""
    command: str = ""
    rows: tuple[Row, ...] = ()
    commit: str = ""
    machine: str = ""
    wall_s: float = 0.0
    found: dict[str, Any] = {}


def make_table(table: Table, data: Path | None, *, quick: bool) -> Made:
    """Make one table.

    Args:
        table: Which.
        data: Folder with all data; None where there is none.
        quick: A small version, whose numbers mean nothing.
    """
    words = [*table.words, *(table.quick if quick else ())]
    if table.data is not None:
        folder = None if data is None else data / table.data
        if folder is None or not folder.exists():
            return Made(table.name, "skipped", f"no {table.data} in the data folder; see --data")
        words += [table.option, str(folder)]
    command = "bidwright evaluate " + " ".join(words)
    begin_s = time.perf_counter()
    try:
        found = _json_of([*words, "-o", "json"])
        rows = tuple(table.read(found))
    except click.ClickException as error:
        return Made(table.name, "failed", error.format_message(), command)
    except LookupError as error:
        return Made(table.name, "failed", f"the command left out a result: {error}", command)
    wall_s = time.perf_counter() - begin_s
    return Made(table.name, "made", "", command, rows, commit(), machine(), round(wall_s, 1), found)


def _json_of(words: list[str]) -> dict[str, Any]:
    """Return what ``bidwright evaluate`` prints; its progress goes to stderr as always."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        evaluate.main(words, prog_name="bidwright evaluate", standalone_mode=False)
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def commit() -> str:
    """Return the commit of the code, ``unknown`` where there is no repository."""
    here = Path(__file__).parent
    git = shutil.which("git")
    if git is None:
        return "unknown"
    wanted = (("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain", "-uno"))
    head, changed = (
        subprocess.run(  # noqa: S603 - words of our own
            [git, *words], cwd=here, capture_output=True, text=True, check=False
        )
        for words in wanted
    )
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def machine() -> str:
    """Return what this runs on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
