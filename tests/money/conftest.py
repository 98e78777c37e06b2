"""A PostgreSQL server for the tests of money, started when the first of them needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.money.postgres import PostgresServer, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of this run; skips where there can be none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database of this test's own, as settings name it."""
    name = postgres_server.fresh_database()
    yield postgres_server.url(name)
    postgres_server.drop(name)
