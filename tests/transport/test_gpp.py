"""GPP strings: published ones say what they are said to say, and every field has its effect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.consents import fibonacci, gpp_string, tc_string, us_section
from transport.bits import BitReader
from transport.errors import UndecodableError
from transport.gpp import GppSays, decode, gpp_says, opts_out, us_privacy_opts_out

TC = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"
# Fields of each section of a state before those on sensitive data; how many of these, of those on
# known children, and of consents there are; from the published tables.
SHARING = ("notice", "sale notice", "targeting notice", "sale", "targeting")
SECTIONS = {
    7: (
        (
            "notice", "sale notice", "sharing notice", "targeting notice", "sensitive", "limit",
            "sale", "sharing", "targeting",
        ),
        12, 2, 1,
    ),
    8: (("sale notice", "sharing notice", "limit", "sale", "sharing"), 9, 2, 1),
    9: (SHARING, 8, 1, 0),
    10: (SHARING, 7, 1, 0),
    11: (("notice", "sale notice", "targeting notice", "sensitive", "sale", "targeting"), 8, 1, 0),
    12: (SHARING, 8, 3, 0),
    13: (SHARING, 8, 3, 1),
    14: (SHARING, 8, 3, 1),
    15: (SHARING, 11, 3, 1),
    16: (SHARING, 8, 1, 1),
    17: (SHARING, 9, 5, 1),
    18: (("notice", "sale notice", "targeting notice", "sensitive", "sale", "targeting"), 8, 1, 0),
    19: (SHARING, 8, 1, 1),
    20: (SHARING, 8, 3, 1),
    21: (SHARING, 10, 5, 1),
    22: (SHARING, 8, 1, 1),
    23: (SHARING, 8, 1, 1),
}  # fmt: skip


def names_of(number: int) -> list[str]:
    before, sensitive, children, consents = SECTIONS[number]
    names = [*before, *(f"sensitive {each}" for each in range(sensitive))]
    names += [f"child {each}" for each in range(children)]
    names += ["personal"] * consents
    return [*names, "covered", "option mode", "provider mode"]


def section(number: int, **said: int) -> str:
    """A section whose user was told everything and objected to nothing, but for ``said``."""
    changed = {name.replace("_", " "): value for name, value in said.items()}
    names = names_of(number)
    assert set(changed) <= set(names)
    good = {"covered": 1, "option mode": 1, "provider mode": 2}
    values = []
    for name in names:
        normal = good.get(name, 1 if "notice" in name else 0 if "child" in name else 2)
        values.append(changed.get(name, normal))
    return us_section(values)


def test_published_headers_are_read_as_published() -> None:
    assert decode(f"DBABM~{TC}") == {2: TC}
    assert decode(f"DBABMA~{TC}") == {2: TC}
    assert decode(f"DBACNY~{TC}~1YNN") == {2: TC, 6: "1YNN"}
    assert decode("DBABjw~a~1YNN") == {5: "a", 6: "1YNN"}


@pytest.mark.parametrize(
    ("number", "text", "out"),
    [
        (7, "BAAAAAAAAABA.QA", False),
        (7, "BVVVkkkkkpFY.YA", True),
        (7, "BVQqAAAACg", False),
        (7, "BAAAAAAAAABA.YA", True),
        (9, "BAAAABA", False),
        (9, "BVWSSVY", True),
        (11, "BAAAAAQ", False),
        (11, "BVVkklW", True),
        (12, "BAAAAAEA.QA", False),
        (12, "BbYbG22w", True),
        (15, "BAAAAAAABAA.QA", False),
        (15, "BVWSSRpFYA.YA", True),
        (17, "BAAAAAABA.Q", False),
        (18, "BVVkklW.Y", True),
        (21, "BAAAAAAAQA.QA", False),
        (23, "BAAAAAQ.Q", False),
        (24, "BQAA.Q", False),
        (24, "BVVV.Y", True),
        (25, "BQAAAAA.QA", False),
        (26, "BVVVkkk.YA", True),
        (27, "BQAA.AAA", False),
        (27, "BVVV.kkk", True),
    ],
)
def test_published_sections_are_read_as_published(number: int, text: str, out: bool) -> None:
    assert opts_out(number, text) is out


@pytest.mark.parametrize("number", SECTIONS)
def test_a_user_who_was_told_and_did_not_object_may_be_known(number: int) -> None:
    assert not opts_out(number, section(number))
    assert not opts_out(number, f"{section(number)}.Q")


@pytest.mark.parametrize("number", SECTIONS)
def test_each_objection_missing_notice_and_known_child_counts_and_nothing_else(number: int) -> None:
    names = names_of(number)
    for name in names:
        key = name.replace(" ", "_")
        is_choice = name in {"sale", "sharing", "targeting", "provider mode"} or "child" in name
        is_notice = name in {"sale notice", "sharing notice", "targeting notice"}
        assert opts_out(number, section(number, **{key: 1})) is is_choice, name
        assert opts_out(number, section(number, **{key: 2})) is is_notice, name
        assert opts_out(number, section(number, **{key: 3})) is (is_choice or is_notice), name


@pytest.mark.parametrize("number", SECTIONS)
def test_the_browsers_global_privacy_control_counts(number: int) -> None:
    assert opts_out(number, f"{section(number)}.Y")
    assert opts_out(number, f"{section(number)}.YA")


@pytest.mark.parametrize("text", ["", "z", "!", "CAAAAAAAAAA", "BA", "BAAAABA.!", "a" * 20_000])
def test_a_section_that_cannot_be_read_is_an_opt_out(text: str) -> None:
    assert opts_out(9, text)


def test_the_second_version_of_the_national_section_is_the_long_one() -> None:
    fields = [1, 1, 1, 1, 0, 0, 2, 2, 2, *[0] * 16, 0, 0, 0, 0, 1, 1, 2]
    assert not opts_out(7, us_section(fields, version=2))
    for child in range(25, 28):
        assert opts_out(7, us_section([*fields[:child], 1, *fields[child + 1 :]], version=2))
    assert opts_out(7, us_section(fields[:27], version=2))
    assert opts_out(7, us_section(fields, version=3))


GOOD, BAD = section(9), section(9, sale=1)


@pytest.mark.parametrize(
    ("sections", "in_force", "opted_out"),
    [
        ({9: GOOD}, (9,), False),
        ({9: BAD}, (9,), True),
        ({9: BAD}, (), True),
        ({9: GOOD}, (), False),
        ({9: BAD}, (0,), True),
        ({9: BAD}, (-1,), False),
        ({9: BAD, 10: section(10)}, (10,), False),
        ({9: GOOD}, (9, 10), True),
        ({9: GOOD, 99: "x"}, (9,), False),
        ({9: GOOD, 99: "x"}, (9, 99), True),
        ({6: "1YNN"}, (6,), False),
        ({6: "1YYN"}, (6,), True),
        ({6: "what"}, (6,), True),
        ({6: ""}, (6,), True),
        ({2: TC, 6: "1YNN"}, (2, 6), False),
        ({2: TC}, (), False),
        ({2: TC}, (1, 2, 3, 4), False),
        ({5: "x"}, (5,), True),
    ],
)
def test_those_sections_count_that_are_in_force(
    sections: dict[int, str], in_force: tuple[int, ...], opted_out: bool
) -> None:
    assert gpp_says(gpp_string(sections), in_force).opted_out is opted_out


def test_the_section_of_the_eu_is_handed_on_and_in_force_only_if_said() -> None:
    text = gpp_string({2: tc_string()})
    assert gpp_says(text, (2,)) == GppSays(eu=True, tc_string=tc_string())
    assert gpp_says(text, ()) == GppSays(tc_string=tc_string())
    assert gpp_says("", (2,)) == GppSays(eu=True)


@pytest.mark.parametrize(
    ("text", "in_force", "opted_out"),
    [
        ("", (), False),
        ("", (-1,), False),
        ("", (7,), True),
        ("gppString", (7,), True),
        ("gppString", (), True),
        ("gppString", (2,), False),
        ("DBABM", (7,), True),
        ("CBABM~x", (7,), True),
        ("DCABM~x", (7,), True),
    ],
)
def test_a_string_that_cannot_be_read_opts_out_where_a_law_outside_the_eu_may_be_in_force(
    text: str, in_force: tuple[int, ...], opted_out: bool
) -> None:
    assert gpp_says(text, in_force).opted_out is opted_out


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("", False),
        ("1---", False),
        ("1YNN", False),
        ("1NNY", False),
        ("1ynn", False),
        ("1YYN", True),
        ("1nyn", True),
        ("2YNN", True),
        ("1YN", True),
        ("1YNNN", True),
        ("1Y N", True),
    ],
)
def test_a_us_privacy_string_opts_out_if_it_says_so_or_nothing_readable(
    text: str, out: bool
) -> None:
    assert us_privacy_opts_out(text) is out


def test_the_published_fibonacci_codes_are_read() -> None:
    published = {1: "11", 2: "011", 3: "0011", 4: "1011", 5: "00011", 6: "10011", 7: "01011"}
    assert {value: BitReader(bits).fibonacci() for value, bits in published.items()} == {
        value: value for value in published
    }


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=9))
def test_fibonacci_codes_follow_each_other_without_gaps(values: list[int]) -> None:
    reader = BitReader("".join(map(fibonacci, values)))
    assert [reader.fibonacci() for _ in values] == values


def test_a_fibonacci_code_without_end_is_refused() -> None:
    with pytest.raises(UndecodableError):
        BitReader("01" * 100).fibonacci()
    with pytest.raises(UndecodableError):
        BitReader("0").fibonacci()


@given(st.dictionaries(st.integers(1, 200), st.text("abcXYZ09.-_", max_size=9), max_size=12))
def test_sections_that_are_written_are_read_back(sections: dict[int, str]) -> None:
    assert decode(gpp_string(sections)) == sections


@given(st.text(max_size=60) | st.text("ABCDjwYM~.-_", max_size=60).map("DB".__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    says = gpp_says(text, (7, 8, 2))
    assert isinstance(says.opted_out, bool)


def test_a_range_over_more_sections_than_there_can_be_is_refused() -> None:
    with pytest.raises(UndecodableError):
        decode(gpp_string(dict.fromkeys(range(1, 1200), "")))
