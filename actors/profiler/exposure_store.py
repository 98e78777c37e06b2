"""Keeps what users have seen over restarts: writes views to the file, and tells them to beginners.

Principle: small steps off the path of bids. Views wait in memory and go to disk some at a time;
who asks for all that was seen asks for one page after the other. A disk that does not work
costs what would have been remembered over the next restart, never a bid.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from thespian.actors import WakeupMessage

from actors.messages import Exposed, Recall, Recalled
from actors.profiler.exposure_file import ExposureFile
from supervision import LightActor
from transport.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.profiler.exposures import CapTable
    from supervision.ref import Ref

TICK_S: Final = 1.0
"""How often views are written."""
PER_TURN: Final = 200
"""Views written in one turn, half a millisecond's work."""
PER_PAGE: Final = 500
MAX_WAITING: Final = 50_000
"""Views that wait for the disk; of more the oldest are given up."""
DROP_EVERY_S: Final = 60.0
AGAIN_S: Final = 0.1
_TICK: Final = "tick"
_WRITE: Final = "write"


class _Reader(NamedTuple):
    """Somebody who wants to be told a page."""

    asker: Ref
    question: Recall


class ExposureStore(LightActor):
    """Hears ``Exposed``, answers ``Recall`` with ``Recalled``.

    Args:
        path: The file.
        caps: Says which views matter, and for how long.
        unix_clock: Seconds since 1970.
        bidder: Whose it is, for the log.
    """

    def __init__(
        self, path: Path, caps: CapTable, unix_clock: Callable[[], float], bidder: str
    ) -> None:
        self._path = path
        self._caps = caps
        self._unix_clock = unix_clock
        self._bidder = bidder
        self._file: ExposureFile | None = None
        self._views: deque[Exposed] = deque(maxlen=MAX_WAITING)
        self._drop_at_s = 0.0
        self._is_broken = False
        self._written = 0
        self._told = 0

    def on_start(self) -> None:
        """Hear of views, if any of them matters."""
        if self._caps:
            self.subscribe(Exposed)
            self._work(self._drop)
            self.wake_after(TICK_S, _TICK)

    def on_stop(self, reason: Any) -> None:
        """Write what waits."""
        while self._views and self._work(self._write):
            pass

    def on_end(self) -> None:
        """Close the file."""
        self._close()

    def describe(self) -> dict[str, Any]:
        """Tell how it goes."""
        return {
            "waiting": len(self._views),
            "written": self._written,
            "told": self._told,
            "broken": self._is_broken,
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Keep a view, tell what was seen, or go on."""
        match message:
            case Exposed(first_hand=True, campaign_id=campaign_id, creative_id=creative_id):
                if campaign_id in self._caps or creative_id in self._caps:
                    self._views.append(message)
            case Recall():
                self._tell(_Reader(sender, message))
            case WakeupMessage(payload=_Reader() as reader):
                self._tell(reader)
            case WakeupMessage(payload="tick"):
                self._work(self._drop)
                self._write_some()
                self.wake_after(TICK_S, _TICK)
            case WakeupMessage(payload="write"):
                self._write_some()
            case _:
                pass  # not for us, or a sibling's to keep

    # --- with the file -------------------------------------------------------------------------

    def _work(self, what: Callable[[ExposureFile], None]) -> bool:
        """Do something with the file; false if that did not work, which is told once."""
        try:
            if self._file is None:
                self._file = ExposureFile(self._path)
            what(self._file)
        except sqlite3.Error as error:
            if not _is_busy(error):
                self._close()
                self._broken(error)
            return False
        if self._is_broken:
            self._is_broken = False
            get_logger(bidder=self._bidder).info("exposures_available", path=str(self._path))
        return True

    def _broken(self, error: sqlite3.Error) -> None:
        if not self._is_broken:
            get_logger(bidder=self._bidder).error(
                "exposures_unavailable", path=str(self._path), reason=str(error)
            )
        self._is_broken = True

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write_some(self) -> None:
        if self._views and self._work(self._write) and self._views:
            self.wake_after(0.0, _WRITE)

    def _write(self, file: ExposureFile) -> None:
        views = [self._views[at] for at in range(min(PER_TURN, len(self._views)))]
        file.write(views)
        self._written += len(views)
        for _ in views:
            self._views.popleft()

    def _drop(self, file: ExposureFile) -> None:
        """Drop what is older than every window, now and then."""
        now_s = self.cell.clock()
        if now_s >= self._drop_at_s:
            dropped = file.drop(self._unix_clock() - self._caps.longest_s, PER_TURN)
            self._drop_at_s = now_s + (DROP_EVERY_S if dropped < PER_TURN else 0.0)

    def _tell(self, reader: _Reader) -> None:
        """Tell one page; without the file, that there is none."""
        row, views = reader.question.after_row, list[Exposed]()

        def read(file: ExposureFile) -> None:
            nonlocal row, views
            since_s = self._unix_clock() - self._caps.longest_s
            row, views = file.page(row, since_s, PER_PAGE)

        if self._caps and not self._work(read) and not self._is_broken:
            self.wake_after(AGAIN_S, reader)  # a sibling has the file just now
            return
        self._told += len(views)
        is_last = len(views) < PER_PAGE
        self.send(reader.asker, Recalled(tuple(views), row, is_last, not self._is_broken))


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether a sibling has the file just now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )
