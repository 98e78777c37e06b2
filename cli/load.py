"""``bidwright load``: play an exchange against the node."""

from __future__ import annotations

import math
import secrets
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.exits import Exit
from cli.node import Node, node_options
from cli.numbers import FiniteRange
from cli.output import emit, output_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.play.player import Player
    from cli.play.schedule import Schedule
    from cli.play.summary import Tally
    from cli.play.traffic import Ask
    from models.market import MarketSimulator

_RESEND_S = 1.0
_MOST_IN_FLIGHT = 4096
_PROGRESS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What the person asked for; the fields are the options of the command."""

    rate: float = 0.0
    duration: float = 10.0
    concurrency: int = 32
    count: int | None = None
    seed: int = 1
    requests: Path | None = None
    explain_every: int = 10
    patience: float = 5.0
    events: bool = True
    timeline: Path | None = None


@click.command()
@click.option(
    "--rate",
    type=FiniteRange(min=0),
    default=0.0,
    show_default=True,
    help="Requests a second; 0 sends as fast as answers come.",
)
@click.option(
    "--duration",
    type=FiniteRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds to go on sending.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, _MOST_IN_FLIGHT),
    default=32,
    show_default=True,
    help="Requests in flight when no rate is given.",
)
@click.option("--count", type=click.IntRange(min=1), help="Send no more than so many requests.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Seed of the sample world.",
)
@click.option(
    "--requests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send the requests of this JSON Lines file (.gz or not), each once.",
)
@click.option(
    "--explain-every",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Ask every so many requests for an explanation, to count fallbacks; 0: none.",
)
@click.option(
    "--patience",
    type=FiniteRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Seconds after which an unanswered request is given up.",
)
@click.option("--events/--no-events", default=True, help="Tell the node of wins and clicks.")
@click.option(
    "--timeline",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the counts of every quarter of a second to this file, one JSON object a line.",
)
@output_option
@node_options
@click.pass_context
def load(context: click.Context, /, node: Node, output: str, **options: Any) -> None:
    """Play an exchange: requests, auctions, wins, losses, clicks, conversions.

    The auctions are held against simulated competitors. Latency counts from the moment a
    request was due. Exit code 3 when a request was not answered or an answer broke a rule. Ctrl-C
    ends the run early, with its summary.
    """
    from cli.play.report import print_summary

    order = Order(**options)
    with progress(order) as on_progress:
        summary = play(node, order, on_progress)
    emit(summary, output, print_summary)
    if summary["unanswered"] or summary["invalid"]:
        context.exit(Exit.DEGRADED)


def play(node: Node, order: Order, on_progress: Callable[[float, Tally], None]) -> dict[str, Any]:
    """Play an exchange against the node and return the summary.

    Raises:
        InvalidInputError: The file of requests is not usable.
        NodeNotRunningError: No gateway is there.
    """
    from cli.play import lanes
    from cli.play.channel import Channel
    from cli.play.player import Limits, Player
    from cli.play.summary import summarise

    market = sample_market(node, order.seed)
    traffic = _traffic(order, market)
    requests = lanes.dial(node.gateway_urls())
    events = lanes.dial(node.event_urls()) if order.events else []
    try:
        player = Player(
            Channel(requests, order.patience, _RESEND_S),
            Channel(events, order.patience, _RESEND_S, stay=True) if events else None,
            traffic,
            market,
            _schedule(order),
            Limits(order.duration if order.requests is None else math.inf, order.count),
            time.monotonic,
            wall_time,
        )
        with _interrupt_stops(player), _written(order.timeline, on_progress) as on_time:
            elapsed_s = player.run(on_time)
    finally:
        lanes.close([*requests, *events])
    return summarise(player.tally, elapsed_s)


def wall_time() -> float:
    """Return the Unix time in seconds."""
    return datetime.now(tz=UTC).timestamp()


@contextmanager
def _written(
    file: Path | None, on_progress: Callable[[float, Tally], None]
) -> Iterator[Callable[[float, Tally], None]]:
    """Write the timeline, if there is to be one, beside showing the progress."""
    from cli.play.timeline import Timeline

    if file is None:
        yield on_progress
        return
    with file.open("w", encoding="utf-8") as lines:
        timeline = Timeline(lines, wall_time)
        last: list[tuple[float, Tally]] = []

        def on_time(now_s: float, tally: Tally) -> None:
            last[:] = [(now_s, tally)]
            timeline(now_s, tally)
            on_progress(now_s, tally)

        yield on_time
        for now_s, tally in last:
            timeline.write(now_s, tally)


@contextmanager
def _interrupt_stops(player: Player) -> Iterator[None]:
    """Let the first Ctrl-C end the asking, and so print the summary; a second one aborts."""

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        player.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress(order: Order) -> Iterator[Callable[[float, Tally], None]]:
    """Show a bar on a terminal while the exchange plays; elsewhere show nothing."""
    if not sys.stderr.isatty():
        yield lambda _now_s, _tally: None
        return
    with click.progressbar(length=1000, label="playing", file=sys.stderr) as bar:
        shown_s = -_PROGRESS_EVERY_S

        def show(now_s: float, tally: Tally) -> None:
            nonlocal shown_s
            if now_s - shown_s >= _PROGRESS_EVERY_S:
                shown_s = now_s
                done = max(now_s / order.duration, tally.sent / (order.count or math.inf))
                bar.update(int(min(done, 1.0) * 1000) - bar.pos)

        yield show


def _schedule(order: Order) -> Schedule:
    from cli.play.schedule import AsAnswered, AtRate

    if order.rate:
        return AtRate(order.rate, _MOST_IN_FLIGHT)
    return AsAnswered(order.concurrency)


def _traffic(order: Order, market: MarketSimulator) -> Iterator[Ask]:
    from cli.play.traffic import asks, read_requests

    source = market.requests() if order.requests is None else read_requests(order.requests)
    return asks(source, secrets.token_hex(4), order.explain_every)


def sample_market(node: Node, seed: int) -> MarketSimulator:
    """Return the sample world with the campaigns of the node."""
    from config.campaigns import load_campaigns
    from models.market import MarketSimulator

    return MarketSimulator(seed, load_campaigns(node.running_settings().node.campaign_file))
