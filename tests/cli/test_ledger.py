"""The ledger's commands on a ledger that has lived."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from actors.ledger.store import LedgerStore
from cli.main import cli
from config.paths import NodePaths
from tests.money.worlds import Ledger
from transport.money import LeaseGranted, LeaseRequest, Settle
from transport.money_operators import Refund

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    store = LedgerStore(NodePaths(tmp_path).ledger_db)
    ledger = Ledger(store, {"autumn": 9_000_000, "win/ter": 700}, 0.0)
    (granted,) = ledger.handle([LeaseRequest("r-1", "bidder-1", "autumn", 900)], 0.0)
    assert isinstance(granted, LeaseGranted)
    wins = [Settle(f"win-{number}", "autumn", granted.lease_id, 120) for number in range(3)]
    ledger.handle([*wins, Refund("back-1", "win-0", 20, "invalid; traffic")], 1.0)
    store.close()

    def run(*words: str) -> Result:
        done = CliRunner().invoke(cli, ["ledger", *words, "--data-dir", str(tmp_path)])
        assert "Traceback" not in done.output
        return done

    return run


@pytest.mark.parametrize(
    ("by", "expected"), [("campaign", "autumn"), ("advertiser", "shop.example"), ("day", "2027-01")]
)
def test_show_tells_the_money_by_campaign_advertiser_and_day(
    run: Run, by: str, expected: str
) -> None:
    assert expected in run("show", "--by", by).stdout


def test_show_and_verify_tell_the_end_of_the_journal_and_know_it_again(run: Run) -> None:
    head = json.loads(run("show", "-o", "json").stdout)["head"]
    assert run("verify", "--head", head).exit_code == 0
    seq = head.partition(":")[0]
    assert run("verify", "--head", f"{seq}:{'0' * 64}").exit_code == 3
    assert run("verify", "--head", "nonsense").exit_code == 2


def test_show_tells_who_bids_slowly_because_no_news_comes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(run("show", "-o", "json").stdout)["slow"] == []
    manager = {"name": "bidder-2/agents/budget-manager", "details": {"silent": ["adx"]}}
    monkeypatch.setattr("cli.node.Node.ask", lambda *_: {"id": "node", "children": [manager]})
    told = "bidder-2/agents/budget-manager bids slowly: nothing is heard of its bids from adx"
    assert json.loads(run("show", "-o", "json").stdout)["slow"] == [told]
    assert "bids slowly" in run("show").stdout


def test_csv_has_a_line_for_each_posting_and_sums_to_nothing(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export").stdout)))
    assert sum(int(row["micros"]) for row in rows) == 0
    assert {"budget", "lease", "settle", "refund"} <= {row["kind"] for row in rows}


def test_jsonl_has_an_entry_a_line_with_what_was_asked_and_answered(run: Run) -> None:
    entries = [json.loads(line) for line in run("export", "--format", "jsonl").stdout.splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    refund = entries[-1]
    assert refund["request"]["reason"] == "invalid; traffic"
    assert refund["answer"]["micros"] == 20
    later = run("export", "--format", "jsonl", "--since", str(len(entries) - 1)).stdout
    assert [json.loads(line)["seq"] for line in later.splitlines()] == [len(entries)]


def test_what_hledger_reads_balances_and_comes_to_the_ledgers_sums(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    assert run("export", "--format", "hledger", "--file", str(path)).exit_code == 0
    sums: dict[str, int] = defaultdict(int)
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        first, *postings = block.split("\n")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \(\d+\) [a-z]+ \| .+", first)
        amounts = []
        for line in postings:
            found = re.fullmatch(r"    (\S.*?)  USD (-?)(\d+)\.(\d{6})", line)
            assert found, line
            micros = int(found[2] + found[3] + found[4])
            sums[found[1]] += micros
            amounts.append(micros)
        assert sum(amounts) == 0
    assert sums["campaign:autumn:spent:2027-01-15"] == 340
    assert sums["campaign:autumn:leased:2027-01-15"] == 540
    assert sums["advertiser:shop.example"] == -9_000_700


def test_a_file_that_cannot_be_written_is_said_in_words(run: Run) -> None:
    done = run("export", "--file", "/proc/nothing")
    assert done.exit_code == 1
    assert "choose another file" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("adjust", "autumn", "--amount", "x", "--reason", "y"), ("refund", "win-0", "--amount=-1")],
)
def test_an_amount_that_makes_no_sense_is_refused(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_an_order_needs_a_node_that_runs(run: Run) -> None:
    done = run("adjust", "autumn", "--amount", "1.5", "--reason", "credit note")
    assert done.exit_code == 5
