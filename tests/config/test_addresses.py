"""Addresses: what a node listens on is not always what others dial."""

from __future__ import annotations

import pytest

from config.addresses import dial_url, listen_url


@pytest.mark.parametrize(
    ("host", "listened", "dialled"),
    [
        ("127.0.0.1", "tcp://127.0.0.1:7400", "tcp://127.0.0.1:7400"),
        ("::1", "tcp://[::1]:7400", "tcp://[::1]:7400"),
        ("0.0.0.0", "tcp://0.0.0.0:7400", "tcp://127.0.0.1:7400"),
    ],
)
def test_hosts_with_colons_stand_in_brackets_and_every_address_is_dialled_on_loopback(
    host: str, listened: str, dialled: str
) -> None:
    assert listen_url(host, 7400) == listened
    assert dial_url(host, 7400) == dialled
