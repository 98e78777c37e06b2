"""Network addresses as they are written: of what a node listens on, and of what others dial."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

EVERY_ADDRESS = frozenset({"0.0.0.0", "*", "::"})  # noqa: S104 - recognised, not listened on
LOOPBACK = "127.0.0.1"


def bracketed(host: str) -> str:
    """Return a host as it stands in an address: in brackets where it has colons itself."""
    return f"[{host}]" if ":" in host else host


def is_plain(url: str) -> bool:
    """Tell whether an address is reached without TLS by others than this machine.

    What goes to the machine itself crosses no network, and browsers, too, hold it for safe.

    Args:
        url: With a scheme, e.g. ``http://bids.example``; ``""`` = none is set.
    """
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if parts.scheme == "https" or host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def listen_url(host: str, port: int) -> str:
    """Return the nng address of a socket that listens on ``host`` and ``port``."""
    return f"tcp://{bracketed(host)}:{port}"


def dial_url(host: str, port: int) -> str:
    """Return the nng address by which this machine reaches a socket that listens there."""
    return listen_url(LOOPBACK if host in EVERY_ADDRESS else host, port)
