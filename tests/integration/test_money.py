"""Money between processes: booked once at its price, blocked while it may be won, then free."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from config.paths import NodePaths
from tests.integration.asker import Asker, steps_of
from tests.integration.node import ROOT, Node, running_node
from tests.integration.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.money.postgres import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

LEASE_S = 1.0
WIN_WINDOW_S = 4.0
KEEP_S = 5.0  # for so long a bidder renews leases that nobody asks for
LEDGER = "node/ledger"
INFERENCE = "node/inference/inference@cpu"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIDWRIGHT_MONEY__LEASE_S", str(LEASE_S))
        patch.setenv("BIDWRIGHT_MONEY__WIN_WINDOW_S", str(WIN_WINDOW_S))
        with running_node(bidders=2) as node:
            yield node
            assert node.json("ledger", "verify")["ok"]


@pytest.fixture
def asker(node: Node) -> Iterator[Asker]:
    asker = Asker(node)
    eventually(lambda: asker.outcome(0) == asker.outcome(1) == "bid", 15.0, "both bid")
    yield asker
    asker.close()


def kill(node: Node, name: str) -> None:
    os.kill(node.nodes()[name]["pid"], signal.SIGKILL)


def is_silent(asker: Asker) -> bool:
    """Whether no campaign has a lease any more; they end one by one."""
    return "bid" not in {asker.outcome() for _ in range(30)}


def half_price_micros(bids: Sequence[Mapping[str, Any]]) -> int:
    return sum(math.ceil(bid["price"] / 2 * 1000 - 1e-6) for bid in bids)


def booked_since(node: Node, before: Mapping[str, Any]) -> tuple[int, int]:
    """How many wins were booked since then, and for how much."""
    now = node.json("ledger", "show")
    names = ("settlements", "settled_micros")
    number, micros = (now[name] - before[name] for name in names)
    return number, micros


def test_bids_end_with_the_leases_while_the_ledger_is_away_and_come_back_with_it(
    node: Node, asker: Asker
) -> None:
    node.json("actor", "suspend", LEDGER)
    try:
        eventually(lambda: is_silent(asker), 3 * LEASE_S, "no lease, no bid")
        assert "bid" not in {asker.outcome() for _ in range(50)}
    finally:
        node.json("actor", "resume", LEDGER)
    eventually(lambda: asker.outcome() == "bid", 5.0, "bids come back")


def test_a_ledger_without_its_file_costs_bids_and_never_an_answer(node: Node, asker: Asker) -> None:
    file = NodePaths.of_node(node.folder / "data").ledger_db
    parts = [path for path in file.parent.glob(f"{file.name}*") if path.is_file()]
    won, pending = asker.bids(2)
    before = node.json("ledger", "show")
    assert asker.win(won)["ok"]
    away = node.folder / "away"
    away.mkdir()
    for part in parts:
        part.rename(away / part.name)
    file.mkdir()
    try:
        kill(node, LEDGER)
        eventually(lambda: is_silent(asker), 5.0, "no ledger, no bid")
        kill(node, LEDGER)
        assert "bid" not in {asker.outcome() for _ in range(50)}
        log = (node.folder / "data" / "logs" / "node.log.jsonl").read_text()
        assert "ledger_closed" in log
    finally:
        file.rmdir()
        for part in parts:
            (away / part.name).rename(part)
        away.rmdir()
    eventually(lambda: asker.outcome() == "bid", 10.0, "bids come back")
    assert asker.win(pending)["ok"]
    assert booked_since(node, before) == (2, half_price_micros([won, pending]))


def test_bids_go_on_and_say_so_while_inference_is_silent(node: Node, asker: Asker) -> None:
    node.json("actor", "suspend", INFERENCE)
    try:
        answers = [asker.ask(as_stranger=True) for _ in range(40)]
    finally:
        node.json("actor", "resume", INFERENCE)
    kinds = [steps_of(answer)["profile"] for answer in answers if answer.get("seatbid")]
    assert len(kinds) > 20
    assert kinds.count("fallback") > 5

    def is_profiled() -> bool:
        answer = asker.ask(as_stranger=True)
        return bool(answer.get("seatbid")) and steps_of(answer)["profile"] == "live"

    eventually(is_profiled, 5.0, "profiles come back")


def test_wins_of_a_killed_bidder_are_booked_once_wherever_and_however_often_they_are_told(
    node: Node, asker: Asker
) -> None:
    before = node.json("ledger", "show")
    bids = asker.bids(6)
    kill(node, "node/bidders/bidder-1")
    for bid in bids[:3]:
        assert asker.win(bid, bidder=1) == {"ok": True}
    for bid in bids[3:]:
        assert asker.win(bid, bidder=0) == {"ok": True}
    for bid in bids:
        assert asker.win(bid, bidder=1)["ok"]
        assert asker.bill(bid, bidder=0)["ok"]
    assert booked_since(node, before) == (6, half_price_micros(bids))


def test_wins_told_while_the_ledger_is_killed_again_and_again_are_booked_once(
    node: Node, asker: Asker
) -> None:
    before = node.json("ledger", "show")
    bids = asker.bids(12)
    for number, bid in enumerate(bids):
        if number % 4 == 0:
            kill(node, LEDGER)
        assert asker.win(bid, number % 2)["ok"]
    assert booked_since(node, before) == (12, half_price_micros(bids))


def test_events_in_any_order_book_what_was_won_and_nothing_else(node: Node, asker: Asker) -> None:
    before = node.json("ledger", "show")
    clicked, lost, won, dear, shown, unshown = asker.bids(6)
    assert asker.tell("click", clicked["id"])["ok"]
    assert asker.win(clicked)["ok"]
    assert asker.tell("loss", lost["id"])["ok"]
    assert asker.win(lost, bidder=1)["ok"]
    assert asker.bill(won)["ok"]
    assert asker.win(won)["ok"]
    assert asker.tell("loss", won["id"], bidder=1)["ok"]
    assert asker.tell("billing", dear["id"], price_cpm=dear["price"] * 100)["ok"]
    assert asker.tell("win", unshown["id"], price_cpm=unshown["price"])["ok"]
    assert asker.tell("impression", shown["id"])["ok"]
    due = half_price_micros([clicked, lost, won]) + round(dear["price"] * 1000)
    assert booked_since(node, before) == (4, due)


def test_a_name_that_was_cut_or_altered_moves_nothing(node: Node, asker: Asker) -> None:
    before = node.json("ledger", "show")
    (bid,) = asker.bids(1)
    payload, _, token = key = bid["id"].partition(".")
    other = "B" if payload[9] == "A" else "A"
    forged = [
        f"{payload[:9]}{other}{payload[10:]}.{token}",
        payload,
        f".{token}",
        "".join(key)[:-1],
        "".join(key)[::-1],
        "",
    ]
    for name in forged:
        assert not asker.tell("billing", name, price_cpm=1.0)["ok"], name
    assert booked_since(node, before) == (0, 0)


def test_money_of_a_killed_bidder_comes_home_when_its_wins_can_come_no_more(
    node: Node, asker: Asker
) -> None:
    (early, late) = asker.bids(2, bidder=1)
    kill(node, "node/bidders/bidder-2")
    killed_s = time.monotonic()
    assert asker.win(early)["ok"]

    def leased_micros() -> int:
        return int(node.json("ledger", "show")["leased_micros"])

    eventually(
        lambda: leased_micros() == 0,
        KEEP_S + 2 * (LEASE_S + WIN_WINDOW_S) + 5.0,
        "nothing is leased when nobody asks",
    )
    assert time.monotonic() - killed_s > WIN_WINDOW_S
    before = node.json("ledger", "show")
    assert asker.bill(late) == {"ok": True, "late": True}
    assert booked_since(node, before) == (1, half_price_micros([late]))
    assert node.json("ledger", "show")["statuses"]["late"] == 1


def test_budgets_that_run_out_are_spent_to_the_end_and_never_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget_micros = 12_000
    campaigns = (ROOT / "config" / "campaigns.toml").read_text()
    small = tmp_path / "campaigns.toml"
    small.write_text(
        re.sub(r"(?m)^budget_micros = .*$", f"budget_micros = {budget_micros}", campaigns)
    )
    monkeypatch.setenv("BIDWRIGHT_NODE__CAMPAIGNS", str(small))
    monkeypatch.setenv("BIDWRIGHT_MONEY__LEASE_MICROS", "4000")
    monkeypatch.setenv("BIDWRIGHT_MONEY__LEASE_S", str(LEASE_S))
    with running_node(bidders=2) as node:
        asker = Asker(node)
        bids = 0
        for number in range(400):
            if number == 100:
                kill(node, "node/bidders/bidder-1")
            for seat in asker.ask(number % 2).get("seatbid", ()):
                for bid in seat["bid"]:
                    bids += 1
                    for kind in ("win", "billing"):
                        told = asker.tell(kind, bid["id"], number % 2, price_cpm=bid["price"])
                        assert told["ok"]
        asker.close()
        report = node.json("ledger", "verify")
        assert report["ok"], report
        summary = report["summary"]
        assert summary["statuses"] == {"settled": bids}
        assert summary["unfunded_micros"] == 0
        spent = [campaign["settled_micros"] for campaign in summary["campaigns"]]
        assert all(micros <= budget_micros for micros in spent)
        assert max(spent) > budget_micros / 2


def test_what_was_bid_billed_and_booked_agrees_and_a_refund_is_done_once(
    node: Node, asker: Asker
) -> None:
    (bid,) = asker.bids(1)
    assert asker.bill(bid)["ok"]
    wins = [entry["request"]["key"] for entry in journal(node) if entry["kind"] == "settle"]
    key = wins[-1]
    before = node.json("ledger", "show")["settled_micros"]
    orders = [node.json("ledger", "refund", key, "--key", "once") for _ in range(2)]
    assert orders[0] == orders[1]
    assert node.json("ledger", "show")["settled_micros"] == before - orders[0]["micros"] < before
    found = node.json("ledger", "reconcile")
    assert found["ok"], found
    assert found["bookings"] > 0


def journal(node: Node) -> list[dict[str, Any]]:
    """The entries of the ledger's journal, as a user exports them."""
    done = node.run("ledger", "export", "--format", "jsonl")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_node_on_postgresql_survives_its_server_with_every_win_booked_once(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.url(postgres_server.fresh_database())
    monkeypatch.setenv("BIDWRIGHT_MONEY__DATABASE", url)
    with running_node() as node:
        load = node.start_load("--rate", 100, "--duration", 4, "--patience", 25)
        eventually(lambda: node.json("ledger", "show")["settlements"] > 20, 15.0, "wins are booked")
        postgres_server.restart()
        load.wait(60)
        summary = node.load_summary()
        assert summary["answered"] == summary["sent"]
        assert summary["event_errors"] == {}
        report = node.json("ledger", "verify")
        assert report["ok"], report
        assert report["summary"]["path"].startswith("postgresql+psycopg://")
        assert report["summary"]["settlements"] == summary["wins"]
        assert node.json("ledger", "reconcile")["ok"]
