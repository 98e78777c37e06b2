"""Writes consent strings, for tests of what reads them; it shares no code with the reader."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def number(value: int, bits: int) -> str:
    return f"{value:0{bits}b}"


def text_of(bits: str) -> str:
    """Base64url without padding, the bits filled up with zeros to whole characters."""
    bits += "0" * (-len(bits) % 24)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode()


def bit_for_each(members: Iterable[int], count: int) -> str:
    wanted = set(members)
    return "".join("1" if place in wanted else "0" for place in range(1, count + 1))


def runs(members: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of following numbers, as first and last."""
    ordered = enumerate(sorted(set(members)))
    grouped = groupby(ordered, lambda pair: pair[1] - pair[0])
    found = [[each for _, each in group] for _, group in grouped]
    return [(run[0], run[-1]) for run in found]


def fixed_ranges(members: Iterable[int]) -> str:
    entries = [
        "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
        for first, last in runs(members)
    ]
    return number(len(entries), 12) + "".join(entries)


def vendor_list(members: Sequence[int], as_ranges: bool) -> str:
    highest = max(members, default=0)
    if as_ranges:
        return number(highest, 16) + "1" + fixed_ranges(members)
    return number(highest, 16) + "0" + bit_for_each(members, highest)


@dataclass(frozen=True)
class Consent:
    """What a TC string says; restrictions are (purpose, kind, vendors)."""

    vendors: Sequence[int] = (7,)
    purposes: Iterable[int] = range(1, 11)
    interests: Iterable[int] = ()
    interest_vendors: Sequence[int] = ()
    restrictions: Sequence[tuple[int, int, Sequence[int]]] = ()
    disclosed: Sequence[int] | None = None
    as_ranges: bool = False
    version: int = 2


def tc_string(**facts: Any) -> str:
    """A TC string of those facts, else of a user who agrees to vendor 7."""
    said = Consent(**facts)
    core = number(said.version, 6) + number(15_000_000_000, 36) * 2 + number(14, 12)
    core += number(3, 12) + number(1, 6) + number(4, 6) + number(13, 6) + number(200, 12)
    core += number(2, 6) + "10" + number(0, 12)
    core += bit_for_each(said.purposes, 24) + bit_for_each(said.interests, 24)
    core += "0" + number(3, 6) + number(4, 6)
    core += vendor_list(said.vendors, said.as_ranges)
    core += vendor_list(said.interest_vendors, said.as_ranges)
    core += number(len(said.restrictions), 12)
    for purpose, kind, whom in said.restrictions:
        core += number(purpose, 6) + number(kind, 2) + fixed_ranges(whom)
    if said.disclosed is None:
        return text_of(core)
    disclosed = number(1, 3) + vendor_list(said.disclosed, said.as_ranges)
    return f"{text_of(core)}.{text_of(disclosed)}"


def fibonacci(value: int) -> str:
    """Fibonacci coding of a number from 1 on."""
    numbers = [1, 2]
    while numbers[-1] <= value:
        numbers.append(numbers[-1] + numbers[-2])
    digits, rest = "", value
    for each in reversed([each for each in numbers if each <= value]):
        digits = ("1" if each <= rest else "0") + digits
        rest -= each if each <= rest else 0
    return digits + "1"


def gpp_string(sections: dict[int, str]) -> str:
    """A GPP string of sections that are written already."""
    bits, last = "", 0
    for first, end in runs(sections):
        bits += ("0" if first == end else "1") + fibonacci(first - last)
        bits += "" if first == end else fibonacci(end - first)
        last = end
    header = number(3, 6) + number(1, 6) + number(len(runs(sections)), 12) + bits
    return "~".join([text_of(header), *(sections[each] for each in sorted(sections))])


def us_section(fields: Sequence[int], gpc: bool | None = None, version: int = 1) -> str:
    """A section of the US: fields of two bits, and whether the browser sends GPC."""
    bits = number(version, 6) + "".join(number(each, 2) for each in fields)
    bits += "0" * (-len(bits) % 6)
    core = text_of(bits)[: len(bits) // 6]
    return core if gpc is None else f"{core}.{text_of('01' + str(int(gpc)))[:2]}"
