"""Does an answer agree with what a case expects? Every difference is told in words."""

from __future__ import annotations

import itertools
import math
from typing import Any

from tests.actors.nodes import bids_of

SPECIAL = {
    "price",
    "price_at_least",
    "price_at_most",
    "has",
    "lacks",
    "adm_has",
    "adm_lacks",
    "seat",
}
KNOWN = {"bid", "bids", "reason", "nbr", "why", "answer"}
CENT = 1e-9


def differences(expected: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Return how an answer differs from what a case expects; nothing if it agrees."""
    unknown = set(expected) - KNOWN
    assert not unknown, f"the case expects {sorted(unknown)}, which nobody knows"
    assert set(expected) & {"bid", "bids", "reason"}, "the case expects neither bid nor reason"
    found = []
    if "reason" in expected:
        found += _no_bid(expected, answer)
    else:
        wanted = expected.get("bids", [expected.get("bid")])
        found += _bids(wanted, answer)
    for name, value in expected.get("answer", {}).items():
        if answer.get(name) != value:
            found.append(f"{name} of the answer is {answer.get(name)!r}, not {value!r}")
    if "why" in expected:
        found += _why(expected["why"], answer)
    return found


def _no_bid(expected: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    if bids_of(answer):
        return [f"there is a bid: {bids_of(answer)}"]
    found = []
    reason = (answer.get("ext") or {}).get("reason")
    if reason != expected["reason"]:
        found.append(f"the reason is {reason!r}, not {expected['reason']!r}")
    if "nbr" in expected and answer.get("nbr") != expected["nbr"]:
        found.append(f"nbr is {answer.get('nbr')}, not {expected['nbr']}")
    return found


def _bids(wanted: list[dict[str, Any]], answer: dict[str, Any]) -> list[str]:
    """Match bids with expectations in the order that fits best."""
    got = [
        {**bid, "seat": seat.get("seat")}
        for seat in answer.get("seatbid", ())
        for bid in seat["bid"]
    ]
    if len(got) != len(wanted):
        said = (answer.get("ext") or {}).get("reason", "")
        told = [{name: bid.get(name) for name in ("impid", "cid", "dealid")} for bid in got]
        return [f"{len(got)} bids instead of {len(wanted)}: {told} {said}".rstrip()]
    tries = [
        [fault for want, bid in zip(wanted, order, strict=True) for fault in _bid(want, bid)]
        for order in itertools.permutations(got)
    ]
    return min(tries, key=len)


def _bid(wanted: dict[str, Any], bid: dict[str, Any]) -> list[str]:
    found = [
        f"{name} is {bid.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if name not in SPECIAL - {"seat"} and bid.get(name) != value
    ]
    found += [f"{name} is missing" for name in wanted.get("has", ()) if not bid.get(name)]
    found += [f"{name} is there" for name in wanted.get("lacks", ()) if bid.get(name)]
    markup = bid.get("adm", "")
    found += [
        f"{text!r} is not in {markup}" for text in wanted.get("adm_has", ()) if text not in markup
    ]
    found += [f"{text!r} is in {markup}" for text in wanted.get("adm_lacks", ()) if text in markup]
    return found + _price(wanted, bid["price"])


def _price(wanted: dict[str, Any], price: float) -> list[str]:
    found = []
    if "price" in wanted and not math.isclose(price, wanted["price"], abs_tol=CENT):
        found.append(f"the price is {price}, not {wanted['price']}")
    if price < wanted.get("price_at_least", 0.0) - CENT:
        found.append(f"the price is {price}, below {wanted['price_at_least']}")
    if price > wanted.get("price_at_most", math.inf) + CENT:
        found.append(f"the price is {price}, above {wanted['price_at_most']}")
    return found


def _why(wanted: dict[str, str], answer: dict[str, Any]) -> list[str]:
    """Compare what the explanation says of campaigns; a campaign's last look decides."""
    stories = (answer.get("ext") or {}).get("bidwright", {}).get("impressions", [])
    said: dict[str, str] = {}
    for story in stories:
        said.update(story.get("campaigns", {}))
    return [
        f"{campaign}: {said.get(campaign)!r}, not {reason!r}"
        for campaign, reason in wanted.items()
        if said.get(campaign) != reason
    ]
