"""What the database itself refuses: to change or delete what the journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from actors.ledger.schema import APPEND_ONLY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_REFUSAL: Final = "the journal of the ledger only grows"


def install(connection: Connection) -> None:
    """Refuse updates and deletes of the journal from now on, in SQLite or PostgreSQL."""
    made = _in_sqlite if connection.dialect.name == "sqlite" else _in_postgresql
    for statement in made():
        connection.execute(text(statement))


def _in_sqlite() -> Iterator[str]:
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name}"
                f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )


def _in_postgresql() -> Iterator[str]:
    yield (
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    for table in APPEND_ONLY:
        yield (
            f"CREATE TRIGGER {table.name}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE"
            f" ON {table.name} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
