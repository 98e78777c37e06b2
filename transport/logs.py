"""Structured logs: one JSON object a line, appended by one write, never in anyone's way.

``configure`` says once, at the edge of a process, where lines go; until then they go nowhere, so
that a test that logs writes nothing to a terminal. Several processes may append to one file. A full
disk costs lines, never an actor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from config import fault_points

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import EventDict, FilteringBoundLogger

LEVELS = ("debug", "info", "warning", "error", "critical")


class _LogFile:
    """The file in force; with the interface that structlog's loggers call."""

    def __init__(self) -> None:
        self.dropped = 0
        self.level = LEVELS.index("info")
        self.fixed: dict[str, str] = {}
        self._descriptor: int | None = None

    def open(self, path: Path) -> None:
        """Append to ``path`` from now on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o644)
        self.close()
        self._descriptor = descriptor

    def close(self) -> None:
        """Write nowhere from now on."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def msg(self, line: bytes) -> None:
        """Append one line; a failure is counted."""
        if self._descriptor is None:
            return
        try:
            fault_points.reach("log.write")
            os.write(self._descriptor, line + b"\n")
        except OSError:
            self.dropped += 1

    debug = info = warning = error = critical = msg


_file = _LogFile()
_encode = msgspec.json.Encoder(enc_hook=repr, order=None).encode


def configure(path: Path, level: str, node: str, actor: str) -> None:
    """Send the lines of this process to ``path``.

    Args:
        path: Appended to; its folder is made when missing.
        level: The lowest of ``LEVELS`` that is written.
        node: Name of the node, on every line.
        actor: Name of the process actor, on every line.

    Raises:
        ValueError: No such level.
        OSError: The file cannot be opened.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r}: choose one of {', '.join(LEVELS)}")
    _file.open(path)
    _file.level = LEVELS.index(level)
    _file.fixed = {"node": node, "actor": actor}


def close() -> None:
    """Write nowhere from now on."""
    _file.close()


def dropped_lines() -> int:
    """Return how many lines the disk refused."""
    return _file.dropped


def get_logger(**bound: object) -> FilteringBoundLogger:
    """Return a logger whose lines carry ``bound``; may be made before ``configure``.

    Use it as ``log.info("bid_sent", request_id=..., ms=...)``: an event name, then fields.
    """
    import structlog

    logger: FilteringBoundLogger = structlog.wrap_logger(
        _file,
        processors=[
            _drop_below_level,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
    ).bind(**bound)
    return logger


def _drop_below_level(_logger: object, method: str, event: EventDict) -> EventDict:
    if LEVELS.index(method) < _file.level:
        import structlog

        raise structlog.DropEvent
    return event


def _render(_logger: object, _method: str, event: EventDict) -> bytes:
    return _encode({**event, **_file.fixed})
