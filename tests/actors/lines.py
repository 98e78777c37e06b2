"""A structured log in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Lines:
    """Keeps every line as its fields, with level and event."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(event: str, **fields: object) -> None:
            self.lines.append({"level": level, "event": event, **fields})

        return write
