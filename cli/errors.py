"""How a command fails: a sentence for the person on stderr, an exit code for the script."""

from __future__ import annotations

import click

from cli.exits import Exit


class CommandError(click.ClickException):
    """A command can't do what was asked; the message says what to do next."""

    exit_code = int(Exit.ERROR)


class DegradedError(CommandError):
    """The node is there, but not well."""

    exit_code = int(Exit.DEGRADED)


class InvalidInputError(CommandError):
    """A file or a setting is not valid."""

    exit_code = int(Exit.INVALID)


class NodeNotRunningError(CommandError):
    """No node answers on the data folder that was asked about."""

    exit_code = int(Exit.NOT_RUNNING)

    def __init__(self, data_dir: object) -> None:
        super().__init__(f"no node runs on {data_dir}; start one with `bidwright up --detach`")
