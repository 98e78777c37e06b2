"""Files are parsed once, and again when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.errors import ConfigError
from config.once import read_once

if TYPE_CHECKING:
    from pathlib import Path


class Parser:
    """Counts its calls; refuses an empty file."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> str:
        self.calls += 1
        text = path.read_text()
        if not text:
            raise ConfigError(f"{path} is empty")
        return text


def test_a_file_that_has_not_changed_is_parsed_once(tmp_path: Path) -> None:
    file, parser = tmp_path / "a.toml", Parser()
    file.write_text("one")
    read = read_once(parser)
    assert [read(file), read(file)] == ["one", "one"]
    assert parser.calls == 1


def test_a_file_that_was_replaced_is_parsed_again(tmp_path: Path) -> None:
    file, parser = tmp_path / "a.toml", Parser()
    read = read_once(parser)
    file.write_text("one")
    read(file)
    newer = tmp_path / "b.toml"
    newer.write_text("two")
    newer.replace(file)
    assert read(file) == "two"


def test_a_refusal_is_not_kept(tmp_path: Path) -> None:
    file, parser = tmp_path / "a.toml", Parser()
    read = read_once(parser)
    file.write_text("")
    for _ in range(2):
        with pytest.raises(ConfigError, match="empty"):
            read(file)
    assert parser.calls == 2
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.toml")
