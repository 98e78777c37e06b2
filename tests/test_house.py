"""House rules that no linter knows."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "actors", "supervision", "models", "transport", "config")
LONGEST_FUNCTION = 40
LONGEST_FILE = 400
LONGEST_TEST_FILE = 600

HEAVY = ("torch", "numpy", "pynng", "pydantic", "thespian", "sqlalchemy", "pyarrow", "rich")

# Written in two halves, so that this file doesn't find itself.
BANNED = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "NotImplemented" + "Error")
BANNED_PLACES = ("/wo" + "rk/", "/tmp/scr" + "atch")


def sources(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring left out."""
    end = function.end_lineno or function.lineno
    lines = end - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def imported(path: Path) -> set[str]:
    """Top-level names of all imports, also of those inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def canonical(requirement: str) -> str:
    """Return the package's name, without its extras and version, as the index spells it."""
    name = re.split(r"[\[<>=;]", requirement, maxsplit=1)[0]
    return name.strip().lower().replace("_", "-")


def tracked_texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    kinds = {".py", ".md", ".toml", ".cfg", ".yaml", ".yml", ".txt", ""}
    paths = [ROOT / name for name in listed]
    return [path for path in paths if path.suffix in kinds and path.is_file()]


def fresh_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name} has {length(function)} lines"
        for path in sources(*PACKAGES, "tests", "benchmarks")
        for function in functions(path)
        if length(function) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_no_file_is_longer_than_one_sitting() -> None:
    limits = [(path, LONGEST_FILE) for path in sources(*PACKAGES, "benchmarks")]
    limits += [(path, LONGEST_TEST_FILE) for path in sources("tests")]
    long = [
        f"{path.relative_to(ROOT)} has {count} lines"
        for path, limit in limits
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > limit
    ]
    assert not long, "\n".join(long)


def test_nothing_is_left_for_later_and_no_machine_is_named() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in tracked_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for word in (*BANNED, *BANNED_PLACES)
        if word in line
    ]
    assert not found, "\n".join(found)


def test_no_dependency_ships_a_package_of_one_of_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    clashes = {
        name: others
        for name in PACKAGES
        if (others := {owner for owner in owners.get(name, []) if owner != "bidwright"})
    }
    assert not clashes


def test_every_folder_with_code_is_a_package_that_the_distribution_ships() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    included = setup["options.packages.find"]["include"].split()
    assert sorted(included) == sorted([*PACKAGES, *(f"{name}.*" for name in PACKAGES)])
    orphans = {
        str(path.parent.relative_to(ROOT))
        for path in sources(*PACKAGES)
        if not (path.parent / "__init__.py").exists()
    }
    assert not orphans


def test_the_changelog_starts_with_the_version_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    newest = next(line for line in lines if line.startswith("## "))
    assert newest.split()[1] == setup["metadata"]["version"]


def test_every_requirement_has_a_tested_version() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
    names = {canonical(line) for line in wanted.splitlines() if line.strip()}
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {canonical(line) for line in constraints if "==" in line}
    assert names <= tested


def test_every_import_is_of_the_standard_library_or_of_a_stated_requirement() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    lists = [setup["options"]["install_requires"]]
    lists += [lines for name, lines in extras.items() if name != "dev"]
    stated = {canonical(line) for lines in lists for line in lines.splitlines()}
    owners = importlib.metadata.packages_distributions()
    known = {*sys.stdlib_module_names, *PACKAGES}
    unstated = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(*PACKAGES)
        for name in imported(path) - known
        if not stated & {canonical(owner) for owner in owners.get(name, [name])}
    }
    assert not unstated, "\n".join(sorted(unstated))


@pytest.mark.slow
def test_help_loads_nothing_heavy() -> None:
    loaded = json.loads(
        fresh_python(
            "import json, sys, io, contextlib\n"
            "from cli.main import cli\n"
            "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
            "    cli.main(['--help'], prog_name='bidwright', standalone_mode=False)\n"
            "assert 'Commands' in out.getvalue()\n"
            "print(json.dumps(sorted(sys.modules)))\n"
        )
    )
    assert not [name for name in HEAVY if name in loaded]
    # Each module costs about 0.2 ms: a bound that, unlike a time, holds on a busy machine.
    assert len(loaded) < 350


@pytest.mark.slow
def test_the_process_that_forks_a_node_has_loaded_no_nng_and_no_torch() -> None:
    loaded = json.loads(
        fresh_python(
            "import json, sys\n"
            "import cli.up, cli.down, cli.status, cli.tree, cli.actor, cli.demo\n"
            "from transport.control import ControlClient\n"
            "from config.settings import load_settings\n"
            "load_settings()\n"
            "print(json.dumps(sorted(sys.modules)))\n"
        )
    )
    assert not [name for name in ("torch", "numpy", "pynng") if name in loaded]
