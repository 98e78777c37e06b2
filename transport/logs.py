"""Structured logs: one JSON object a line, appended by one write, never in anyone's way.

``configure`` says once, at the edge of a process, where lines go; until then they go nowhere, so
that a test that logs writes nothing to a terminal. Several processes may append to one file, which
becomes the old generation when it is too large. A full disk costs lines, never an actor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from config import fault_points
from transport.generations import open_to_append, retire

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import EventDict, FilteringBoundLogger

LEVELS = ("debug", "info", "warning", "error", "critical")
MAX_BYTES = 16 * 1024 * 1024
"""Size from which on a log becomes the old generation."""


class _LogFile:
    """The file in force; with the interface that structlog's loggers call."""

    def __init__(self) -> None:
        self.dropped = 0
        self.level = LEVELS.index("info")
        self.fixed: dict[str, str] = {}
        self._path: Path | None = None
        self._max_bytes = MAX_BYTES
        self._descriptor: int | None = None

    def open(self, path: Path, max_bytes: int) -> None:
        """Append to ``path`` from now on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_to_append(path)
        self.close()
        self._path, self._max_bytes, self._descriptor = path, max_bytes, descriptor

    def _renew(self) -> None:
        """Go on in a new file if this one is large, or if another process has retired it."""
        assert self._path is not None
        assert self._descriptor is not None
        if os.fstat(self._descriptor).st_size >= self._max_bytes:
            retire(self._path, self._descriptor)
            self.open(self._path, self._max_bytes)

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
            self._renew()
            os.write(self._descriptor, line + b"\n")
        except OSError:
            self.dropped += 1

    debug = info = warning = error = critical = msg


_file = _LogFile()
_encode = msgspec.json.Encoder(enc_hook=repr, order=None).encode


def configure(path: Path, level: str, node: str, actor: str, max_bytes: int = MAX_BYTES) -> None:
    """Send the lines of this process to ``path``.

    Args:
        path: Appended to; its folder is made when missing. The old generation has ``.1`` behind
            its name.
        level: The lowest of ``LEVELS`` that is written.
        node: Name of the node, on every line.
        actor: Name of the process actor, on every line.
        max_bytes: Size of one generation, give or take a line.

    Raises:
        ValueError: No such level.
        OSError: The file cannot be opened.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r}: choose one of {', '.join(LEVELS)}")
    _file.open(path, max_bytes)
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
