"""Privacy choices of many countries in one text: the Global Privacy Platform string of the IAB.

The layouts are those of the GPP's "Consent String Specification" (header, Fibonacci ranges) and of
the section specifications: EU TCF v2 (2), the US privacy string (6), the US national section (7),
those of the states (8 and up). Such a section is its version and then fields of two bits each.

Principle: what cannot be read counts as an opt-out; so does a section that is said to be in force
and is not there, or that we do not know.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from transport.bits import MAX_CHARACTERS, BitReader, unpacked
from transport.errors import UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterable

TCF_EU: Final = 2
TCF_EU_SECTIONS: Final = frozenset({1, TCF_EU})
US_PRIVACY: Final = 6
US_NATIONAL: Final = 7
REMEMBERED: Final = 4_096
_HEADER_TYPE: Final = 3
_HEADER_VERSION: Final = 1
_UNDETERMINED: Final = 0
_NOT_IN_FORCE: Final = frozenset({-1, 3, 4})  # none applies; the header; the signature
_HIGHEST_SECTION: Final = 1_000
_MOST_IN_FORCE: Final = 64
_VERSION_BITS: Final = 6
_GPC: Final = "011"  # subsection type 1, and the signal

# One letter for each field of two bits: n = notice of the right to opt out, o = opt-out,
# c = consent for a known child, m = the publisher lets us act as its service provider only,
# p = the same in newer sections (1 opt-out mode, 2 service provider), - = not needed.
_STATE: Final = "-nnoo"
_MSPA: Final = "--m"
_NEW_STATE: Final = "-p-nnoo"
_US_NATIONAL_SHORT: Final = "-nnn--ooo" + 12 * "-" + "cc" + "-" + _MSPA
_US_NATIONAL_LONG: Final = "-nnn--ooo" + 16 * "-" + "ccc" + "-" + _MSPA
_LAYOUTS: Final = {
    8: "nn-oo" + 9 * "-" + "cc" + "-" + _MSPA,  # California
    9: _STATE + 8 * "-" + "c" + _MSPA,  # Virginia
    10: _STATE + 7 * "-" + "c" + _MSPA,  # Colorado
    11: "-nn-oo" + 8 * "-" + "c" + _MSPA,  # Utah
    12: _STATE + 8 * "-" + "ccc" + _MSPA,  # Connecticut
    13: _STATE + 8 * "-" + "ccc" + "-" + _MSPA,  # Florida
    14: _STATE + 8 * "-" + "ccc" + "-" + _MSPA,  # Montana
    15: _STATE + 11 * "-" + "ccc" + "-" + _MSPA,  # Oregon
    16: _STATE + 8 * "-" + "c" + "-" + _MSPA,  # Texas
    17: _STATE + 9 * "-" + "ccccc" + "-" + _MSPA,  # Delaware
    18: "-nn-oo" + 8 * "-" + "c" + _MSPA,  # Iowa
    19: _STATE + 8 * "-" + "c" + "-" + _MSPA,  # Nebraska
    20: _STATE + 8 * "-" + "ccc" + "-" + _MSPA,  # New Hampshire
    21: _STATE + 10 * "-" + "ccccc" + "-" + _MSPA,  # New Jersey
    22: _STATE + 8 * "-" + "c" + "-" + _MSPA,  # Tennessee
    23: _STATE + 8 * "-" + "c" + "-" + _MSPA,  # Minnesota
    24: _NEW_STATE,  # Maryland
    25: _NEW_STATE + "c",  # Indiana
    26: _NEW_STATE + "c",  # Kentucky
    27: _NEW_STATE + "c",  # Rhode Island
}
# What a field must not say, "11" being reserved: no notice, opted out, no consent, mode in force.
_FORBIDDEN: Final = {
    "n": ("10", "11"),
    "o": ("01", "11"),
    "c": ("01", "11"),
    "m": ("01", "11"),
    "p": ("10", "11"),
}
_VERSIONS: Final = {US_NATIONAL: frozenset({1, 2})}
_FIRST_VERSION: Final = frozenset({1})
_US_PRIVACY: Final = re.compile("1[YN-]{3}")


class GppSays(msgspec.Struct, frozen=True):
    """What a GPP string says of those sections that are in force.

    Attributes:
        opted_out: Personal data may not be sold, shared or used for targeting.
        eu: The EU's section is in force.
        tc_string: The EU's section, "" if there is none.
    """

    opted_out: bool = False
    eu: bool = False
    tc_string: str = ""


_NOTHING: Final = GppSays()


def gpp_says(text: str, in_force: tuple[int, ...]) -> GppSays:
    """Read a GPP string.

    Args:
        text: The string, "" if none was sent.
        in_force: Section numbers (``gpp_sid``); empty or with 0 = not said, so all that are there
            count (but for the EU's, whose own flag decides).
    """
    if not text and not in_force:
        return _NOTHING
    if len(text) > MAX_CHARACTERS or len(in_force) > _MOST_IN_FORCE:
        return _unreadable(in_force)  # not remembered either: memory stays bounded
    return _read(text, in_force)


@lru_cache(maxsize=REMEMBERED)
def _read(text: str, in_force: tuple[int, ...]) -> GppSays:
    try:
        sections = decode(text) if text else {}
    except UndecodableError:
        return _unreadable(in_force)
    said = frozenset(in_force)
    wanted = said if _is_known(in_force) else frozenset(sections)
    outside_eu = wanted - TCF_EU_SECTIONS - _NOT_IN_FORCE
    opted_out = any(opts_out(number, sections.get(number, "")) for number in outside_eu)
    return GppSays(opted_out, bool(said & TCF_EU_SECTIONS), sections.get(TCF_EU, ""))


def _unreadable(in_force: tuple[int, ...]) -> GppSays:
    """Return what a string that cannot be read stands for."""
    said = frozenset(in_force)
    outside_eu = said - TCF_EU_SECTIONS - _NOT_IN_FORCE
    opted_out = not _is_known(in_force) or bool(outside_eu)
    return GppSays(opted_out, eu=bool(said & TCF_EU_SECTIONS))


def _is_known(in_force: tuple[int, ...]) -> bool:
    """Tell whether it is said which sections are in force."""
    return bool(in_force) and _UNDETERMINED not in in_force


def decode(text: str) -> dict[int, str]:
    """Split a GPP string into its sections by number, each as it is written.

    Raises:
        UndecodableError: The header cannot be read, or does not fit the rest.
    """
    header, *sections = text.split("~")
    reader = BitReader(unpacked(header))
    kind, version = reader.integer(6), reader.integer(6)
    if kind != _HEADER_TYPE or version != _HEADER_VERSION:
        raise UndecodableError(f"a header of type {kind}, version {version}; 3 and 1 are read")
    numbers = list(_numbers(reader))
    if len(numbers) != len(sections):
        raise UndecodableError(f"{len(numbers)} sections announced, {len(sections)} are there")
    return dict(zip(numbers, sections, strict=True))


def _numbers(reader: BitReader) -> Iterable[int]:
    """Read a range in Fibonacci coding; every number is counted from the one before."""
    last = 0
    for _ in range(reader.integer(12)):
        is_range = reader.flag()
        first = last + reader.fibonacci()
        last = first + reader.fibonacci() if is_range else first
        if last > _HIGHEST_SECTION:
            raise UndecodableError(f"section {last}; the highest that can be is {_HIGHEST_SECTION}")
        yield from range(first, last + 1)


def opts_out(number: int, section: str) -> bool:
    """Tell whether a section of the US takes our leave away; what cannot be read does.

    Args:
        number: The section's number.
        section: As it is written in the string.
    """
    if number == US_PRIVACY:
        return us_privacy_opts_out(section) or not section
    core, *others = section.split(".")
    try:
        if _core_opts_out(number, unpacked(core)):
            return True
        return any(unpacked(each).startswith(_GPC) for each in others if each)
    except UndecodableError:
        return True


def _core_opts_out(number: int, bits: str) -> bool:
    version = int(bits[:_VERSION_BITS], 2)
    layout = _layout(number, version, len(bits))
    if layout is None or version not in _VERSIONS.get(number, _FIRST_VERSION):
        return True
    reader = BitReader(bits, _VERSION_BITS)
    fields = [reader.take(2) for _ in layout]
    return any(
        value in _FORBIDDEN.get(letter, ()) for letter, value in zip(layout, fields, strict=True)
    )


def _layout(number: int, version: int, length: int) -> str | None:
    """Return the fields of a section, None for one that we do not know.

    The US national section grew without a new version at first: there its length decides.
    """
    if number != US_NATIONAL:
        return _LAYOUTS.get(number)
    needed = _VERSION_BITS + 2 * len(_US_NATIONAL_LONG)
    is_short = version == 1 and length < needed
    return _US_NATIONAL_SHORT if is_short else _US_NATIONAL_LONG


def us_privacy_opts_out(text: str) -> bool:
    """Tell whether a US privacy string (CCPA, version 1) opts out of sale.

    Args:
        text: Such as ``1YNN``: version, notice, opt-out, agreement; "" = not sent.

    Returns:
        True as well for a text that is no such string.
    """
    if not text:
        return False
    letters = text.upper()
    return not _US_PRIVACY.fullmatch(letters) or letters[2] == "Y"
