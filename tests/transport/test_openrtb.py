from __future__ import annotations

import pytest

from transport.openrtb import (
    BidRequest,
    BidwrightExt,
    Regs,
    RegsExt,
    RequestExt,
    Source,
    SourceExt,
    SupplyChain,
    User,
    UserExt,
    consent_of,
    gdpr_applies,
    supply_chain_of,
    us_privacy_of,
    wants_explanation,
)


def request_with(**fields: object) -> BidRequest:
    return BidRequest("a", (), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("regs", "applies"),
    [
        (None, False),
        (Regs(), False),
        (Regs(gdpr=1), True),
        (Regs(gdpr=0, ext=RegsExt(gdpr=1)), False),
        (Regs(ext=RegsExt(gdpr=1)), True),
        (Regs(ext=RegsExt(gdpr=0)), False),
        (Regs(ext=RegsExt()), False),
        (Regs(gdpr=7), True),
    ],
)
def test_gdpr_is_found_in_either_place_and_unknown_values_count_as_yes(
    regs: Regs | None, applies: bool
) -> None:
    assert gdpr_applies(request_with(regs=regs)) is applies


@pytest.mark.parametrize(
    ("user", "consent"),
    [
        (None, ""),
        (User(), ""),
        (User(consent="new"), "new"),
        (User(ext=UserExt(consent="old")), "old"),
        (User(consent="new", ext=UserExt(consent="old")), "new"),
    ],
)
def test_consent_is_found_in_either_place(user: User | None, consent: str) -> None:
    assert consent_of(request_with(user=user)) == consent


@pytest.mark.parametrize(
    ("regs", "text"),
    [
        (None, ""),
        (Regs(), ""),
        (Regs(us_privacy="1YNN"), "1YNN"),
        (Regs(ext=RegsExt(us_privacy="1YYN")), "1YYN"),
    ],
)
def test_us_privacy_is_found_in_either_place(regs: Regs | None, text: str) -> None:
    assert us_privacy_of(request_with(regs=regs)) == text


def test_the_supply_chain_is_found_in_either_place() -> None:
    chain = SupplyChain(complete=1)
    assert supply_chain_of(request_with()) is None
    assert supply_chain_of(request_with(source=Source())) is None
    assert supply_chain_of(request_with(source=Source(schain=chain))) is chain
    assert supply_chain_of(request_with(source=Source(ext=SourceExt(schain=chain)))) is chain


def test_an_explanation_is_wanted_only_when_asked_for() -> None:
    asked = RequestExt(bidwright=BidwrightExt(explain=1))
    assert wants_explanation(request_with(ext=asked))
    assert not wants_explanation(request_with(ext=RequestExt()))
    assert not wants_explanation(request_with(ext=RequestExt(bidwright=BidwrightExt())))
    assert not wants_explanation(request_with())
