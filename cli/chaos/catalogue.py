"""Where experiments come from: files in the Chaos Toolkit's format, shipped or a user's own."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.chaos.errors import ToolkitMissingError
from cli.chaos.plan import Plan, plan_of
from cli.errors import CommandError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED = Path(__file__).resolve().parents[2] / "supervision" / "chaos"
_KINDS = (".yaml", ".yml", ".json")


class Experiment(NamedTuple):
    """One experiment.

    Attributes:
        name: The name of its file, without the ending.
        path: Its file.
        content: What stands in it.
        plan: Our part of it.
    """

    name: str
    path: Path
    content: dict[str, Any]
    plan: Plan


class Step(NamedTuple):
    """One action of a method, in words for a table."""

    what: str
    whom: str
    mode: str
    ttl_s: float | None


def shipped() -> list[Experiment]:
    """Return the experiments that ship with the project, by name.

    Raises:
        InvalidInputError: One is not what it should be.
    """
    return [read(path) for path in sorted(SHIPPED.glob("*.yaml"))]


def find(name: str) -> Experiment:
    """Return the experiment that a person means: a shipped one by its name, or a file.

    Raises:
        CommandError: There is none.
        InvalidInputError: It is no experiment.
    """
    file = Path(name)
    if file.suffix in _KINDS:
        if not file.is_file():
            raise CommandError(f"there is no file {name}")
        return read(file)
    known = {path.stem: path for path in SHIPPED.glob("*.yaml")}
    if name in known:
        return read(known[name])
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise CommandError(
        f"no experiment is called {name!r}; {hint}`bidwright chaos list` lists them, and a file "
        f"of your own ends with {', '.join(_KINDS)}"
    )


def read(path: Path) -> Experiment:
    """Read one file.

    Raises:
        InvalidInputError: It can't be read, or is no experiment.
        ToolkitMissingError: YAML can't be read here.
    """
    try:
        content = _parsed(path)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"can't read the experiment {path}: {error}") from error
    if not isinstance(content, dict) or "method" not in content:
        raise InvalidInputError(
            f"{path} is no experiment in the Chaos Toolkit's format: it has no method"
        )
    return Experiment(path.stem, path, content, plan_of(content))


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    try:
        import yaml
    except ImportError as error:
        raise ToolkitMissingError("PyYAML") from error
    try:
        # libyaml reads as safe_load does, several times as quickly; not every machine has it.
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def steps(content: Mapping[str, Any]) -> list[Step]:
    """Return what the method of an experiment does, without its pauses."""
    found = []
    for activity in content.get("method") or ():
        provider = activity.get("provider") or {}
        arguments = provider.get("arguments") or {}
        if activity.get("type") == "action" and provider.get("func") != "wait":
            found.append(_step(str(provider.get("func", provider.get("type"))), arguments))
    return found


def _step(func: str, arguments: Any) -> Step:
    if not isinstance(arguments, dict):
        return Step(func, "", "", None)
    args = arguments.get("args") or {}
    detail = args.get("signal") or "/".join(
        str(args[name]) for name in ("point", "action") if name in args
    )
    what = " ".join(str(part) for part in (arguments.get("kind", func), detail) if part)
    whom = str(arguments.get("select", arguments.get("name", "node")))
    timed = func == "fault"
    mode = str(arguments.get("mode", "one")) if "select" in arguments else ""
    return Step(what, whom, mode, float(arguments.get("ttl_s", 5.0)) if timed else None)
