"""A running node as an experiment sees it: its tree, its processes, its money, its events.

Everything is asked of the node or read from its files; nothing is assumed of how it was started.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import processes
from cli.chaos.selectors import walk
from cli.errors import CommandError
from cli.node import ask
from config.paths import NodePaths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cli.processes import Process

    Look = Mapping[str, Mapping[str, Any]]

_LOOK_TIMEOUT_S = 2.0
_ASK_TIMEOUT_S = 6.0
_STOPPED = "T"


class Target:
    """One node.

    Args:
        data_dir: Its folder.
        own: It was started for this experiment.
    """

    def __init__(self, data_dir: Path, *, own: bool) -> None:
        self.data_dir = data_dir
        self.own = own

    @property
    def paths(self) -> NodePaths:
        """Its files and sockets."""
        return NodePaths.of_node(self.data_dir)

    def command(self, *words: object) -> list[str]:
        """Return the command line of ``bidwright WORDS`` about this node."""
        where = ["--data-dir", str(self.data_dir)]
        return [sys.executable, "-m", "cli.main", *map(str, words), *where]

    def ask(self, op: str, timeout_s: float = _ASK_TIMEOUT_S, **arguments: object) -> Any:
        """Ask the node over its control socket.

        Raises:
            CommandError: It refused, did not answer in time, or is not there.
        """
        return ask(self.paths, op, timeout_s, **arguments)

    def look(self) -> Look | None:
        """Return the nodes of the tree by path; None while there is no tree to be seen."""
        try:
            tree = self.ask("tree", _LOOK_TIMEOUT_S)
        except CommandError:
            return None
        return {str(node["name"]): node for node in walk(tree)}

    def status(self) -> dict[str, Any]:
        """Return what the node says of itself; empty when it does not answer."""
        try:
            return dict(self.ask("status", _LOOK_TIMEOUT_S))
        except CommandError:
            return {}

    def family(self) -> list[Process]:
        """Return all processes of the node, its first one first; empty when none answers."""
        pid = self.status().get("pid")
        return processes.descendants(int(pid)) if pid else []

    def faults(self) -> int:
        """Return how many faults are in force; 0 when the node does not answer."""
        try:
            return len(self.ask("faults")["faults"])
        except CommandError:
            return 0

    def money(self) -> dict[str, Any]:
        """Return the ledger's totals, and what its rows break in ``violations``.

        Raises:
            CommandError: The ledger can't be read.
        """
        import msgspec

        from actors.ledger.errors import LedgerError
        from actors.ledger.verify import verify

        try:
            report = verify(self.paths.ledger_db)
        except LedgerError as error:
            raise CommandError(str(error)) from error
        totals: dict[str, Any] = msgspec.to_builtins(report.summary)
        broken = [f"{each.rule}: {each.subject}, {each.detail}" for each in report.violations]
        return totals | {"violations": broken}

    def events_since(self, since_ts: float) -> list[dict[str, Any]]:
        """Return the node's events from a Unix time on, oldest first; each has its ``at_ts``."""
        events = [event for event in _events(self.paths.logs_dir) if event["at_ts"] >= since_ts]
        return sorted(events, key=lambda event: float(event["at_ts"]))


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield all events that the node's files hold; the older generation is part of it."""
    for file in folder.glob("events.jsonl*"):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            event = _event(line)
            if event is not None:
                yield event


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
        at = dt.datetime.fromisoformat(str(event["ts"]))
    except (ValueError, KeyError, TypeError):
        return None
    moment = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return {**event, "at_ts": moment.timestamp()}


def path_of(address: str) -> str:
    """Return the path in an address ``NODE:PATH``."""
    return address.partition(":")[2] or address


def lacks(look: Look | None, names: set[str]) -> str:
    """Say what a tree lacks to be whole: all ``names`` there and running; "" when it is.

    A process that was stopped from outside counts as not running, whatever the tree says.
    """
    if look is None:
        return "there is no tree to be seen"
    missing = sorted(names - set(look))
    if missing:
        return f"{missing[0]} is not there" + (f" and {len(missing) - 1} more" * (len(missing) > 1))
    for name, node in look.items():
        if node.get("state") != "running":
            return f"{name} is {node.get('state')}"
        if node.get("placement") == "process" and not _runs(node.get("pid")):
            return f"{name} (pid {node.get('pid')}) does not run"
    return ""


def _runs(pid: object) -> bool:
    """Whether there is such a process, and it is neither stopped nor dead."""
    if not isinstance(pid, int) or processes.find(pid) is None:
        return False
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return line.rpartition(")")[2].split()[0] != _STOPPED
