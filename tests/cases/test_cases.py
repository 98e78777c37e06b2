"""Every rule that matters as a table: a request, campaigns, and the bid or the reason they give.

A file is a list of cases:

    - name: a sentence, unique among all cases
      request: {...}        # laid over a small request; entries of `imp` over a small
                            # banner imp each; null removes a field
      campaigns: [{...}]    # each laid over a campaign `shoes`; its `creatives` over a banner
      settings: {...}       # sections of the node's settings
      via: {exchange: adx}  # what the request's way in adds
      alone: true           # a bidder that no other case uses
      events: [...]         # before the request: {wait_s: 3600}, or
                            # {bid: {request}, times: 2, then: [win, {type: billing, ack: {...}}]}
      expect:
        bid: {cid: shoes, price_at_least: 1.5, has: [adm], lacks: [dealid], adm_has: ["<VAST"]}
        bids: [{...}, {...}]                   # instead, in any order
        reason: no_candidate:country           # instead
        nbr: 500
        answer: {cur: EUR}                     # fields of the whole answer
        why: {shoes: country}                  # what the explanation says of campaigns
      why: the rule, with its section of the specification

They are decided by real bidders in virtual time: agents, models and ledger, on links in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from actors.decision import reasons
from models.eligibility import rules
from tests.cases.cell import Cells, Visit
from tests.cases.verdict import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = {"name", "request", "campaigns", "settings", "via", "alone", "events", "expect", "why"}
FILES = sorted(Path(__file__).parent.glob("*.yaml"))
FOUND: list[tuple[str, dict[str, Any]]] = [
    (path.stem, case)
    for path in FILES
    for case in yaml.safe_load(path.read_text(encoding="utf-8")) or ()
]
CASES = [pytest.param(case, id=f"{stem}: {case['name']}") for stem, case in FOUND]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    made = Cells(tmp_path_factory.mktemp("cells"))
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES)
def test_a_case_gives_what_its_table_says(cells: Cells, case: dict[str, Any]) -> None:
    assert not set(case) - FIELDS, f"unknown fields {sorted(set(case) - FIELDS)}"
    visit = Visit(cells.node(case), case)
    for step in case.get("events", ()):
        visit.step(step)
    answer = visit.ask(case.get("request", {}))
    assert not differences(case["expect"], answer), case.get("why", case["name"])
    if visit.is_valid:
        assert not visit.broken_rules(), "what no answer may do"


def test_names_of_cases_are_unique() -> None:
    names = [case["name"] for _, case in FOUND]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})


LEAST_CASES = 150
# What only a node with something broken says; the tests named here break it.
ONLY_IN_TROUBLE = {
    "budget_unavailable",  # test_failing_world
    "decider_died",  # test_bidder_cell
    "log_unavailable",  # test_gateway
    "malformed",  # test_codec: a case is a request that can be read
    "no_fallback",  # test_failing_world
    "ledger_away",  # test_bidder_cell
    "not_reserved",  # test_decision
    "out_of_time",  # test_decision
    "oversight_unavailable",  # test_failing_world
    "overloaded",  # test_intake
    "slow_mode",  # test_bidder_cell
    "vetoed",  # test_oversight: the index has refused before
}


def test_there_are_cases_enough() -> None:
    assert len(FOUND) >= LEAST_CASES


def test_every_reason_word_has_a_case() -> None:
    expected = [case["expect"] for _, case in FOUND]
    said = {each["reason"] for each in expected if "reason" in each}
    said |= {reason for each in expected for reason in each.get("why", {}).values()}
    words = {part for reason in said for part in reason.split(":")}
    codes = {value for name, value in vars(reasons).items() if name.isupper() and name[0] != "_"}
    codes = {code for code in codes if isinstance(code, str)}
    assert (codes | set(rules.REASONS)) - words - ONLY_IN_TROUBLE == set()
