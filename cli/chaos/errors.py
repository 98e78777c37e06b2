"""What keeps an experiment from running, by who must act."""

from __future__ import annotations

from cli.errors import CommandError
from cli.exits import Exit


class ToolkitMissingError(CommandError):
    """The libraries that run experiments are not installed."""

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"experiments are run by the Chaos Toolkit's library, and {missing} is not installed: "
            "pip install 'bidwright[chaos]'"
        )


class NeedsApprovalError(CommandError):
    """The node was started by somebody else: it is hurt only when that is said to be meant."""

    exit_code = int(Exit.NEEDS_APPROVAL)


class FaultError(Exception):
    """A fault could not be brought about as the experiment wants it: the run is not valid."""


class LoadError(CommandError):
    """The exchange that plays during an experiment did not start, or did not end."""
