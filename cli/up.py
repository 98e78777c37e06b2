"""``bidwright up``: start a node, in the foreground or in the background."""

from __future__ import annotations

import errno
import functools
import json
import shutil
import socket
import sys
from typing import TYPE_CHECKING

import click

from cli.checks import LEAST_ROOM_BYTES
from cli.errors import CommandError, NodeNotRunningError
from cli.exits import Exit
from cli.launch import start_in_background, tell_when_ready
from cli.node import Node, addresses, ask, node_options, set_option
from cli.output import say
from cli.patience import wait_until
from cli.stop import is_locked
from config.addresses import bracketed
from config.paths import NodePaths

if TYPE_CHECKING:
    from config.settings import Settings

_PROBE_TIMEOUT_S = 2.0
_LEFTOVER_S = 5.0
_LAST_START = 65_000


@click.command()
@click.option("--detach", is_flag=True, help="Return when the node is ready; it goes on running.")
@click.option("--bidders", type=click.IntRange(1, 64), help="Number of bidder processes.")
@set_option
@node_options
def up(node: Node, assignments: dict[str, object], bidders: int | None, *, detach: bool) -> None:
    """Start a node.

    It listens for bid requests on the ports from gateway.port on, one for each bidder, and for
    events on those from gateway.event_port on. Without --detach it runs until Ctrl-C.
    """
    more = dict(assignments)
    if bidders is not None:
        more["node.bidders"] = bidders
    settings = node.settings(more)
    start(settings, detach=detach)


def start(settings: Settings, *, detach: bool) -> None:
    """Start a node with these settings.

    In the background this returns when the node is ready; else the process ends with the node.

    Raises:
        CommandError: One runs there already, a port is taken, or it does not become ready.
    """
    paths = NodePaths(settings.node.data_dir)
    refuse_faulty_files(settings)
    refuse_second(paths)
    refuse_taken_ports(settings)
    paths.make()
    refuse_full_disk(paths)
    record = json.dumps(settings.model_dump(mode="json"), indent=2)
    # For nobody else: there may be a database's password in it.
    paths.settings_file.touch(mode=0o600)
    paths.settings_file.chmod(0o600)
    paths.settings_file.write_text(record + "\n", encoding="utf-8")
    run = functools.partial(_run, settings)
    say(f"starting {settings.node.name} on {paths.data_dir} ...")
    if detach:
        say(_ready(settings, start_in_background(run, paths)))
        return
    tell_when_ready(paths, lambda pid: say(f"{_ready(settings, pid)}; Ctrl-C stops it"))
    code = run()
    paths.remove_runtime_dir()
    if code == Exit.OK:
        say(f"stopped the node on {paths.data_dir}")
    sys.exit(code)


def refuse_faulty_files(settings: Settings) -> None:
    """Raise a ConfigError when campaigns, default profiles or exchange rates can't be read."""
    from config.campaigns import load_campaigns
    from config.profiles import load_default_profiles
    from config.rates import load_rates

    load_campaigns(settings.node.campaign_file)
    load_default_profiles(settings.node.profile_file)
    load_rates(settings.market.rate_file)


def refuse_full_disk(paths: NodePaths) -> None:
    """Raise a CommandError when the node's folder has no room for its ledger and its logs."""
    free = shutil.disk_usage(paths.data_dir).free
    if free < LEAST_ROOM_BYTES:
        raise CommandError(
            f"the disk of {paths.data_dir} has {free >> 20} MiB left, a node needs "
            f"{LEAST_ROOM_BYTES >> 20} at least; make room, or choose another with --data-dir",
        )


def refuse_second(paths: NodePaths) -> None:
    """Raise a CommandError when a node runs on these paths already."""
    try:
        status = ask(NodePaths.of_node(paths.data_dir), "status", _PROBE_TIMEOUT_S)
    except NodeNotRunningError:
        # What is left of a killed node holds the lock for some moments more.
        if wait_until(lambda: not is_locked(paths.lock_file), _LEFTOVER_S):
            return
        status = {}
    pid = status.get("pid") or paths.read_state().get("pid") or "unknown"
    raise CommandError(
        f"a node runs on {paths.data_dir} already (pid {pid}); stop it with `bidwright down`, "
        "or give this one a folder of its own with --data-dir",
    )


def refuse_taken_ports(settings: Settings) -> None:
    """Raise a CommandError that names every port that something else listens on."""
    gateway, edge = settings.gateway, settings.edge
    wanted = [("gateway.port", gateway.host, port) for port in settings.gateway_ports]
    wanted += [("gateway.event_port", gateway.host, port) for port in settings.event_ports]
    wanted += [("edge.port", edge.host, edge.port)] if edge.enabled else []
    taken = [(key, host, port) for key, host, port in wanted if not _is_free(host, port)]
    if taken:
        listed = ", ".join(f"{host} port {port} ({key})" for key, host, port in taken)
        used = {port for _, _, port in wanted}
        keys = dict.fromkeys(key for key, _, _ in taken)
        others = " ".join(f"--set {key}={_another_port(settings, key, used)}" for key in keys)
        raise CommandError(
            f"something else listens on {listed}; stop it, or choose other ports: {others}",
        )


def _another_port(settings: Settings, key: str, taken: set[int]) -> int:
    """Return a port from which on as many are free as the setting ``key`` needs."""
    section, _, name = key.partition(".")
    chosen = getattr(settings, section)
    host, first = chosen.host, getattr(chosen, name)
    count = 1 if section == "edge" else settings.node.bidders
    offers = (range(start, start + count) for start in range(first + 100, _LAST_START, 100))
    for ports in offers:
        if not taken.intersection(ports) and all(_is_free(host, port) for port in ports):
            taken.update(ports)
            return ports.start
    return int(first)


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise CommandError(
                f"can't listen on {host}:{port}: {error.strerror}; an address of this machine "
                "is wanted: see gateway.host and edge.host in `bidwright config show --origin`",
            ) from error
    return True


def _ready(settings: Settings, pid: int) -> str:
    gateway, edge = settings.gateway, settings.edge
    requests = ", ".join(addresses(gateway.host, settings.gateway_ports))
    events = ", ".join(addresses(gateway.host, settings.event_ports))
    scheme = "https" if edge.tls_certificate else "http"
    http = f"; HTTP {scheme}://{bracketed(edge.host)}:{edge.port}" if edge.enabled else ""
    return (
        f"{settings.node.name} is ready (pid {pid}): bid requests {requests}; events {events}{http}"
    )


def _run(settings: Settings) -> int:
    from actors.node import run_node

    return run_node(settings)
