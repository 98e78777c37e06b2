"""The tables: which command makes each, on which data, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cli.evaluate import COMMANDS
from cli.reproduce import readers

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.reproduce.rows import Found, Row


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: What a person asks for.
        words: Of ``bidwright evaluate``.
        read: Makes rows of the command's JSON.
        data: Folder below the data folder, None where none is needed.
        option: Of the command, that names its data.
        quick: Words that make a small version of it.
        time: About how long it takes on two cores.
    """

    name: str
    words: tuple[str, ...]
    read: Callable[[Found], list[Row]]
    data: str | None = None
    option: str = "--data"
    quick: tuple[str, ...] = ()
    time: str = "a minute"


_WANTED: Final = (
    Table(
        "profiler-diginetica",
        ("profiler", "--model", "blend", "--minutes", "50"),
        readers.profiler_rows,
        "sessions/diginetica",
        time="2 hours",
    ),
    Table(
        "profiler-yoochoose",
        ("profiler", "--model", "blend", "--minutes", "50"),
        readers.profiler_rows,
        "sessions/yoochoose1_64",
        time="2 hours",
    ),
    Table(
        "profiler-beauty",
        ("profiler", "--model", "blend", "--minutes", "50"),
        readers.profiler_rows,
        "seqrec/amazon_beauty",
        time="2 hours",
    ),
    Table("selector", ("selector",), readers.selector_rows, "bandit/obd"),
    Table("fraud", ("fraud",), readers.every_interval),
    Table("arena", ("arena",), readers.arena_rows, "rtb", quick=("--seeds", "2")),
    Table("residual", ("residual",), readers.every_interval, time="an hour"),
    Table("joint", ("joint",), readers.every_interval, time="an hour"),
    Table(
        "bidding",
        ("bidding",),
        readers.bidding_rows,
        "rtb",
        time="2 minutes",
    ),
    Table(
        "shading-2259",
        ("shading",),
        readers.shading_rows,
        "rtb/ipinyou_2259_dlf",
    ),
    Table(
        "shading-1458",
        ("shading",),
        readers.shading_rows,
        "rtb/ipinyou_1458_multiexchange",
    ),
    Table(
        "pacing",
        ("pacing",),
        readers.pacing_rows,
        "rtb",
        quick=("--auctions", "2000"),
        time="3 minutes",
    ),
    Table(
        "team",
        ("team",),
        readers.team_rows,
        quick=("--requests", "40", "--seeds", "1", "--quick"),
        time="10 minutes",
    ),
)

#: Those whose command is there.
TABLES: Final = tuple(table for table in _WANTED if table.words[0] in COMMANDS)
