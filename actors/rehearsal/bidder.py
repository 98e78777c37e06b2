"""One bidder with its ledger and its inference worker, on links in memory and a virtual clock.

Principle: the tree is that of ``actors.bidder_tree``, built from the same settings. Agents may be
left out of it; then their roles are empty, and the decision's own fallbacks answer in their place,
as they do in a node whose agents are down.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from actors.bidder_tree import bidder_specs
from actors.inference.worker import InferenceWorker
from actors.ledger.actor import LedgerActor
from actors.ledger.configuration import LedgerConfig, plans_of
from actors.world import World
from config.paths import NodePaths
from models.profiler.runtime import ProfilerModel, use_one_thread
from models.registry import weights_folder
from supervision import Cell, Start, VirtualClock
from transport.memory import MemoryHub
from transport.messages import encode_event
from transport.metrics import MemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from config.campaigns import Campaign
    from config.settings import Settings
    from supervision import ChildSpec
    from transport.frames import ClientLink
    from transport.messages import Event

_SECRET: Final = b"of a rehearsal: nobody is billed"
_BOOT_S: Final = 0.5
_THINKING_S: Final = 0.01
"""Virtual time for one answer: timers of milliseconds are all that it takes."""
_REPLIES: Final = 10_000


class RehearsedBidder:
    """A bidder that answers bid requests and hears events, in virtual time.

    Args:
        settings: Of the node; its data folder takes ledger and logs.
        campaigns: What it bids for.
        begins_at: What the clocks show at first.
        without: Roles of agents that are not there.
    """

    def __init__(
        self,
        settings: Settings,
        campaigns: Sequence[Campaign],
        begins_at: datetime,
        without: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._campaigns = campaigns
        self._clock = VirtualClock()
        self._unix_s = begins_at.timestamp()
        self._hub = MemoryHub()
        self._cell = Cell(self._clock, random.Random(settings.node.seed))
        self._paths = NodePaths(settings.node.data_dir, settings.node.data_dir / "run").make()
        self._start(without)
        gateway = settings.gateway
        self._bids = self._client(f"tcp://{gateway.host}:{gateway.port}")
        self._events = self._client(f"tcp://{gateway.host}:{gateway.event_port}")
        self._sent = 0
        self._cell.run(_BOOT_S)

    def _unix_clock(self) -> float:
        return self._unix_s + self._clock()

    def _start(self, without: Collection[str]) -> None:
        settings, paths, links = self._settings, self._paths, self._hub
        durable = settings.defences.durability
        config = LedgerConfig.of_node(settings.money, paths, answers_after_commit=durable)
        plans = plans_of(self._campaigns)
        self._cell.spawn(lambda: LedgerActor(config, plans, links, self._unix_clock))
        self._cell.spawn(self._inference)
        world = World(
            links=links,
            monotonic=self._clock,
            unix_clock=self._unix_clock,
            metrics=MemoryMetrics(),
            secret=_SECRET,
            campaigns=self._campaigns,
        )
        spec = bidder_specs(settings, paths, 1, world)
        spec = without_roles(spec, without)
        self._cell.spawn(spec.start.build, name="bidder-1")

    def _inference(self) -> InferenceWorker:
        use_one_thread()
        wanted = self._settings.inference
        return InferenceWorker(
            self._hub,
            self._paths.ipc("inference-cpu"),
            {"profiler": lambda: ProfilerModel.load(weights_folder("profiler"))},
            max_batch=wanted.max_batch,
            max_delay_s=0.0,
            max_queue=wanted.max_queue,
        )

    def _client(self, url: str) -> ClientLink:
        client: ClientLink = self._hub.client()
        client.dial(url)
        return client

    # --- what an exchange does -----------------------------------------------------------------

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send a bid request and return its answer, None if there was none in time."""
        self._sent += 1
        self._bids.send(self._sent, json.dumps(request).encode())
        self._cell.run(_THINKING_S)
        answers = {reply.request_id: reply.body for reply in self._bids.drain(_REPLIES)}
        body = answers.get(self._sent)
        return None if not body else json.loads(body)

    def tell(self, events: Iterable[Event]) -> None:
        """Send what became of bids."""
        for event in events:
            self._sent += 1
            self._events.send(self._sent, encode_event(event, as_json=True))
        self._events.drain(_REPLIES)

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self._cell.run(seconds)

    def close(self) -> None:
        """End everything, the database too."""
        self._cell.shutdown()


def without_roles(spec: ChildSpec, roles: Collection[str]) -> ChildSpec:
    """Return a supervisor's specification without the children of some roles, at any depth.

    Args:
        spec: Of a supervisor, or of a worker, which is returned as it is.
        roles: Of the children to leave out.
    """
    if spec.type != "supervisor":
        return spec
    flags, children = spec.start.args
    kept = tuple(without_roles(each, roles) for each in children if each.role not in roles)
    return replace(spec, start=Start(spec.start.factory, (flags, kept)))
