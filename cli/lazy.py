"""A command group that knows its commands by name and imports one only when it is called.

``bidwright --help`` must not pay for numpy, torch or nng, so the help of the group comes from the
table below and not from the commands' own modules.
"""

from __future__ import annotations

import difflib
import errno
import importlib
from typing import TYPE_CHECKING, NamedTuple

import click

from cli.errors import InvalidInputError, SystemRefusedError
from cli.exits import Exit
from config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Home(NamedTuple):
    """Where a command lives (``module:attribute``) and its line of help."""

    where: str
    help: str


class LazyGroup(click.Group):
    """A group over a table of commands.

    Args:
        name: Name of the group.
        homes: Name of each command to its home, in the order of the help page.
        help_text: Help of the group.
    """

    def __init__(self, name: str, homes: Mapping[str, Home], help_text: str) -> None:
        super().__init__(name=name, help=help_text, no_args_is_help=True)
        self._homes = dict(homes)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        del ctx
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None when there is none of that name."""
        del ctx
        home = self._homes.get(cmd_name)
        if home is None:
            return None
        module, _, attribute = home.where.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{home.where} is no command"
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a faulty setting or a full disk ends it with a sentence."""
        try:
            result: object = super().invoke(ctx)
        except ConfigError as error:
            raise InvalidInputError(str(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(Exit.INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has seen enough: click ends quietly
                raise
            raise SystemRefusedError(error) from error
        return result

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one ends with a usage error that suggests the nearest."""
        if args and args[0] not in self._homes and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self._homes, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' lines of help without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, home.help) for name, home in self._homes.items()])
