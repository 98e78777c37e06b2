"""Keep Thespian's own sockets, which carry pickles, on this machine.

Thespian binds every actor's socket to all interfaces and advertises a public address. A node's
control plane must not be reachable from outside, so both are pinned to the loopback address here,
before an actor system starts.
"""

from __future__ import annotations

import contextlib
import os
import socket

from thespian.system.transport.IPBase import IPActorAddress

LOOPBACK = "127.0.0.1"
QUIET_PORTS = range(20_000, 32_000)


def pin_to_loopback() -> None:
    """Bind and advertise Thespian's sockets, here and in descendants, on the loopback address."""
    os.environ["THESPIAN_BASE_IPADDR"] = LOOPBACK
    IPActorAddress.bindArgs = property(lambda address: ((LOOPBACK, address.bindname[1]),))


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def quiet_port() -> int:
    """Return a free port that no connection gets by chance before we listen on it.

    The system hands out the ports of its ephemeral range to whoever connects; this one is outside.

    Raises:
        OSError: All are taken.
    """
    first = os.getpid() % len(QUIET_PORTS)
    for port in (*QUIET_PORTS[first:], *QUIET_PORTS[:first]):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((LOOPBACK, port))
            return int(port)
    raise OSError(f"no free port from {QUIET_PORTS[0]} to {QUIET_PORTS[-1]}")
