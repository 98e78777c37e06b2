"""Exit codes: part of the contract with scripts, so they have names and never change."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the shell sees when a command ends."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DEGRADED = 3
    INVALID = 4
    NOT_RUNNING = 5
    NEEDS_APPROVAL = 6
    INTERRUPTED = 130
