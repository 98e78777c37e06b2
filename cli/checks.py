"""The questions of ``bidwright doctor``; each looks at one thing and says what to do about it."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import resource
import shutil
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from cli.errors import CommandError
from config.addresses import EVERY_ADDRESS
from config.errors import ConfigError
from config.paths import NodePaths
from models import TRAINABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from config.settings import Settings

Verdict = Literal["ok", "warning", "fault"]

_OLDEST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 1 << 30
LEAST_ROOM_BYTES = 16 << 20
"""A node doesn't start with less."""
_LEAST_OPEN_FILES = 1024
_DISTRIBUTIONS = ("thespian", "pynng", "torch", "msgspec", "msgpack", "SQLAlchemy", "pyarrow")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        verdict: ``fault`` keeps a node from working, ``warning`` may trouble it.
        found: What is there.
        advice: What to do; empty when all is well.
    """

    check: str
    verdict: Verdict
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON-able data."""
        return asdict(self)


def examine(settings: Settings, *, node_runs: bool) -> list[Finding]:
    """Run all checks for a node with these settings.

    Args:
        settings: What the node would start with.
        node_runs: Whether it runs already: then its ports are rightly in use.
    """
    paths = NodePaths(settings.node.data_dir)
    findings = [check_python(sys.version_info[:2]), *check_distributions()]
    findings += [check_folder(paths), check_sockets(paths), check_disk(paths)]
    findings.append(check_ledger(settings, paths))
    findings.append(check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    findings.append(Finding("node", "ok", "running" if node_runs else "not running"))
    if not node_runs:
        findings.append(check_ports(settings))
    findings += check_notices(settings)
    findings += check_world(settings)
    return findings


def check_ledger(settings: Settings, paths: NodePaths) -> Finding:
    """Can the ledger's database be read?"""
    from actors.ledger.engines import database_of
    from actors.ledger.errors import LedgerError
    from actors.ledger.verify import show

    money = settings.money
    try:
        database = database_of(money.database or str(paths.ledger_db), money.database_password_file)
        if not database.is_made():
            return Finding("ledger", "ok", f"{database}: none yet, the first start makes it")
        summary = show(database)
    except LedgerError as error:
        return Finding("ledger", "fault", str(error), "without a ledger nothing is bid")
    return Finding("ledger", "ok", f"{summary.path}: {summary.settlements} settlements")


def check_python(version: tuple[int, int]) -> Finding:
    """Is Python new enough?"""
    found = ".".join(map(str, version))
    if version >= _OLDEST_PYTHON:
        return Finding("python", "ok", found)
    return Finding("python", "fault", found, "install Python 3.11 or newer")


def check_distributions() -> Iterator[Finding]:
    """Is everything installed that a node needs?"""
    for name in _DISTRIBUTIONS:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "fault", "not installed", "run `make install`")


def check_folder(paths: NodePaths) -> Finding:
    """Can the node write to its folder?"""
    existing = next(each for each in (paths.data_dir, *paths.data_dir.parents) if each.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding("data folder", "ok", str(paths.data_dir))
    advice = "choose another with --data-dir or mend its rights"
    return Finding("data folder", "fault", f"can't write to {existing}", advice)


def check_sockets(paths: NodePaths) -> Finding:
    """Can the node have its sockets?"""
    advice = "set XDG_RUNTIME_DIR to a short path that is yours"
    folder = paths.runtime_dir
    if folder.exists() and folder.lstat().st_uid != os.getuid():
        return Finding("socket folder", "fault", f"{folder} belongs to someone else", advice)
    try:
        paths.ipc("inference-cuda:0")
    except ConfigError as error:
        return Finding("socket folder", "fault", str(error), advice)
    return Finding("socket folder", "ok", str(folder))


def check_disk(paths: NodePaths) -> Finding:
    """Is there room for the decision log?"""
    existing = next(each for each in (paths.data_dir, *paths.data_dir.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / (1 << 30):.1f} GiB free"
    if free >= _LEAST_FREE_BYTES:
        return Finding("disk", "ok", found)
    if free < LEAST_ROOM_BYTES:
        return Finding("disk", "fault", found, "make room, or choose another with --data-dir")
    return Finding("disk", "warning", found, "make room: the decision log grows with traffic")


def check_open_files(limit: int) -> Finding:
    """May a process open enough files?"""
    if limit == resource.RLIM_INFINITY or limit >= _LEAST_OPEN_FILES:
        return Finding("open files", "ok", str(limit))
    return Finding("open files", "warning", str(limit), f"ulimit -n {_LEAST_OPEN_FILES}")


def check_ports(settings: Settings) -> Finding:
    """Are the ports of the gateway and of the HTTP edge free?"""
    from cli.up import refuse_taken_ports

    try:
        refuse_taken_ports(settings)
    except CommandError as error:
        found, _, advice = error.message.partition("; ")
        return Finding("ports", "fault", found, advice)
    bids, events = _span(settings.gateway_ports), _span(settings.event_ports)
    http = f", {settings.edge.port} (HTTP)" if settings.edge.enabled else ""
    return Finding("ports", "ok", f"free: {bids} (bids), {events} (events){http}")


def _span(ports: range) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"


def check_notices(settings: Settings) -> Iterator[Finding]:
    """Can an exchange reach the notice addresses that stand in a bid?"""
    if (
        settings.edge.enabled
        and settings.edge.host in EVERY_ADDRESS
        and not settings.edge.public_url
    ):
        advice = "set edge.public_url to what exchanges reach this machine by"
        yield Finding("notices", "warning", f"{settings.notice_url} is no address to dial", advice)


def check_world(settings: Settings) -> Iterator[Finding]:
    """Do the campaigns, the default profiles, the exchange rates and the models load?"""
    yield _attempt("campaigns", lambda: _campaigns(settings))
    yield _attempt("default profiles", lambda: _profiles(settings))
    yield _attempt("exchange rates", lambda: _rates(settings))
    for model in TRAINABLE:
        look = functools.partial(_weights, model, settings.models.folder)
        yield _attempt(f"model {model}", look)


def _attempt(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", look())
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever is wrong
        return Finding(check, "fault", str(error), "mend the file, or reinstall the package")


def _campaigns(settings: Settings) -> str:
    from config.campaigns import load_campaigns

    return f"{len(load_campaigns(settings.node.campaign_file))} campaigns"


def _profiles(settings: Settings) -> str:
    from config.profiles import load_default_profiles

    load_default_profiles(settings.node.profile_file)
    return settings.node.profiles or "those of the package"


def _rates(settings: Settings) -> str:
    from config.rates import load_rates

    table = load_rates(settings.market.rate_file)
    return f"{len(table.micros)} currencies, as of {table.as_of or 'nobody says when'}"


def _weights(model: str, root: Path | None) -> str:
    from models.registry import load_manifest, weights_folder

    return f"version {load_manifest(weights_folder(model, root)).version}"
