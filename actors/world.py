"""What a bidder needs from outside of it: sockets, clocks, numbers' way out, weights.

Principle: all of it is handed in, so that a test can hand in another world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from models.registry import weights_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from config.campaigns import Campaign
    from config.paths import NodePaths
    from config.settings import Settings
    from supervision.clock import Clock
    from transport.frames import LinkFactory
    from transport.metrics import Metrics


@dataclass(frozen=True, slots=True)
class World:
    """What a bidder needs from outside of it; a test hands in another one.

    Attributes:
        links: Makes sockets.
        monotonic: Seconds that never run back; the cell's own clock.
        unix_clock: Seconds since 1970.
        metrics: Where numbers go.
        secret: Signs the names of bids; the same for all bidders of a node.
        weights: Returns the folder of a model's weights by name.
        campaigns: What is bid for; without any, those of the settings' file.
    """

    links: LinkFactory
    monotonic: Clock
    unix_clock: Callable[[], float]
    metrics: Metrics
    secret: bytes
    weights: Callable[[str], Path] = weights_folder
    campaigns: Sequence[Campaign] = ()


def real_world(settings: Settings, paths: NodePaths, index: int) -> World:
    """Return sockets, clocks and statsd as they are."""
    from supervision.clock import monotonic_clock, wall_clock
    from transport.metrics import make_metrics
    from transport.nng import NngLinks

    statsd = settings.metrics
    name = f"{settings.node.name}.bidder-{index}"
    return World(
        links=NngLinks(),
        monotonic=monotonic_clock(),
        unix_clock=wall_clock(),
        metrics=make_metrics(
            statsd.statsd_host,
            statsd.statsd_port,
            f"{statsd.prefix}.{name}",
            enabled=statsd.enabled,
        ),
        secret=paths.secret_file.read_bytes(),
        weights=partial(weights_folder, root=settings.models.folder),
    )
