"""``bidwright down``: stop the node, and return when nothing of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import processes
from cli.errors import CommandError, DegradedError, NodeNotRunningError
from cli.node import Node, ask, node_options
from cli.numbers import FiniteRange
from cli.output import say
from cli.patience import wait_until
from cli.stop import is_locked, kill

if TYPE_CHECKING:
    from cli.processes import Process
    from config.paths import NodePaths


@click.command()
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(min=0.1),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the processes to end.",
)
@click.option("--force", is_flag=True, help="Kill what does not end, or does not answer.")
@node_options
def down(node: Node, timeout_s: float, *, force: bool) -> None:
    """Stop the node and wait until all its processes are gone.

    Exit code 5 when no node runs.
    """
    paths = node.paths()
    try:
        family = _family(ask(paths, "status").get("pid"))
        ask(paths, "down", timeout_s)
    except NodeNotRunningError:
        family = _silent_family(paths, force=force)
    except DegradedError as error:
        if not force:
            raise DegradedError(f"{error.message}; `bidwright down --force` kills it") from error
        family = _silent_family(paths, force=force)
    _wait_for_end(paths, family, timeout_s, force=force)
    paths.remove_runtime_dir()
    say(f"stopped the node on {paths.data_dir}")


def _family(pid: object) -> list[Process]:
    return processes.descendants(pid) if isinstance(pid, int) else []


def _silent_family(paths: NodePaths, *, force: bool) -> list[Process]:
    """Return the processes of a node that doesn't answer, when they are to be killed."""
    pid = paths.read_state().get("pid")
    if not isinstance(pid, int) or not is_locked(paths.lock_file):
        raise NodeNotRunningError(paths.data_dir)
    if not force:
        raise DegradedError(
            f"the node on {paths.data_dir} (pid {pid}) lives but does not answer; "
            "`bidwright down --force` kills it",
        )
    family = _family(pid)
    kill(family)
    return family


def _wait_for_end(
    paths: NodePaths, family: list[Process], timeout_s: float, *, force: bool
) -> None:
    def gone() -> bool:
        # Every process of the node holds its lock, also one that was born just now.
        return not processes.alive(family) and not is_locked(paths.lock_file)

    if wait_until(gone, timeout_s):
        return
    left = kill(family) if force else processes.alive(family)
    if left or is_locked(paths.lock_file):
        pids = ", ".join(str(process.pid) for process in left) or "one that holds the lock"
        raise CommandError(
            f"after {timeout_s:g} s these processes still live: {pids}; "
            "`bidwright down --force` kills them",
        )
