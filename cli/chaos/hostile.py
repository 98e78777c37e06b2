"""Hostile bytes for every socket of a node: what no peer of good will ever says.

A node must answer them with a refusal or hang up; nothing may end, leak or hang by them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.chaos.target import Target

Address = tuple[int, str | tuple[str, int]]

_GREETING = b"\0SP\0" + struct.pack(">H", 0x30) + b"\0\0"  # of an nng REQ socket
_SAY_LIMIT_S = 2.0
_LISTEN_S = 0.02
_LARGE_BYTES = 2_000_000
HANG_UPS = 20
_NESTED = b"[" * 50_000 + b"]" * 50_000
BODIES = (
    b"",
    b"\xc1",
    _NESTED,
    b'{"type":"win","key":"k","later":' + _NESTED + b"}",
    b"\x82\xa4type\xa3win\xa5later" + b"\x91" * 50_000 + b"\xc0",
    b"\x82\xa4type\xa3win\xa3key\xa2\xff\xfe",
    b"\x81\xa8messages" + b"\x91" * 50_000,
    b"\x81\xa8messages\x91\x81\xa4type\xa2\xff\xfe",
    b"\x82\xa4type\xa5infer\xa8requests\xdd\xff\xff\xff\xff",
    b'{"id":"r","imp":[{"id":"1","banner":{"w":1e400}}],"tmax":1' + b"0" * 400 + b"}",
    json.dumps({"id": "r", "imp": [{"id": str(i), "native": {}} for i in range(5_000)]}).encode(),
)
"""Bodies that are nothing, break off, nest too deeply, lie about their size or ask too much."""


def sockets_of(target: Target) -> list[Address]:
    """Return every address that the node listens on, but the operators' own."""
    ports = target.status().get("ports", {})
    found: list[Address] = [
        (socket.AF_INET, ("127.0.0.1", port)) for kind in ports.values() for port in kind
    ]
    paths = target.paths
    folder = paths.runtime_dir
    found += [
        (socket.AF_UNIX, str(path))
        for path in sorted(folder.glob("*.sock"))
        if path != paths.control_socket
    ]
    return found


def insult(address: Address, hang_ups: int = HANG_UPS) -> int:
    """Say everything hostile to one address, and hang up at every stage of saying hello.

    Args:
        address: Who listens there.
        hang_ups: How often to hang up at each stage.

    Returns:
        How often something was said.
    """
    for number, body in enumerate(BODIES):
        _speak(address, _GREETING, _frame(address[0], number, body))
    _speak(address, os.urandom(4096))
    _speak(address, _GREETING, struct.pack(">Q", 2**63))
    _speak(address, _GREETING, _frame(address[0], 1, b"x" * _LARGE_BYTES))
    for _ in range(hang_ups):
        _speak(address)
        _speak(address, _GREETING[:3])
    return len(BODIES) + 3 + 2 * hang_ups


def _speak(address: Address, *parts: bytes) -> None:
    """Connect, say something without listening, and go."""
    family, where = address
    with socket.socket(family) as line, contextlib.suppress(OSError):
        line.settimeout(_SAY_LIMIT_S)
        line.connect(where)
        for part in parts:
            line.sendall(part)
        line.settimeout(_LISTEN_S)
        line.recv(64)


def _frame(family: int, number: int, body: bytes) -> bytes:
    """Wrap a body as nng does."""
    message = struct.pack(">I", 0x8000_0000 | number) + body
    mark = b"\x01" if family == socket.AF_UNIX else b""
    return mark + struct.pack(">Q", len(message)) + message
