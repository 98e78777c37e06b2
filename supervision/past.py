"""What a supervisor remembers of its children beyond what its decision needs.

Principle: the decision knows what is; what was (how often a child was started, what it last died
of, which process it had) matters to people only, and is forgotten with the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervision.messages import Report

if TYPE_CHECKING:
    from supervision.messages import Level, Reason
    from supervision.state import Child


class Past:
    """The past of the children of one supervisor, by their keys.

    Attributes:
        starts: How often each child was started.
        last_errors: What each child last died of, if it died of an error.
        pids: The process of each child's latest incarnation.
    """

    __slots__ = ("last_errors", "pids", "starts")

    def __init__(self) -> None:
        self.starts: dict[str, int] = {}
        self.last_errors: dict[str, str] = {}
        self.pids: dict[str, int] = {}

    def begin(self, key: str) -> None:
        """Note that a child is about to be started."""
        self.pids.pop(key, None)
        self.starts[key] = self.starts.get(key, 0) + 1

    def forget(self, key: str) -> None:
        """Forget a child that is no more."""
        self.last_errors.pop(key, None)
        self.starts.pop(key, None)
        self.pids.pop(key, None)

    def restarts(self, key: str) -> int:
        """Return how often a child was started anew."""
        return max(0, self.starts.get(key, 1) - 1)

    def report(
        self, path: str, context: str, reason: Reason, child: Child, count: int, level: Level
    ) -> Report:
        """Return a report on a child.

        Args:
            path: Of the supervisor.
            context: What happened.
            reason: Why.
            child: Of the supervisor.
            count: How many children it stands for.
            level: How important it is.
        """
        return Report(
            path,
            context,
            reason,
            child.spec.as_offender(child.incarnation, self.pids.get(child.key), count),
            self.last_errors.get(child.key, "") if level == "error" else "",
            level,
            restarts=self.restarts(child.key),
        )
