"""The two doors of a node as clients see them: many bodies in, one answer to each, in order."""

from __future__ import annotations

import http.client
import select
import threading
from typing import TYPE_CHECKING

from transport.nng import NngLinks

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_FLIGHT = 32
CONNECTIONS = 4
SILENCE_LIMIT_S = 10.0


def ask_nng(port: int, bodies: Sequence[bytes]) -> list[bytes]:
    """Send all to a gateway socket, a few at a time; fail if an answer does not come."""
    client = NngLinks().client()
    client.dial(f"tcp://127.0.0.1:{port}")
    select.select([client.change_fileno()], [], [], SILENCE_LIMIT_S)
    client.take_changes()
    answers: dict[int, bytes] = {}
    sent = 0
    try:
        while len(answers) < len(bodies):
            while sent < len(bodies) and sent - len(answers) < IN_FLIGHT:
                assert client.send(sent, bodies[sent])
                sent += 1
            ready, _, _ = select.select([client.fileno()], [], [], SILENCE_LIMIT_S)
            assert ready, f"no answer to {sorted(set(range(sent)) - set(answers))[:5]}"
            answers.update(client.drain(256))
    finally:
        client.close()
    return [answers[number] for number in range(len(bodies))]


def ask_http(port: int, bodies: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Post all over a few connections that stay open; returns status and body of each answer.

    Raises:
        OSError: A connection was closed, or an answer did not come in time.
    """
    answers: list[tuple[int, bytes]] = [(0, b"")] * len(bodies)
    failures: list[BaseException] = []

    def post(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE_LIMIT_S)
        headers = {"Content-Type": "application/json", "x-openrtb-version": "2.6"}
        try:
            connection.connect()
            kept = connection.sock
            for number in range(first, len(bodies), CONNECTIONS):
                connection.request("POST", "/openrtb2/bid", bodies[number], headers)
                answer = connection.getresponse()
                answers[number] = answer.status, answer.read()
                if connection.sock is not kept:
                    raise ConnectionError(f"closed after {answers[number]} to {bodies[number]!r}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=post, args=(first,)) for first in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return answers
