"""Which node a command is about, and how to ask it something."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from cli.errors import CommandError, DegradedError, NodeNotRunningError
from config.addresses import dial_url
from config.paths import NodePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from config.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

CONTROL_TIMEOUT_S = 5.0
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Node:
    """The node that the options of a command name.

    Attributes:
        config: Settings file, or None.
        data_dir: Data folder from the command line, or None.
    """

    config: Path | None
    data_dir: Path | None

    def overrides(self, more: Mapping[str, object] | None = None) -> dict[str, object]:
        """Return the command line's layer of settings: the options and ``more``."""
        from config.layers import Layer, flatten, merge, nest

        flat = flatten(more or {})
        if self.data_dir is not None:
            flat["node.data_dir"] = str(self.data_dir)
        return nest(merge([Layer(values=flat, sources={})]).values)

    def settings(self, more: Mapping[str, object] | None = None) -> Settings:
        """Return the settings a node would start with.

        Raises:
            ConfigError: A setting is not valid.
        """
        from config.settings import load_settings

        return load_settings(self.config, self.overrides(more))

    def running_settings(self) -> Settings:
        """Return the settings the node was last started with, or would start with."""
        from config.settings import Settings

        path = self.paths().settings_file
        try:
            return Settings.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return self.settings()

    def gateway_urls(self) -> list[str]:
        """Return the addresses on which the node takes bid requests, bidder 1 first."""
        settings = self.running_settings()
        return addresses(settings.gateway.host, settings.gateway_ports)

    def event_urls(self) -> list[str]:
        """Return the addresses on which the node takes events, bidder 1 first."""
        settings = self.running_settings()
        return addresses(settings.gateway.host, settings.event_ports)

    def paths(self) -> NodePaths:
        """Return the node's files and sockets."""
        return NodePaths.of_node(self.settings().node.data_dir)

    def ask(self, op: str, timeout_s: float = CONTROL_TIMEOUT_S, **arguments: object) -> Any:
        """Ask the node over its control socket, and return the result.

        Raises:
            CommandError: The node refused, or did not answer in time.
            NodeNotRunningError: No node answers on the data folder.
        """
        return ask(self.paths(), op, timeout_s, **arguments)


def addresses(host: str, ports: Iterable[int]) -> list[str]:
    """Return the nng addresses of sockets that listen on ``ports``, as a client dials them."""
    return [dial_url(host, port) for port in ports]


def ask(
    paths: NodePaths, op: str, timeout_s: float = CONTROL_TIMEOUT_S, **arguments: object
) -> Any:
    """Ask the node of ``paths`` over its control socket, and return the result.

    Raises:
        CommandError: The node refused, or did not answer in time.
        NodeNotRunningError: No node answers.
    """
    from transport.control import ControlClient
    from transport.errors import ControlError, ControlTimeoutError, NotRunningError

    try:
        return ControlClient(paths.control_socket).call(op, timeout_s=timeout_s, **arguments)
    except NotRunningError as error:
        raise NodeNotRunningError(paths.data_dir, last_words(paths)) from error
    except ControlTimeoutError as error:
        raise DegradedError(f"{error}; its log is {paths.log_file}") from error
    except ControlError as error:
        raise CommandError(str(error)) from error


def last_words(paths: NodePaths) -> str:
    """Return the last line that a node in the background wrote to its console; mostly none."""
    try:
        lines = paths.console_file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last if len(last) <= _LONGEST_WORDS else f"{last[: _LONGEST_WORDS - 1]}…"


def node_options(command: Callable[P, R]) -> Callable[..., R]:
    """Give a command ``--config`` and ``--data-dir``, handed to it as ``node``."""

    @click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="BIDWRIGHT_CONFIG",
        help="Settings file (TOML).",
    )
    @click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the node.",
    )
    @functools.wraps(command)
    def with_node(*args: Any, config: Path | None, data_dir: Path | None, **kwargs: Any) -> R:
        return command(*args, node=Node(config, data_dir), **kwargs)  # type: ignore[arg-type]

    return with_node


def set_option(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--set KEY=VALUE``, handed to it as ``assignments``."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_read_assignments,
        help="Change a setting, as in --set gateway.port=7500; may be repeated.",
    )(command)


def _read_assignments(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or len(parts) == 1 or not all(parts):
            raise click.BadParameter(f"{text!r} is not of the form section.key=value")
        values[key.strip()] = value.strip()
    return values
