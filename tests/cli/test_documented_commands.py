"""Whoever follows the documentation must not meet a command or an option that isn't there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def command_lines() -> list[str]:
    return [
        line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
        for page in PAGES
        for block in CONSOLE.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line.strip().removeprefix("$ ").removeprefix(".venv/bin/").startswith("bidwright ")
    ]


def make_targets() -> set[str]:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))


@pytest.mark.parametrize("line", command_lines())
def test_a_documented_command_is_understood(line: str, tmp_path: Path) -> None:
    words = shlex.split(line, comments=True)[1:]
    if "request.json" in words:
        request = tmp_path / "request.json"
        request.write_text("{}")
        words[words.index("request.json")] = str(request)
    context: click.Context | None = None
    command: click.Command = cli
    while isinstance(command, click.Group):
        context = command.make_context(command.name, list(words), parent=context)
        name, found, words = command.resolve_command(context, list(words))
        assert found is not None, name
        command = found
    with command.make_context(command.name, list(words), parent=context):
        assert command.callback is not None


def test_there_are_documented_commands() -> None:
    assert len(command_lines()) >= 8


def test_every_documented_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert make_targets() <= targets
    assert {"install", "demo", "test"} <= targets
