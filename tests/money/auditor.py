"""The tests' own reading of a ledger's database: its journal, and all that rests on it.

Principle: not a line of the ledger's code is used, only plain SQL and the sums that people would do
by hand. It follows the journal from where it stopped before, so that it can look after every step.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


#: What an open lease keeps away from everyone else.
_BLOCKED: Final = (
    "CASE WHEN granted_micros > drawn_micros + returned_micros"
    " THEN granted_micros - drawn_micros - returned_micros ELSE 0 END"
)


class Rows(Protocol):
    """Whoever answers SQL."""

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query in which ``?`` stands for a value."""


class Plan(NamedTuple):
    """A campaign's budget as the journal has it."""

    budget_micros: int
    daily_budget_micros: int | None
    active: bool


class Auditor:
    """Checks a ledger's database; everything wrong is an ``AssertionError`` that says what.

    Args:
        database: Answers SQL.

    Attributes:
        seq: The last entry that was read.
        plans: The campaigns' budgets, by id.
        answers: What each operation was answered, as JSON, by its key.
    """

    def __init__(self, database: Rows) -> None:
        self._database = database
        self.seq = 0
        self.plans: dict[str, Plan] = {}
        self.answers: dict[str, str] = {}
        self._balances: defaultdict[str, int] = defaultdict(int)
        # On which days wins were booked and refunded, by their keys.
        self._days: defaultdict[str, set[str]] = defaultdict(set)
        self._seal = ""

    # --- what there is ---------------------------------------------------------------------------

    def spent(self, campaign_id: str) -> int:
        """Return what was spent of a campaign's budget, on all days."""
        return self._total(f"{_place(campaign_id)}/spent/")

    def leased(self, campaign_id: str) -> int:
        """Return what is out in leases, of all days."""
        return self._total(f"{_place(campaign_id)}/leased/")

    def free(self, campaign_id: str) -> int:
        """Return what is neither leased nor spent."""
        return self._balances[f"{_place(campaign_id)}/free"]

    def outstanding(self) -> dict[str, int]:
        """Return what each open lease blocks, by its id, in micros."""
        return dict(self._database.rows(f"SELECT lease_id, {_BLOCKED} FROM leases WHERE is_open"))

    def _total(self, prefix: str) -> int:
        return sum(m for account, m in self._balances.items() if account.startswith(prefix))

    # --- the journal -----------------------------------------------------------------------------

    def follow(self) -> int:
        """Read what is new and check it; return how many entries that were."""
        if not self._seal:
            ((ledger_id,),) = self._database.rows(
                "SELECT value FROM facts WHERE name = 'ledger_id'"
            )
            self._seal = hashlib.sha256(ledger_id.encode()).hexdigest()
        entries = self._database.rows(
            "SELECT seq, key, kind, campaign_id, lease_id, at_micros, request, answer, chain"
            " FROM journal WHERE seq > ? ORDER BY seq",
            self.seq,
        )
        lines: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for seq, account, micros in self._database.rows(
            "SELECT seq, account, micros FROM postings WHERE seq > ? ORDER BY seq, line", self.seq
        ):
            lines[seq].append((account, micros))
        for entry in entries:
            self._take(entry, lines.pop(entry[0], []))
        assert not lines, f"postings without an entry: {sorted(lines)}"
        if entries:
            self.check_rows()
        return len(entries)

    def _take(self, entry: tuple[Any, ...], postings: list[tuple[str, int]]) -> None:
        seq, key, kind, campaign_id, *_, answer, chain = entry
        assert seq == self.seq + 1, f"entry {seq} follows {self.seq}"
        assert key not in self.answers, f"{key} was done twice"
        said = msgspec.msgpack.encode([*entry[:-1], postings])
        self._seal = hashlib.sha256(bytes.fromhex(self._seal) + said).hexdigest()
        assert chain == self._seal, f"entry {seq} is not sealed with those before it"
        assert sum(micros for _, micros in postings) == 0, f"entry {seq} makes money: {postings}"
        if kind == "budget":
            plan = json.loads(entry[6])
            self.plans[campaign_id] = Plan(
                plan["budget_micros"], plan["daily_budget_micros"], plan["active"]
            )
        self.seq, self.answers[key] = seq, answer
        if kind in ("settle", "refund"):
            request = json.loads(entry[6])
            win = request.get("settle_key", request["key"])
            self._days[win] |= {a.rpartition("/")[2] for a, _ in postings if "/spent/" in a}
        self._move(kind, campaign_id, postings)

    def _move(self, kind: str, campaign_id: str, postings: list[tuple[str, int]]) -> None:
        """Post, and refuse what no campaign's owner allowed."""
        out = self.spent(campaign_id) + self.leased(campaign_id)
        days = {account.rpartition("/")[2] for account, _ in postings if account.count("/") == 3}
        before = {day: self.of_day(campaign_id, day) for day in days}
        for account, micros in postings:
            self._balances[account] += micros
            may_owe = account.startswith(("advertiser/", "house/"))
            assert may_owe or self._balances[account] >= 0, f"{account} owes after {self.seq}"
        if not postings or kind == "budget":
            return
        plan = self.plans[campaign_id]
        now_out = self.spent(campaign_id) + self.leased(campaign_id)
        grew = now_out > out
        assert not grew or now_out <= plan.budget_micros, f"{kind} {self.seq} overspends: {now_out}"
        for day, was in before.items():
            now = self.of_day(campaign_id, day)
            limit = plan.daily_budget_micros
            fits = limit is None or now <= max(was, limit)
            assert fits, f"{kind} {self.seq} overspends {day}: {now} of {limit}"

    def of_day(self, campaign_id: str, day: str) -> int:
        """Return what is out of a campaign's budget on a day."""
        place = _place(campaign_id)
        return self._balances[f"{place}/leased/{day}"] + self._balances[f"{place}/spent/{day}"]

    # --- what rests on it ------------------------------------------------------------------------

    def check_rows(self) -> None:
        """Compare balances, campaigns and open leases with what the journal says."""
        kept = dict(self._database.rows("SELECT account, micros FROM balances"))
        assert _nonzero(kept.items()) == _nonzero(self._balances.items()), "balances are not sums"
        funded = 0
        for campaign_id, *row in self._database.rows(
            "SELECT campaign_id, budget_micros, daily_budget_micros, active, settled_micros,"
            " leased_micros, unfunded_micros FROM campaigns"
        ):
            budget, daily, active, settled, leased, unfunded = row
            assert self.plans[campaign_id] == Plan(budget, daily, bool(active)), campaign_id
            assert settled == self.spent(campaign_id), f"{campaign_id}: spent"
            assert leased == self.leased(campaign_id), f"{campaign_id}: leased"
            assert unfunded == self._balances[f"{_place(campaign_id)}/unfunded"], campaign_id
            free = self.free(campaign_id)
            given = free + settled + leased
            assert given == max(budget, settled + leased), f"{campaign_id} was given {given}"
            funded += given
        assert funded == -self._total("advertiser/"), "campaigns have what advertisers gave"
        self._check_leases()

    def _check_leases(self) -> None:
        blocked = self._database.rows(
            f"SELECT campaign_id, day, SUM({_BLOCKED}) FROM leases WHERE is_open"
            " GROUP BY campaign_id, day"
        )
        sums = {f"{_place(name)}/leased/{day}": int(micros) for name, day, micros in blocked}
        leased = {name: m for name, m in self._balances.items() if "/leased/" in name}
        assert _nonzero(sums.items()) == _nonzero(leased.items()), "leases are not what is leased"

    def check_settlements(self) -> None:
        """Compare every settlement with the journal, and their sums with what was spent."""
        spent: defaultdict[str, int] = defaultdict(int)
        keys = set()
        for key, campaign_id, day, booked, refunded, status in self._database.rows(
            "SELECT key, campaign_id, day, booked_micros, refunded_micros, status FROM settlements"
        ):
            assert self._days[key] <= {day}, f"{key} of {day} was booked on {self._days[key]}"
            ack = json.loads(self.answers[f"settle:{key}"])
            told = (ack["key"], ack["status"], ack.get("booked_micros", 0))
            assert told == (key, status, booked), f"{key}: {told} was answered, {booked} is booked"
            spent[campaign_id] += booked - refunded
            keys.add(f"settle:{key}")
        done = {key for key in self.answers if key.startswith("settle:")}
        assert keys == done, f"settlements without an entry or without a row: {keys ^ done}"
        for key, answer in self.answers.items():
            if key.startswith("adjust:"):
                adjusted = json.loads(answer)
                spent[adjusted["campaign_id"]] += adjusted["micros"]
        for campaign_id in self.plans:
            assert spent[campaign_id] == self.spent(campaign_id), f"{campaign_id}: settlements"


def _place(campaign_id: str) -> str:
    return f"campaign/{quote(campaign_id, safe=' :;,!@$&()*+=~')}"


def _nonzero(balances: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {name: micros for name, micros in balances if micros}
