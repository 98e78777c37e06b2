"""Whether a log takes what is written to it, told when that changes and not at every write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervision import Report

if TYPE_CHECKING:
    from supervision import LightActor


class LogHealth:
    """The health of one actor's log.

    Args:
        owner: Whose log it is; told of in its name.

    Attributes:
        is_ill: The last write failed.
    """

    __slots__ = ("_owner", "is_ill")

    def __init__(self, owner: LightActor) -> None:
        self.is_ill = False
        self._owner = owner

    def failed(self, error: Exception) -> None:
        """Note that records are lost."""
        if not self.is_ill:
            self.is_ill = True
            path = self._owner.path
            self._owner.cell.reporter(Report(path, "log_unavailable", str(error), about=path))

    def worked(self) -> None:
        """Note that records were written."""
        if self.is_ill:
            self.is_ill = False
            path = self._owner.path
            report = Report(path, "log_available", "written again", level="info", about=path)
            self._owner.cell.reporter(report)
