"""Dial the sockets of a node, and be sure that somebody is there."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from cli.errors import CommandError, NodeNotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transport.frames import ClientLink

_CONNECT_S = 3.0
_MOST_ANSWER_BYTES = 4 << 20


def dial(
    urls: Sequence[str], *, wait_s: float = _CONNECT_S, clock: Callable[[], float] = time.monotonic
) -> list[ClientLink]:
    """Connect to every address; returns when each has answered or the time is over.

    Args:
        urls: nng addresses, one a lane.
        wait_s: How long to wait for the connections.
        clock: Monotonic seconds.

    Raises:
        CommandError: One is no address.
        NodeNotRunningError: Nobody listens on any of them.
    """
    links = _dialling(urls)
    deadline_s = clock() + wait_s
    while not all(link.connected for link in links) and clock() < deadline_s:
        waiting = [link.change_fileno() for link in links if not link.connected]
        select.select(waiting, (), (), max(0.0, deadline_s - clock()))
        for link in links:
            if link.connected:
                link.take_changes()
    if not any(link.connected for link in links):
        close(links)
        raise NodeNotRunningError(" or ".join(urls))
    return links


def _dialling(urls: Sequence[str]) -> list[ClientLink]:
    from transport.errors import LinkError
    from transport.nng import NngClient

    links: list[ClientLink] = []
    for url in urls:
        links.append(NngClient(_MOST_ANSWER_BYTES))
        try:
            links[-1].dial(url)
        except LinkError as error:
            close(links)
            raise CommandError(f"{error}; an address is like tcp://127.0.0.1:7400") from error
    return links


def close(links: Sequence[ClientLink]) -> None:
    """Close all links."""
    for link in links:
        link.close()
