"""Looking again and again: the same view redrawn in place, or one line a look for scripts.

The node may go and come meanwhile; whoever watches is told so and goes on watching.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import click

from cli import output as printing
from cli.errors import CommandError, NodeNotRunningError
from cli.looking import walk, with_rates
from cli.output import say
from cli.patience import paced
from cli.tree import print_dead, print_tree, tree_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import RenderableType
    from rich.live import Live

    from cli.tree import Look

GONE = "node is not running, waiting"
_FRAME_LINES = 5
"""Lines of a frame that are no lines of the tree: heading, rule, status, two blank ones."""


class Seen:
    """What the last look showed, and what is wrong with the node since.

    Args:
        look: Asks the node.
        clock: Monotonic seconds.

    Attributes:
        tree: The last tree that was seen, with rates.
        trouble: Why there is no newer one; "" if there is nothing wrong.
    """

    def __init__(self, look: Callable[[], dict[str, Any]], clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._seen_s = 0.0
        self.tree: dict[str, Any] | None = None
        self.trouble = ""

    def again(self) -> bool:
        """Look once more; tell whether there was something to see."""
        try:
            found = self._look()
        except NodeNotRunningError:
            self.trouble = GONE
            return False
        except CommandError as error:
            self.trouble = error.message
            return False
        now_s = self._clock()
        self.tree = with_rates(self.tree, found, now_s - self._seen_s)
        self._seen_s, self.trouble = now_s, ""
        return True


def watch(
    look: Look,
    output: str,
    interval_s: float,
    *,
    beats: Iterable[None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show the tree until Ctrl-C.

    Args:
        look: Asks the node.
        output: ``table``, or ``json`` or ``ndjson`` for one tree a line.
        interval_s: Seconds between two looks.
        beats: When to look; every ``interval_s`` unless a test has other plans.
        clock: Monotonic seconds.
    """
    seen = Seen(look, clock)
    with contextlib.suppress(KeyboardInterrupt), _remembered_interrupts() as interrupts:
        steady = paced(interval_s) if beats is None else beats
        rhythm = takewhile(lambda _: not interrupts, steady)
        if output != "table":
            _print_lines(seen, rhythm)
        elif sys.stdout.isatty():
            _redraw(seen, rhythm)
        else:
            _print_tables(seen, rhythm, dead=look.dead)


@contextlib.contextmanager
def _remembered_interrupts() -> Iterator[list[int]]:
    """Keep what Ctrl-C sends: Python drops an exception raised within a finaliser, this one too."""
    interrupts: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _print_lines(seen: Seen, beats: Iterable[None]) -> None:
    told = ""
    for _ in beats:
        if seen.again():
            click.echo(json.dumps(seen.tree, ensure_ascii=False))
        told = _tell(seen.trouble, told)


def _print_tables(seen: Seen, beats: Iterable[None], *, dead: bool) -> None:
    told = ""
    for number, _ in enumerate(beats):
        if seen.again():
            assert seen.tree is not None
            if number:
                click.echo()
            print_tree(seen.tree)
            if dead:
                print_dead(seen.tree.get("dead"))
        told = _tell(seen.trouble, told)


def _tell(trouble: str, told: str) -> str:
    """Say what is wrong on stderr, once; return it."""
    if trouble and trouble != told:
        say(trouble)
    return trouble


def _redraw(seen: Seen, beats: Iterable[None]) -> None:
    from rich.live import Live

    console = printing.console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for _ in beats:
            seen.again()
            _draw(live, seen)


def _draw(live: Live, seen: Seen) -> None:
    # Asked each time: the window may have another size by now.
    size = live.console.size
    live.console.width = printing.width_of_stdout()
    live.update(frame(seen, live.console.width, size.height), refresh=True)


def frame(seen: Seen, width: int, height: int) -> RenderableType:
    """Return one picture: the tree as far as there is room, and how the node does."""
    from rich.console import Group
    from rich.text import Text

    if seen.tree is None:
        return Text(seen.trouble or "looking ...", style="bold yellow")
    room = max(1, height - _FRAME_LINES)
    table = tree_table(seen.tree, width, room)
    hidden = sum(1 for _ in walk(seen.tree)) - room
    more = f"{hidden} more lines: a taller window or --depth shows them; " if hidden > 0 else ""
    state = Text(seen.trouble, style="bold red") if seen.trouble else Text("live", style="green")
    return Group(table, Text.assemble(" ", state, f"   {more}Ctrl-C ends", style="dim"))
