"""Default profiles: the most specific vector that exists is used, and files are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.errors import ConfigError
from config.profiles import (
    DefaultProfiles,
    format_profiles,
    load_default_profiles,
    segment_of,
)
from models.registry import load_manifest, weights_folder

if TYPE_CHECKING:
    from pathlib import Path


def axis(index: int) -> tuple[float, ...]:
    return tuple(1.0 if place == index else 0.0 for place in range(16))


PROFILES = DefaultProfiles(
    {
        segment_of("", "", None): axis(0),
        segment_of("", "", 3): axis(1),
        segment_of("", "phone", 3): axis(2),
        segment_of("USA", "phone", 3): axis(3),
        segment_of("USA", "phone", None): axis(4),
    },
    "v",
)


@pytest.mark.parametrize(
    ("country", "kind", "category", "expected"),
    [
        ("USA", "phone", 3, 3),
        ("FRA", "phone", 3, 2),
        ("FRA", "tv", 3, 1),
        ("USA", "phone", 9, 4),
        ("USA", "phone", None, 4),
        ("", "other", None, 0),
    ],
)
def test_the_most_specific_segment_wins(
    country: str, kind: str, category: int | None, expected: int
) -> None:
    assert PROFILES.vector(country, kind, category) == axis(expected)


def test_shipped_profiles_belong_to_the_shipped_profiler() -> None:
    version = load_manifest(weights_folder("profiler")).version
    assert load_default_profiles().profiler_version == version


def test_what_is_formatted_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(format_profiles({segment_of("", "", None): axis(5)}, "1.ab"), encoding="utf-8")
    read = load_default_profiles(path)
    assert (len(read), read.profiler_version, read.vector("", "", None)) == (1, "1.ab", axis(5))


@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        ({"*/*/3": axis(0)}, r"\*/\*/\*"),
        ({"*/*/*": (1.0,)}, "1 numbers"),
        ({"*/*/*": (2.0,) + (0.0,) * 15}, "length 2"),
    ],
)
def test_a_broken_file_is_refused(
    tmp_path: Path, vectors: dict[str, tuple[float, ...]], complaint: str
) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(format_profiles(vectors, "v"), encoding="utf-8")
    with pytest.raises(ConfigError, match=complaint):
        load_default_profiles(path)


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text("vectors = [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"profiles\.toml"):
        load_default_profiles(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_default_profiles(tmp_path / "nowhere.toml")
