"""Network addresses as they are written: of what a node listens on, and of what others dial."""

from __future__ import annotations

EVERY_ADDRESS = frozenset({"0.0.0.0", "*", "::"})  # noqa: S104 - recognised, not listened on
LOOPBACK = "127.0.0.1"


def bracketed(host: str) -> str:
    """Return a host as it stands in an address: in brackets where it has colons itself."""
    return f"[{host}]" if ":" in host else host


def listen_url(host: str, port: int) -> str:
    """Return the nng address of a socket that listens on ``host`` and ``port``."""
    return f"tcp://{bracketed(host)}:{port}"


def dial_url(host: str, port: int) -> str:
    """Return the nng address by which this machine reaches a socket that listens there."""
    return listen_url(LOOPBACK if host in EVERY_ADDRESS else host, port)
