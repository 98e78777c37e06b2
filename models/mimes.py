"""Content types as requests write them: several names for one type, in any case."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

#: Names that are in use though never registered, and what they stand for.
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "video/x-mp4": "video/mp4",
}


def accepts(wanted: tuple[str, ...], offered: tuple[str, ...]) -> bool:
    """Tell whether one of the offered content types is among the wanted; nothing wanted = any."""
    return not wanted or not known(wanted).isdisjoint(known(offered))


def as_asked(mime: str, wanted: tuple[str, ...]) -> str:
    """Return a content type under the name that the placement gave it: players compare texts."""
    return next((each for each in wanted if _proper(each) == _proper(mime)), mime)


@lru_cache(maxsize=4096)
def known(mimes: tuple[str, ...]) -> frozenset[str]:
    """Return content types under their proper names; lists repeat, so the answer is kept."""
    return frozenset(map(_proper, mimes))


def _proper(mime: str) -> str:
    lowered = mime.strip().lower()
    return _ALIASES.get(lowered, lowered)
