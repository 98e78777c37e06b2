"""How a command fails: a sentence for the person on stderr, an exit code for the script."""

from __future__ import annotations

import errno

import click

from cli.exits import Exit

_OTHERWISE = "`bidwright doctor` checks this machine"
_OTHER_PLACE = "mend its rights, or choose another place with --data-dir or --out"
_ADVICE: dict[int | None, str] = {
    errno.ENOSPC: "make room on its disk, or choose another place with --data-dir or --out",
    errno.EDQUOT: "make room in your quota, or choose another place with --data-dir or --out",
    errno.EACCES: _OTHER_PLACE,
    errno.EPERM: _OTHER_PLACE,
    errno.EROFS: _OTHER_PLACE,
}


class CommandError(click.ClickException):
    """A command can't do what was asked; the message says what to do next."""

    exit_code = int(Exit.ERROR)


class DegradedError(CommandError):
    """The node is there, but not well."""

    exit_code = int(Exit.DEGRADED)


class InvalidInputError(CommandError):
    """A file or a setting is not valid."""

    exit_code = int(Exit.INVALID)


class SystemRefusedError(CommandError):
    """The system refused a file or a stream: no room, no right, not there."""

    def __init__(self, error: OSError) -> None:
        place = f" {error.filename}" if error.filename else ""
        why = error.strerror or str(error) or type(error).__name__
        super().__init__(
            f"the system refused{place}: {why}; {_ADVICE.get(error.errno, _OTHERWISE)}"
        )


class NodeNotRunningError(CommandError):
    """No node answers on the data folder that was asked about.

    Args:
        data_dir: The folder, or the address that nobody listens on.
        last_words: What the last node there said before it ended, if it said anything.
    """

    exit_code = int(Exit.NOT_RUNNING)

    def __init__(self, data_dir: object, last_words: str = "") -> None:
        said = f" (the last one ended with: {last_words})" if last_words else ""
        super().__init__(
            f"no node runs on {data_dir}{said}; start one with `bidwright up --detach`"
        )
