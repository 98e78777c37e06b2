"""One result beside what it is to be measured by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    Found = dict[str, Any]


class Goal(msgspec.Struct, frozen=True):
    """What a result should reach.

    Attributes:
        number: The aim.
        better: Whether a result is good above it or below it.
    """

    number: float
    better: Literal["above", "below"] = "above"

    def is_met(self, ours: float) -> bool:
        """Return whether a result reaches it."""
        return ours >= self.number if self.better == "above" else ours <= self.number


class Row(msgspec.Struct, frozen=True):
    """One result.

    Attributes:
        what: Of which data, rule and metric.
        ours: The number.
        low: Lower end of its 95 % interval, None where there is none.
        high: Upper end.
        baseline: The simple method's number on the same data, None where there is none.
        simple: Its name.
        anchor: What was published, with its source; "" where nothing was.
        goal: What it should reach, if anything.
    """

    what: str
    ours: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    simple: str = ""
    anchor: str = ""
    goal: Goal | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached, None without one."""
        return None if self.goal is None else self.goal.is_met(self.ours)


def by(rows: Iterable[Found], **wanted: object) -> Found:
    """Return the first of some rows in which these cells have these values.

    Raises:
        LookupError: There is none.
    """
    for row in rows:
        if all(row.get(name) == value for name, value in wanted.items()):
            return row
    raise LookupError(f"no row with {wanted}")
