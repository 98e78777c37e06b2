"""Version 2: double entry. The history that the rows of version 1 tell becomes the journal's.

A row does not say when it became what it is, so each campaign's history is told lease by lease: all
of its money comes first, each lease is granted, won from, given back and closed, and what is left
over goes back at the end. Every balance in between is one that could have been, and the last ones
are those of the rows.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from alembic import op

from actors.ledger import accounts, guards, schema
from actors.ledger.journal import Entry, Kind, Posting, first_seal, sealed
from transport.money import LeaseGranted, LeaseRequest, Settle, SettleAck

if TYPE_CHECKING:
    from collections.abc import Iterator

revision = "0002"
down_revision = "0001"

#: Version 1 did not say whose money it was; the next start of the ledger does.
_SOMEBODY = "unknown"
_OLD = ("campaigns", "leases", "settlements")
#: Rows written at a time. A ledger that starts must be ready in seconds, and one statement for each
#: row of a large one would take minutes.
_ROWS: Final = 5_000
#: What SQLite keeps as text or number and the new tables want as what it is.
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "campaigns": {"active": sa.Boolean},
    "leases": {"granted_at": sa.DateTime, "is_open": sa.Boolean},
    "settlements": {"settled_at": sa.DateTime},
}

Row = sa.RowMapping


class Said(NamedTuple):
    """What an entry keeps of the words that were exchanged."""

    lease_id: str = ""
    request: object = None
    answer: object = None


NOTHING: Final = Said()


def upgrade() -> None:
    """Put the old tables aside, make the new ones, and tell the history again."""
    connection = op.get_bind()
    for name in _OLD:
        op.execute(f"CREATE TABLE {name}_1 AS SELECT * FROM {name}")  # noqa: S608 - names of ours
        op.drop_table(name)
    for name in _OLD:
        op.execute(f"CREATE INDEX {name}_1_of ON {name}_1 (campaign_id)")
    schema.metadata.create_all(connection)
    guards.install(connection)
    History(connection).tell()
    for name in _OLD:
        op.drop_table(f"{name}_1")


class History:
    """The journal in the making."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        ledger_id = connection.scalar(
            sa.select(schema.facts.c.value).where(schema.facts.c.name == "ledger_id")
        )
        self._chain = first_seal(ledger_id or "")
        self._seq = 0
        self._balances: dict[str, int] = defaultdict(int)
        self._waiting: dict[sa.Table, list[dict[str, Any]]] = {
            table: [] for table in schema.metadata.sorted_tables
        }
        self._known: set[str] = set()
        self._today = datetime.now(UTC).date().isoformat()

    def tell(self) -> None:
        """Write journal and rows of all campaigns."""
        for campaign in self._rows("campaigns", "campaign_id"):
            self._tell_campaign(campaign)
        for settlement in self._rows("settlements", "key"):
            if settlement["campaign_id"] not in self._known:
                self._settle(settlement, known=False)
        for account, micros in sorted(self._balances.items()):
            self._keep(schema.balances, {"account": account, "micros": micros})
        self._flush()

    def _tell_campaign(self, campaign: Row) -> None:
        name = campaign["campaign_id"]
        self._known.add(name)
        leases = list(self._rows("leases", "number", name))
        wins = list(self._rows("settlements", "key", name))
        by_lease: dict[str, list[Row]] = defaultdict(list)
        for win in wins:
            by_lease[win["lease_id"]].append(win)
        in_all = campaign["budget_micros"] + campaign["settled_micros"]
        in_all += sum(lease["granted_micros"] for lease in leases)
        self._write("opening", name, name, self._funding(name, in_all))
        for lease in leases:
            self._tell_lease(lease, by_lease.pop(lease["lease_id"], []))
        for left in by_lease.values():
            for win in left:
                self._settle(win)
        out = campaign["settled_micros"] + campaign["leased_micros"]
        excess = in_all - max(campaign["budget_micros"], out)
        moves = self._funding(name, -excess)
        moves[accounts.unfunded(name)] = campaign["unfunded_micros"]
        moves[accounts.HOUSE] = -campaign["unfunded_micros"]
        plan = {"advertiser": _SOMEBODY, "budget_micros": campaign["budget_micros"]}
        self._write("opening", f"{name}:end", name, moves, Said(request=plan))
        kept = {key: campaign[key] for key in campaign if key != "committed_micros"}
        self._keep(schema.campaigns, {**kept, "advertiser": _SOMEBODY, "daily_budget_micros": None})

    def _funding(self, name: str, micros: int) -> dict[str, int]:
        return {accounts.advertiser(_SOMEBODY): -micros, accounts.free(name): micros}

    def _tell_lease(self, lease: Row, wins: list[Row]) -> None:
        name, lease_id, day = lease["campaign_id"], lease["lease_id"], self._today
        free, leased = accounts.free(name), accounts.leased(name, day)
        granted = lease["granted_micros"]
        asked = LeaseRequest(lease["request_id"], lease["bidder"], name, max(granted, 1))
        answer = LeaseGranted(lease["request_id"], lease_id, name, granted, 0.0, 0.0, 0, 0)
        moves = {free: -granted, leased: granted}
        said = Said(lease_id, asked, answer)
        self._write("lease", lease["request_id"], name, moves, said)
        self._keep(schema.leases, {**lease, "day": day})
        for win in wins:
            self._settle(win)
        left = granted - lease["drawn_micros"]
        returned = min(lease["returned_micros"], left)
        if returned:
            total = f"{lease_id}:{lease['returned_micros']}"
            moves = {leased: -returned, free: returned}
            self._write("return", total, name, moves, Said(lease_id))
        if not lease["is_open"]:
            moves = {leased: returned - left, free: left - returned}
            self._write("close", lease_id, name, moves, Said(lease_id))

    def _settle(self, win: Row, *, known: bool = True) -> None:
        name, day = win["campaign_id"], self._today
        booked, drawn = win["booked_micros"], win["drawn_micros"]
        moves = {
            accounts.leased(name, day): -drawn,
            accounts.free(name): drawn - booked,
            accounts.spent(name, day): booked,
        }
        asked = Settle(win["key"], name, win["lease_id"], win["price_micros"])
        answer = SettleAck(win["key"], win["status"], booked)
        said = Said(win["lease_id"], asked, answer)
        self._write("settle", win["key"], name, moves if known else {}, said)
        self._keep(schema.settlements, {**win, "day": day, "refunded_micros": 0})

    def _write(
        self, kind: Kind, name: str, campaign_id: str, moves: dict[str, int], said: Said = NOTHING
    ) -> None:
        self._seq += 1
        entry = Entry(
            seq=self._seq,
            key=f"{kind}:{name}",
            kind=kind,
            campaign_id=campaign_id,
            lease_id=said.lease_id,
            at_micros=int(datetime.now(UTC).timestamp() * 1_000_000),
            request=_json(said.request),
            answer=_json(said.answer),
            postings=tuple(Posting(account, micros) for account, micros in moves.items() if micros),
            chain="",
        )
        entry = sealed(self._chain, entry)
        self._chain = entry.chain
        row = msgspec.structs.asdict(entry)
        del row["postings"]
        self._keep(schema.journal, row)
        for line, posting in enumerate(entry.postings):
            values = {"seq": self._seq, "line": line, **msgspec.structs.asdict(posting)}
            self._keep(schema.postings, values)
            self._balances[posting.account] += posting.micros

    def _rows(self, table: str, order: str, campaign_id: str | None = None) -> Iterator[Row]:
        """Read what was put aside, in order; of one campaign or of all."""
        text = f"SELECT * FROM {table}_1"  # noqa: S608 - names of ours
        values: dict[str, Any] = {}
        if campaign_id is not None:
            text += " WHERE campaign_id = :campaign"
            values["campaign"] = campaign_id
        typed = sa.text(f"{text} ORDER BY {order}").columns(**_TYPES[table])
        return iter(self._connection.execute(typed, values).mappings().all())

    def _keep(self, table: sa.Table, row: dict[str, Any]) -> None:
        self._waiting[table].append(row)
        if len(self._waiting[table]) == _ROWS:
            self._flush()

    def _flush(self) -> None:
        """Write what waits, tables that others refer to first."""
        for table, rows in self._waiting.items():
            if rows:
                self._connection.execute(table.insert(), rows)
                rows.clear()


def _json(value: object) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
