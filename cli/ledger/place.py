"""Which ledger a command is about, and what its errors become."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.ledger.engines import Database
    from cli.node import Node


def database(node: Node) -> Database:
    """Return the database of a node's ledger, as it was last started.

    Raises:
        CommandError: It can't be named.
    """
    from actors.ledger.engines import database_of

    money = node.running_settings().money
    with plain_errors():
        return database_of(
            money.database or str(node.paths().ledger_db), money.database_password_file
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Make errors of the ledger those of a command.

    Raises:
        CommandError: The ledger can't be read; the message says what to do.
    """
    from actors.ledger.errors import LedgerError

    try:
        yield
    except LedgerError as error:
        raise CommandError(str(error)) from error


def plain(value: object) -> Any:
    """Return a value as JSON has it."""
    import msgspec

    return msgspec.to_builtins(value)
