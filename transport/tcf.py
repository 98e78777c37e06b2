"""Consent under GDPR: reading the Transparency and Consent String of the IAB's TCF, version 2.

The layout is that of "Transparency and Consent String with Global Vendor & CMP List Formats",
version 2, section "TC String Format": segments of base64url joined by dots, the core first.

Principle: what cannot be read gives no leave. Only the fields on which our leave rests are kept;
the answer is remembered by the text, because the same users come back.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from transport.bits import MAX_CHARACTERS, BitReader, unpacked
from transport.errors import UndecodableError

VERSION: Final = 2
PURPOSES: Final = 24
REMEMBERED: Final = 4_096
_FIRST_PURPOSE_BIT: Final = 152  # version to special features come first
_DISCLOSED_VENDORS: Final = 1
_NOT_ALLOWED: Final = 0
_NEEDS_CONSENT: Final = 1
_NEEDS_INTEREST: Final = 2


class Vendors(msgspec.Struct, frozen=True):
    """A set of vendors as it is written: a bit for each, or ranges.

    Attributes:
        bits: Text of ``0`` and ``1``, the first is vendor 1; "" where ranges are given.
        ranges: First and last vendor of each.
    """

    bits: str = ""
    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, vendor_id: int) -> bool:
        if self.bits:
            return 0 < vendor_id <= len(self.bits) and self.bits[vendor_id - 1] == "1"
        return any(first <= vendor_id <= last for first, last in self.ranges)


class Restriction(msgspec.Struct, frozen=True):
    """What a publisher allows some vendors for one purpose.

    ``kind``: 0 nothing, 1 only with consent, 2 only by legitimate interest.
    """

    purpose: int
    kind: int
    vendors: Vendors


class TcString(msgspec.Struct, frozen=True):
    """The part of a TC string on which our leave rests.

    Attributes:
        consented: Purposes to which the user agreed.
        interests: Purposes for which legitimate interest was told and not objected to.
        consents: Vendors to whom the user agreed.
        objectable: Vendors whose legitimate interest was told and not objected to.
        restrictions: Of the publisher.
        disclosed: Vendors that the user was told about; None if the string does not say.
    """

    consented: frozenset[int]
    interests: frozenset[int]
    consents: Vendors
    objectable: Vendors
    restrictions: tuple[Restriction, ...] = ()
    disclosed: Vendors | None = None


def permits(
    text: str, vendor_id: int, consent_purposes: tuple[int, ...], interest_purposes: tuple[int, ...]
) -> bool:
    """Tell whether a user lets a vendor do what it does.

    Args:
        text: The TC string.
        vendor_id: The vendor's number in the Global Vendor List; 0 = it has none: never.
        consent_purposes: Purposes that need consent.
        interest_purposes: Purposes for which consent or legitimate interest will do.

    Returns:
        False as well for what cannot be read.
    """
    # What cannot be read anyway is not remembered either: memory stays bounded.
    if vendor_id <= 0 or len(text) > MAX_CHARACTERS:
        return False
    return _permits(text, vendor_id, consent_purposes, interest_purposes)


@lru_cache(maxsize=REMEMBERED)
def _permits(
    text: str, vendor_id: int, consent_purposes: tuple[int, ...], interest_purposes: tuple[int, ...]
) -> bool:
    try:
        given = decode(text)
    except UndecodableError:
        return False
    if given.disclosed is not None and vendor_id not in given.disclosed:
        return False
    return all(_consents(given, vendor_id, purpose) for purpose in consent_purposes) and all(
        _consents(given, vendor_id, purpose) or _interest_holds(given, vendor_id, purpose)
        for purpose in interest_purposes
    )


def _consents(given: TcString, vendor_id: int, purpose: int) -> bool:
    return (
        purpose in given.consented
        and vendor_id in given.consents
        and not _restricted(given, vendor_id, purpose, _NEEDS_INTEREST)
    )


def _interest_holds(given: TcString, vendor_id: int, purpose: int) -> bool:
    return (
        purpose in given.interests
        and vendor_id in given.objectable
        and not _restricted(given, vendor_id, purpose, _NEEDS_CONSENT)
    )


def _restricted(given: TcString, vendor_id: int, purpose: int, other_basis: int) -> bool:
    """Tell whether the publisher forbids a purpose, or wants it on the other legal basis."""
    return any(
        each.purpose == purpose
        and each.kind in {_NOT_ALLOWED, other_basis}
        and vendor_id in each.vendors
        for each in given.restrictions
    )


def decode(text: str) -> TcString:
    """Read a TC string.

    Args:
        text: Core segment, and others after dots.

    Raises:
        UndecodableError: It is no TC string of version 2, or is cut off.
    """
    core, *others = text.split(".")
    bits = unpacked(core)
    version = int(bits[:6], 2)
    if version != VERSION:
        raise UndecodableError(f"a consent string of version {version}; version {VERSION} is read")
    reader = BitReader(bits, _FIRST_PURPOSE_BIT)
    consented, interests = _purposes(reader), _purposes(reader)
    reader.take(1 + 12)  # purpose one treatment, country of the publisher
    consents, objectable = _vendors(reader), _vendors(reader)
    return TcString(
        consented,
        interests,
        consents,
        objectable,
        tuple(_restriction(reader) for _ in range(reader.integer(12))),
        _disclosed(others),
    )


def _purposes(reader: BitReader) -> frozenset[int]:
    bits = reader.take(PURPOSES)
    return frozenset(number for number, bit in enumerate(bits, 1) if bit == "1")


def _vendors(reader: BitReader) -> Vendors:
    """Read a list of vendors: a bit for each up to the highest, or ranges."""
    highest = reader.integer(16)
    if reader.flag():
        return Vendors(ranges=_ranges(reader))
    return Vendors(bits=reader.take(highest))


def _ranges(reader: BitReader) -> tuple[tuple[int, int], ...]:
    found = []
    for _ in range(reader.integer(12)):
        is_range = reader.flag()
        first = reader.integer(16)
        found.append((first, reader.integer(16) if is_range else first))
    return tuple(found)


def _restriction(reader: BitReader) -> Restriction:
    return Restriction(reader.integer(6), reader.integer(2), Vendors(ranges=_ranges(reader)))


def _disclosed(segments: list[str]) -> Vendors | None:
    """Return the vendors of the first segment that says who was disclosed."""
    for segment in segments:
        if segment:
            reader = BitReader(unpacked(segment))
            if reader.integer(3) == _DISCLOSED_VENDORS:
                return _vendors(reader)
    return None
