"""What can be wrong with a configuration, said so that a person can mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ConfigError(Exception):
    """A setting, a configuration file or a folder of a node can't be used.

    The message lists every problem that was found, each with the place it comes from, because a
    person who mends a file wants to see all of its errors at once.

    Args:
        message: What is wrong, where, and what to do next.
        problems: One line for each fault, when there are several.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(message + lines)
