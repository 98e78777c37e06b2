"""Reading text that is bits: the base64url fields of consent strings.

Principle: a consent string is at most a few hundred bytes, so it is unpacked once into a text of
``0`` and ``1``, and every field is a slice of that. What is missing at the end raises; nothing is
ever taken for zero.
"""

from __future__ import annotations

from typing import Final

from transport.errors import UndecodableError

MAX_CHARACTERS: Final = 8_192
"""Longer texts are refused unread; real ones have some thousand at most."""

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SIX_BITS: Final = {character: f"{value:06b}" for value, character in enumerate(_ALPHABET)}
_MAX_FIBONACCI_BITS: Final = 32


def unpacked(text: str) -> str:
    """Return base64url text as its bits, six for each character.

    Raises:
        UndecodableError: The text is empty, too long, or not base64url without padding.
    """
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise UndecodableError(
            f"{len(text)} characters; between 1 and {MAX_CHARACTERS} can be read"
        )
    try:
        return "".join([_SIX_BITS[character] for character in text])
    except KeyError as error:
        raise UndecodableError(f"{error.args[0]!r} is not a character of base64url") from None


class BitReader:
    """Takes fields from bits, one after the other.

    Args:
        bits: Text of ``0`` and ``1``.
        place: Where to begin.
    """

    __slots__ = ("_bits", "place")

    def __init__(self, bits: str, place: int = 0) -> None:
        self._bits = bits
        self.place = place

    def take(self, count: int) -> str:
        """Return the next ``count`` bits as text.

        Raises:
            UndecodableError: There are fewer.
        """
        end = self.place + count
        if end > len(self._bits):
            raise UndecodableError(f"it ends after {len(self._bits)} bits; {end} are needed")
        taken = self._bits[self.place : end]
        self.place = end
        return taken

    def integer(self, count: int) -> int:
        """Return the next ``count`` bits as a number, most significant first."""
        return int(self.take(count), 2)

    def flag(self) -> bool:
        """Return the next bit."""
        return self.take(1) == "1"

    def fibonacci(self) -> int:
        """Return the next number in Fibonacci coding: it ends with its first two ones in a row.

        Raises:
            UndecodableError: It does not end, or is larger than any number that is in use.
        """
        total, smaller, larger, last = 0, 1, 1, False
        for _ in range(_MAX_FIBONACCI_BITS):
            one = self.flag()
            if one and last:
                return total
            total += larger if one else 0
            smaller, larger, last = larger, smaller + larger, one
        raise UndecodableError(f"a Fibonacci number of more than {_MAX_FIBONACCI_BITS} bits")
