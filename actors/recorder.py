"""The recorder: closed segments of the decision log become Parquet files for learning and audit.

Principle: a segment is turned into its Parquet file under another name, made visible by one rename,
and only then removed. A crash anywhere leaves a segment that is simply converted again into the
same file. A segment that cannot be read is put aside, never deleted, and never stops the others;
a table that cannot be written (disk full?) leaves its segment where it is, for the next look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from thespian.actors import WakeupMessage

from config import fault_points
from supervision import LightActor
from transport.errors import SegmentError
from transport.segments import SEALED_SUFFIX, read_segment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from supervision.ref import Ref

PER_TURN: Final = 4
"""Segments converted in one turn, so that the process keeps answering its supervisor."""
BROKEN_SUFFIX: Final = ".broken"
EVENTS_PREFIX: Final = "events-"


class Recorder(LightActor):
    """Looks for sealed segments every ``poll_s`` seconds and converts them.

    Args:
        segments_dir: Where bidders write.
        parquet_dir: Where tables go: ``decisions/`` and ``events/`` below it.
        poll_s: How often to look.
    """

    def __init__(self, segments_dir: Path, parquet_dir: Path, poll_s: float) -> None:
        self._segments_dir = segments_dir
        self._parquet_dir = parquet_dir
        self._poll_s = poll_s
        self._converted = 0
        self._records = 0
        self._torn_bytes = 0
        self._broken = 0
        self._postponed = 0

    def on_start(self) -> None:
        """Make the folders and begin to look."""
        for table in ("decisions", "events"):
            (self._parquet_dir / table).mkdir(parents=True, exist_ok=True)
        self._segments_dir.mkdir(parents=True, exist_ok=True)
        self.wake_after(0.0)

    def on_stop(self, reason: Any) -> None:
        """Convert what is sealed already, so that a stopped node's log is complete."""
        while self._convert_some():
            pass

    def describe(self) -> dict[str, Any]:
        """Tell what was converted."""
        return {
            "segments": self._converted,
            "records": self._records,
            "torn_bytes": self._torn_bytes,
            "broken": self._broken,
            "postponed": self._postponed,
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Look for segments."""
        if isinstance(message, WakeupMessage):
            more = self._convert_some()
            self.wake_after(0.0 if more else self._poll_s)

    def _convert_some(self) -> bool:
        """Convert a few segments; tells whether there may be more."""
        sealed = sorted(self._segments_dir.glob(f"*{SEALED_SUFFIX}"))
        for segment in sealed[:PER_TURN]:
            try:
                self._convert(segment)
            except (SegmentError, ValueError):
                self._broken += 1
                segment.rename(segment.with_suffix(BROKEN_SUFFIX))
            except OSError:
                self._postponed += 1
                return False
        return len(sealed) > PER_TURN

    def _convert(self, segment: Path) -> None:
        reader = read_segment(segment)
        records = list(reader)
        self._torn_bytes += reader.torn_bytes
        if records:
            table = "events" if segment.name.startswith(EVENTS_PREFIX) else "decisions"
            write_parquet(records, table, self._parquet_dir / table / f"{segment.stem}.parquet")
        self._converted += 1
        self._records += len(records)
        segment.unlink()


def write_parquet(records: Sequence[dict[str, Any]], table: str, path: Path) -> None:
    """Write records as one Parquet file, visible only when complete.

    Args:
        records: Decision or event records, as maps; fields unknown to the table are left out.
        table: ``decisions`` or ``events``.
        path: The file; an older one is replaced.

    Raises:
        ValueError: A field has a type that the table cannot hold.
        OSError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    draft = path.with_suffix(".draft")
    try:
        content = pa.Table.from_pylist(list(records), schema=schema_of(table))
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"a record does not fit into the {table} table: {error}") from error
    fault_points.reach("parquet.write")
    pq.write_table(content, draft, compression="zstd")
    draft.replace(path)


def schema_of(table: str) -> pa.Schema:
    """Return the columns of ``decisions`` or ``events``; money in micros, times in Unix seconds."""
    import pyarrow as pa

    text, number, micros = pa.string(), pa.float64(), pa.int64()
    if table == "events":
        names = ("type", "key", "request_id", "imp_id", "campaign_id", "creative_id", "lease_id")
        columns = [*((name, text) for name in names), ("price_cpm", number), ("ts", number)]
        columns += [("loss_code", pa.int32()), ("min_to_win_cpm", number), ("value_micros", micros)]
        columns += [("currency", text), ("quantity", number)]
        columns += [(name, pa.bool_()) for name in ("late", "price_unknown", "test")]
        return pa.schema([*columns, ("version", pa.int32())])
    step = pa.struct([("step", text), ("kind", text), ("ms", number)])
    names = ("request_id", "imp_id", "bidder", "outcome", "reason", "campaign_id", "creative_id")
    more = ("key", "lease_id", "country", "device", "category", "user_hash", "deal_id", "currency")
    return pa.schema(
        [
            *((name, text) for name in names),
            ("ts", number),
            ("nbr", pa.int32()),
            ("bid_micros", micros),
            ("floor_micros", micros),
            ("propensity", number),
            ("predicted_ctr", number),
            ("expected_value_micros", number),
            *((name, text) for name in more),
            ("vector", pa.list_(pa.float32())),
            ("steps", pa.list_(step)),
            ("versions", pa.map_(text, text)),
            ("quantity", number),
            ("pace", number),
            ("shaded_by_micros", micros),
            ("shading_control", pa.bool_()),
            ("test", pa.bool_()),
            ("version", pa.int32()),
        ]
    )
