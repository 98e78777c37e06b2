"""Brings a ledger's database from the version that made it to the present one (Alembic).

``versions`` has one file per step. A new database is made at once from ``actors.ledger.schema``; a
test makes sure that both ways lead to the same tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection


def upgrade(connection: Connection, known: str) -> None:
    """Do the steps after ``known``, in the transaction of ``connection``.

    Args:
        connection: To a database at that step.
        known: Its last step, ``0001`` and so on.
    """
    # Imported only when there is something to do: a ledger that restarts must be quick.
    from alembic import command

    config = _config(connection)
    command.stamp(config, known)
    command.upgrade(config, "head")


def stamp(connection: Connection) -> None:
    """Note that a database that was just made is at the newest step."""
    from sqlalchemy import text

    from actors.ledger.schema import REVISION

    connection.execute(
        text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:at)"), {"at": REVISION})


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config
