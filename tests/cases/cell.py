"""The bidders that cases are put to: real cells in virtual time, shared where settings agree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.actors.nodes import Node, bids_of
from tests.cases.defaults import campaign_file, campaigns_of, request_of
from tests.openrtb.checker import Facts, faults_of
from tests.openrtb.money import rates_of
from tests.schemas.validators import violations

RATES = Path(__file__).resolve().parents[2] / "config" / "rates.json"
ANSWER_S = 0.15
"""Virtual time after which an answer must be there; requests allow 0.1 s."""


def node_of(case: dict[str, Any], folder: Path) -> Node:
    """Start a bidder with the campaigns and settings of a case.

    Args:
        case: Of a case file.
        folder: A new one, for its ledger and its logs.
    """
    folder.mkdir(parents=True)
    file = folder / "campaigns.toml"
    file.write_text(campaign_file(campaigns_of(case.get("campaigns", []))), encoding="utf-8")
    settings = dict(case.get("settings", {}))
    own = {"data_dir": folder / "data", "seed": 5, "campaigns": str(file)}
    return Node(folder / "data", settings={**settings, "node": {**settings.get("node", {}), **own}})


class Cells:
    """Bidders, one for each distinct pair of campaigns and settings.

    A case with events before its request has a bidder of its own, because it moves time and money.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: dict[str, Node] = {}

    def node(self, case: dict[str, Any]) -> Node:
        """Return the bidder of a case, started if there is none yet."""
        told = [case.get("campaigns", []), case.get("settings", {})]
        if "events" in case or case.get("alone"):
            told.append(case["name"])
        key = hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = node_of(case, self._folder / key)
        return node

    def close(self) -> None:
        """End them all."""
        for node in self._nodes.values():
            node.close()


class Visit:
    """One case at its bidder: what it sends and what came of it.

    Args:
        node: The bidder.
        case: Of a case file.
    """

    def __init__(self, node: Node, case: dict[str, Any]) -> None:
        self._node = node
        self._case = case
        self._requests = 0
        self.request: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}

    def ask(self, change: dict[str, Any]) -> dict[str, Any]:
        """Send the case's request with a change; returns the answer."""
        request = request_of(self._case["name"], change, self._requests)
        self._requests += 1
        explains = {"explain": 1} if "why" in self._case.get("expect", {}) else {}
        via = {**self._case.get("via", {}), **explains}
        if via:
            ext = request.setdefault("ext", {})
            ext["bidwright"] = {**ext.get("bidwright", {}), **via}
        number = self._node.send(request)
        self._node.world.run(ANSWER_S)
        answers = self._node.answers()
        assert number in answers, f"no answer to {json.dumps(request)}"
        self.request, self.answer = request, answers[number]
        return self.answer

    @property
    def is_valid(self) -> bool:
        """Whether the request keeps the specification, so that the answer must, too."""
        return not violations("bid_request", self.request)

    def broken_rules(self) -> list[str]:
        """Return what the schema of answers and the independent checker say of the answer."""
        campaigns = {each["id"]: each for each in campaigns_of(self._case.get("campaigns", []))}
        rates = rates_of(json.loads(RATES.read_text(encoding="utf-8"))) if RATES.exists() else {}
        facts = Facts(campaigns, rates or {"USD": 1.0})
        return violations("bid_response", self.answer) + faults_of(self.request, self.answer, facts)

    def step(self, step: dict[str, Any]) -> None:
        """Do one of the case's events; see the page about the format."""
        if "wait_s" in step:
            self._node.world.run(float(step["wait_s"]))
            return
        change = step.get("bid", {})
        for _ in range(step.get("times", 1)):
            answer = self.ask({**self._case.get("request", {}), **change})
            bids = bids_of(answer)
            assert bids or not step.get("then"), f"no bid to tell of: {answer}"
            for bid in bids:
                for event in step.get("then", ()):
                    self._tell(bid, {"type": event} if isinstance(event, str) else dict(event))

    def _tell(self, bid: dict[str, Any], event: dict[str, Any]) -> None:
        expected = event.pop("ack", {"ok": True})
        told = {"key": bid["id"], "price_cpm": bid["price"], **event}
        ack = self._node.tell({name: each for name, each in told.items() if each is not None})
        assert ack is not None, f"{event['type']} was not confirmed"
        assert {name: ack.get(name) for name in expected} == expected, ack
