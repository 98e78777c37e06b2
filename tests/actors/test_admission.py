"""The door: nonsense in a request costs its sender a bid, never the gateway its life."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.gateway.admission import Admitted, DoorRules, Refused, admit
from actors.reading.opportunity import opportunity_of
from actors.reading.place import Reading
from transport.codec import MAX_TMAX_MS, encode_response
from transport.openrtb import Bid, BidResponse, SeatBid

RULES = DoorRules(100_000, 10, 0.1, 0.01, 0.002)
HUGE = [10**18, 2**63, 10**30, 10**400, -(10**400), 1.7e308, "1" + "0" * 400]


def body(**changes: Any) -> bytes:
    request = {"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "tmax": 100}
    return json.dumps(request | changes).encode()


@pytest.mark.parametrize("tmax", HUGE, ids=range(len(HUGE)))
def test_no_request_holds_its_place_for_longer_than_the_limit(tmax: object) -> None:
    outcome = admit(RULES, body(tmax=tmax), 0)
    assert isinstance(outcome, Refused) or outcome.time_s <= MAX_TMAX_MS / 1000


@pytest.mark.parametrize("number", HUGE, ids=range(len(HUGE)))
def test_a_number_of_any_size_can_be_reckoned_with_and_written(number: object) -> None:
    imp = {"id": "1", "banner": {"w": number, "h": number}}
    user = {"geo": {"utcoffset": number}}
    outcome = admit(RULES, body(imp=[imp], user=user, device={"devicetype": number}), 0)
    assert isinstance(outcome, Admitted)
    request = outcome.request
    (slot,) = opportunity_of(request, request.imp[0], 1.7e9, Reading()).slots
    bid = Bid(id="b", impid="1", price=1.0, w=slot.w, h=slot.h)
    response = BidResponse(id="r", seatbid=(SeatBid(bid=(bid,)),))
    assert encode_response(response, outcome.form)
