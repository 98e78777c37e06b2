"""Where the three books of a reconciliation come from: the logs of a node, and its journal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.ledger.reconcile import Bid, Bill, Booking
from actors.ledger.verify import entries
from transport.errors import MalformedEventError, NoticeError
from transport.messages import decode_event
from transport.money import Settle, SettleAck
from transport.notices import NoticeKey
from transport.segments import OPEN_SUFFIX, SEALED_SUFFIX, read_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from actors.events.notice_rules import NoticeTerms
    from config.paths import NodePaths

_EVENTS: Final = "events-"
_ROWS: Final = 4_096
_BID_COLUMNS: Final = ("outcome", "key", "campaign_id", "bid_micros", "quantity", "test", "ts")


def bids_of(paths: NodePaths) -> Iterator[Bid]:
    """Yield the bids of a node's decision log: tables and segments, open ones too."""
    for record in _records(paths, "decisions", _BID_COLUMNS):
        if record.get("outcome") != "bid":
            continue
        quantity = record.get("quantity") or 1.0
        yield Bid(
            record["key"],
            record["campaign_id"],
            math.ceil(record["bid_micros"] * quantity),
            int(bool(record.get("test"))),
            record["ts"],
        )


def bills_of(paths: NodePaths, terms: NoticeTerms) -> Iterator[Bill]:
    """Yield the bills of a node's log of notices.

    Args:
        paths: Of the node; its secret tells what a notice was signed for.
        terms: What is a bill, and what a foreign price is worth.
    """
    secret = paths.secret_file.read_bytes()
    for record in _records(paths, "events", None):
        plain = {name: value for name, value in record.items() if value is not None}
        try:
            event = decode_event(msgspec.json.encode(plain))
            notice = NoticeKey.decode(secret, event.key)
        except (MalformedEventError, NoticeError):
            continue  # of another node, or of another version: nothing that we could have booked
        if not terms.is_bill(event, notice):
            continue
        price = terms.price_of(event, notice)
        micros = price.micros if price.is_known else -1
        yield Bill(notice.key, micros, float(event.ts))


def bookings_of(connection: Connection) -> Iterator[Booking]:
    """Yield the wins of a ledger's journal."""
    for entry in entries(connection):
        if entry.kind != "settle":
            continue
        win = msgspec.json.decode(entry.request, type=Settle)
        ack = msgspec.json.decode(entry.answer, type=SettleAck)
        yield Booking(
            win.key, entry.campaign_id, win.price_micros, ack.booked_micros, entry.at_micros / 1e6
        )


def _records(
    paths: NodePaths, table: str, columns: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """Yield the records of a log: first what is in tables, then what is still in segments.

    A segment that becomes a table meanwhile may be met twice, or a record of it not at all; whoever
    compares must allow for that.
    """
    import pyarrow.parquet as pq

    for path in sorted((paths.parquet_dir / table).glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(_ROWS, columns=columns):
            yield from batch.to_pylist()
    wants_events = table == "events"
    for suffix in (SEALED_SUFFIX, OPEN_SUFFIX):
        for path in sorted(paths.segments_dir.glob(f"*{suffix}")):
            if path.name.startswith(_EVENTS) == wants_events and path.exists():
                yield from read_segment(path)
