"""What tests of whole nodes share."""

from __future__ import annotations

from tests.money.conftest import postgres_server

__all__ = ["postgres_server"]
