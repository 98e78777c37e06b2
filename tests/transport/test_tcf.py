"""TC strings: published ones say what they are said to say, and what we write is read back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.consents import tc_string
from transport.bits import MAX_CHARACTERS
from transport.errors import UndecodableError
from transport.tcf import Vendors, decode, permits

OURS = 7
# From the IAB Tech Lab's own test vectors.
NINE_VENDORS = "COv_eg6Ov_eg6AOADBENAaCgAP_AAH_AACiQAVEUQQoAIQAqIoghAAQgAA.YAAAAAAAAAAAAAAAAAA"
MANY_VENDORS = (
    "CPgA5EAPgA5EAAOACBENCuCoAP_AAEfAACiQI0Nd_H__bX9n-f7_6Pt0cY1f9_r3ruQzDhfFk-8F3L_W3LwX32E7"
    "NF36pq4KmR4ku1LBIQFtHMnUDUmxaokVrzHsak2cpyNKI7BkknsZe2dYGF9Pm5lD-QKZ7_5_d3f52T_9_9v-39z33"
    "9V3v3d93-_12PjdV599H_v9fR_b8_Kf9_5-_4v8___4IQAAAAQQ_AJMNW4gC7EscCbQMIoAQIwrCQqAUAEFAMLRAY"
    "AODgpmVgEusIEACAUARgRAhxBRgQCAAACAJCIAJAiwQAIAiAQAAgARAIQAEDAIKACwMAgABANAxACgAECQgyICIpT"
    "AgIgSCAlsqEEoKpDTCAKssAKARGwUACIAABSAAICwcAwRICViwQJMUbwAw0AGAAIJHCIAMAAQSOFQAYAAgkcA"
)
DISCLOSING = (
    "CPcqBNJPcqBNJNwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA.QGLtV_T9fb2vj-_Z99_tkeYwf95y3p-"
    "wzhheMs-8NyZeH_B4Wv2MyvBX4JiQKGRgksjLBAQdtHGlcTQgBwIlViTLMYk2MjzNKJrJEilsbO2dYGD9Pn8HT3ZC"
    "Y70-vv__7v3ff_3g.IGLtV_T9fb2vj-_Z99_tkeYwf95y3p-wzhheMs-8NyZeH_B4Wv2MyvBX4JiQKGRgksjLBAQd"
    "tHGlcTQgBwIlViTLMYk2MjzNKJrJEilsbO2dYGD9Pn8HT3ZCY70-vv__7v3ff_3g"
)


def members(vendors: Vendors, limit: int = 2_001) -> list[int]:
    return [each for each in range(limit) if each in vendors]


def allowed(text: str, vendor_id: int = OURS) -> bool:
    return permits(text, vendor_id, (1, 3, 4), (2, 7))


def test_a_published_string_with_few_vendors_is_read_as_published() -> None:
    read = decode(NINE_VENDORS)
    assert sorted(read.consented) == list(range(1, 11))
    assert sorted(read.interests) == list(range(2, 11))
    assert members(read.consents) == [2, 6, 8, 12, 18, 23, 25, 37, 42]
    assert members(read.objectable) == [2, 6, 8, 12, 18, 23, 37, 42]
    assert read.restrictions == ()
    assert read.disclosed is None


def test_a_published_string_with_many_vendors_and_restrictions_is_read_as_published() -> None:
    read = decode(MANY_VENDORS)
    assert sorted(read.consented) == list(range(1, 11))
    assert sorted(read.interests) == [2, 6, 7, 8, 9, 10]
    assert len(members(read.consents)) == 693
    assert len(members(read.objectable)) == 254
    assert [(each.purpose, each.kind) for each in read.restrictions] == [(3, 1), (4, 1), (5, 1)]


def test_published_segments_after_the_core_say_who_was_disclosed() -> None:
    read = decode(DISCLOSING)
    assert read.disclosed is not None
    disclosed = members(read.disclosed)
    assert len(disclosed) == 434
    assert disclosed[:10] == [1, 2, 4, 6, 8, 10, 11, 12, 13, 14]
    assert disclosed[-9:] == [782, 783, 784, 785, 786, 788, 789, 790, 791]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"as_ranges": True}, True),
        ({"vendors": (6, 8)}, False),
        ({"vendors": (6, 8), "as_ranges": True}, False),
        ({"vendors": ()}, False),
        ({"purposes": (2, 3, 4, 7)}, False),
        ({"purposes": (1, 2, 4, 7)}, False),
        ({"purposes": (1, 2, 3, 7)}, False),
        ({"purposes": (1, 3, 4)}, False),
        ({"purposes": (1, 3, 4), "interests": (2, 7)}, False),
        ({"purposes": (1, 3, 4), "interests": (2, 7), "interest_vendors": (7,)}, True),
        ({"purposes": (1, 3, 4, 7), "interests": (2,), "interest_vendors": (7,)}, True),
        ({"restrictions": ((3, 0, (7,)),)}, False),
        ({"restrictions": ((3, 0, range(5, 9)),)}, False),
        ({"restrictions": ((3, 0, (8,)),)}, True),
        ({"restrictions": ((3, 1, (7,)),)}, True),
        ({"restrictions": ((3, 2, (7,)),)}, False),
        ({"restrictions": ((9, 0, (7,)),)}, True),
        ({"restrictions": ((2, 2, (7,)),)}, False),
        (
            {
                "purposes": (1, 3, 4),
                "interests": (2, 7),
                "interest_vendors": (7,),
                "restrictions": ((2, 1, (7,)),),
            },
            False,
        ),
        ({"disclosed": (7,)}, True),
        ({"disclosed": (6, 8), "as_ranges": True}, False),
        ({"version": 1}, False),
        ({"version": 3}, False),
    ],
)
def test_leave_needs_every_purpose_our_vendor_and_no_restriction(
    facts: dict[str, Any], expected: bool
) -> None:
    assert allowed(tc_string(**facts)) is expected


@pytest.mark.parametrize("vendor_id", [0, -1])
def test_nobody_can_agree_to_a_vendor_without_a_number(vendor_id: int) -> None:
    assert not allowed(tc_string(vendors=range(1, 20)), vendor_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "C",
        "not a string!",
        "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA",
        "CAAAAAAAAAAAAAAAAAENAACAAAAAAAAAAAAAAAAAAAA",
        "C" * (MAX_CHARACTERS + 1),
        "C\u00e4\u00f6",
    ],
)
def test_what_is_no_such_string_cannot_be_read_and_gives_no_leave(text: str) -> None:
    with pytest.raises(UndecodableError):
        decode(text)
    assert not allowed(text)


VENDORS = st.lists(st.integers(1, 2_000), max_size=20, unique=True)
SETS = st.sets(st.integers(1, 24))


FACTS = st.fixed_dictionaries(
    {
        "vendors": VENDORS,
        "interest_vendors": VENDORS,
        "purposes": SETS,
        "interests": SETS,
        "restrictions": st.lists(
            st.tuples(st.integers(1, 24), st.integers(0, 2), VENDORS), max_size=4
        ),
        "as_ranges": st.booleans(),
    }
)


@given(FACTS, st.none() | VENDORS)
def test_what_is_written_is_read_back(facts: dict[str, Any], disclosed: list[int] | None) -> None:
    read = decode(tc_string(**facts, disclosed=disclosed))
    assert read.consented == facts["purposes"]
    assert read.interests == facts["interests"]
    assert members(read.consents) == sorted(facts["vendors"])
    assert members(read.objectable) == sorted(facts["interest_vendors"])
    assert [(each.purpose, each.kind, members(each.vendors)) for each in read.restrictions] == [
        (purpose, kind, sorted(whom)) for purpose, kind, whom in facts["restrictions"]
    ]
    assert (read.disclosed is None) == (disclosed is None)
    if read.disclosed is not None:
        assert members(read.disclosed) == sorted(disclosed or ())


@given(st.integers(0, 180))
def test_a_string_that_was_cut_off_gives_no_leave(kept: int) -> None:
    whole = tc_string(vendors=range(1, 800), restrictions=((9, 1, (1, 2, 3)),))
    assert allowed(whole)
    assert not allowed(whole[:kept])


@given(st.text(max_size=80) | st.text("ABCDEFabcdef012-_.", max_size=80).map("C".__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert allowed(text) in {True, False}
