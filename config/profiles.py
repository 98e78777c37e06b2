"""Default profiles: the interest vector of a segment, for users of whom nothing is known.

A segment is country x device kind x content category. The most specific vector that the file has is
used, then coarser ones, and the global one always exists, so a lookup never fails.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Final

import msgspec

from config.errors import ConfigError
from config.once import read_once

Vector = tuple[float, ...]

#: The default profiles that ship with the project; they belong to the profiler's shipped weights.
DEFAULT_PROFILES: Final = Path(__file__).with_name("profiles.toml")

#: Length of every vector.
PROFILE_DIM: Final = 16

_ANY: Final = "*"
_UNIT_TOLERANCE: Final = 0.01


def segment_of(country: str, device_kind: str, category: int | None) -> str:
    """Return the name of a segment, e.g. ``USA/phone/8``; ``*`` stands for "any".

    Args:
        country: ISO-3166-1 alpha-3, ``""`` = any.
        device_kind: As in `models.opportunity.DEVICE_KINDS`, ``""`` = any.
        category: Index of the content category, ``None`` = any.
    """
    topic = _ANY if category is None else str(category)
    return f"{country or _ANY}/{device_kind or _ANY}/{topic}"


class _ProfileFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape of the file."""

    profiler_version: str
    vectors: dict[str, Vector]


class DefaultProfiles:
    """Vectors by segment.

    Args:
        vectors: By the names of `segment_of`; ``*/*/*`` must be among them.
        profiler_version: Version of the weights in whose space the vectors lie.
    """

    def __init__(self, vectors: dict[str, Vector], profiler_version: str) -> None:
        self._vectors = vectors
        self._global = vectors[segment_of("", "", None)]
        self.profiler_version = profiler_version

    def __len__(self) -> int:
        return len(self._vectors)

    def vector(self, country: str, device_kind: str, category: int | None) -> Vector:
        """Return the vector of the most specific segment that is known, of length 1.

        Args:
            country: ISO-3166-1 alpha-3, ``""`` = unknown.
            device_kind: As in `models.opportunity.DEVICE_KINDS`.
            category: Index of the content category, ``None`` = unknown.
        """
        names = (
            segment_of(country, device_kind, category),
            segment_of("", device_kind, category),
            segment_of("", "", category),
            segment_of(country, device_kind, None),
        )
        for name in names:
            found = self._vectors.get(name)
            if found is not None:
                return found
        return self._global


def load_default_profiles(path: Path | None = None) -> DefaultProfiles:
    """Read and check a file of default profiles.

    Args:
        path: A TOML file; ``None`` is the one that ships with the project.

    Raises:
        ConfigError: The file cannot be read, or breaks a rule; the message names file and place.
    """
    return _read(path or DEFAULT_PROFILES)


@read_once
def _read(source: Path) -> DefaultProfiles:
    try:
        document = tomllib.loads(source.read_text(encoding="utf-8"))
        content = msgspec.convert(document, _ProfileFile)
    except OSError as error:
        raise ConfigError(
            f"cannot read default profiles from {source}: {error.strerror}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{source}: {error}; correct the file or train the profiler") from error
    complaint = _first_complaint(content.vectors)
    if complaint is not None:
        raise ConfigError(f"{source}: {complaint}")
    return DefaultProfiles(content.vectors, content.profiler_version)


def _first_complaint(vectors: dict[str, Vector]) -> str | None:
    """Return the first broken rule in words, or ``None``."""
    if segment_of("", "", None) not in vectors:
        return 'there is no vector "*/*/*"; every user needs at least that one'
    for name, vector in vectors.items():
        if len(vector) != PROFILE_DIM:
            return f"vector {name!r} has {len(vector)} numbers, not {PROFILE_DIM}"
        if abs(math.hypot(*vector) - 1.0) > _UNIT_TOLERANCE:
            return f"vector {name!r} has length {math.hypot(*vector):.3f}, not 1"
    return None


def format_profiles(vectors: dict[str, Vector], profiler_version: str) -> str:
    """Return the text of a file of default profiles.

    Args:
        vectors: By the names of `segment_of`.
        profiler_version: Version of the weights in whose space the vectors lie.
    """
    lines = [
        "# Default profiles: mean interest vector by segment, country/device/content category.",
        "# Made by: bidwright train profiler",
        "",
        f'profiler_version = "{profiler_version}"',
        "",
        "[vectors]",
    ]
    for name, vector in vectors.items():
        numbers = ", ".join(f"{number:.4f}" for number in vector)
        lines.append(f'"{name}" = [{numbers}]')
    return "\n".join(lines) + "\n"
