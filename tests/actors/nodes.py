"""A whole node in one cell, in virtual time: real agents, models and ledger on memory links."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from actors.bidder_tree import bidder_specs
from actors.inference.worker import InferenceWorker
from actors.ledger.actor import LedgerActor
from actors.ledger.configuration import LedgerConfig, plans_of
from actors.world import World
from config.campaigns import load_campaigns
from config.paths import NodePaths
from config.settings import Settings
from models.market import MarketSimulator
from models.profiler.runtime import ProfilerModel
from models.registry import weights_folder
from supervision import Supervisor
from supervision.clock import WallClock
from tests.actors.cells import World as CellWorld
from transport.metrics import MemoryMetrics

if TYPE_CHECKING:
    from pathlib import Path

    from supervision import Ref
    from transport.frames import ClientLink

SECRET = b"an honest secret of enough bytes"


@cache
def profiler() -> ProfilerModel:
    """Load the network once; it has no state."""
    import torch

    torch.set_num_threads(1)  # as in a node: processes are our parallelism
    return ProfilerModel.load(weights_folder("profiler"))


@cache
def simulator() -> MarketSimulator:
    return MarketSimulator(3, load_campaigns(), users=200)


class Node:
    """Ledger, inference and one bidder, with an exchange as their client."""

    def __init__(
        self,
        data_dir: Path,
        world: CellWorld | None = None,
        ports: tuple[int, int] = (7400, 7300),
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.world = world or CellWorld()
        self.settings = Settings.model_validate(
            {
                "node": {"data_dir": data_dir, "seed": 5},
                "gateway": {"port": ports[0], "event_port": ports[1]},
                "inference": {"device": "cpu"},
                **(settings or {}),
            }
        )
        self.paths = NodePaths(data_dir, data_dir / "run").make()
        self.metrics = MemoryMetrics()
        self.wall = WallClock(self.world.unix_clock)
        self.ledger = self._start_ledger()
        self.inference = self.start_inference()
        self.bidder = self._start_bidder()
        self.world.run(0.5)
        gateway = self.settings.gateway
        self.bids = self._client(f"tcp://{gateway.host}:{gateway.port}")
        self.events = self._client(f"tcp://{gateway.host}:{gateway.event_port}")
        self.numbers = itertools.count(1)
        self.traffic = simulator().requests()

    def _start_ledger(self) -> Ref:
        durable = self.settings.defences.durability
        config = LedgerConfig.of_node(self.settings.money, self.paths, answers_after_commit=durable)
        campaigns = load_campaigns(self.settings.node.campaign_file)
        unix_clock = self.world.unix_clock
        return self.world.spawn(
            LedgerActor(config, plans_of(campaigns), self.world.hub, unix_clock)
        )

    def start_inference(self) -> Ref:
        worker = InferenceWorker(
            self.world.hub,
            self.paths.ipc("inference-cpu"),
            {"profiler": profiler},
            max_batch=64,
            max_delay_s=0.001,
            max_queue=1_000,
        )
        return self.world.spawn(worker)

    def _start_bidder(self) -> Ref:
        world = World(
            links=self.world.hub,
            monotonic=self.world.clock,
            unix_clock=self.wall,
            metrics=self.metrics,
            secret=SECRET,
        )
        spec = bidder_specs(self.settings, self.paths, 1, world)
        root = spec.start.build()
        assert isinstance(root, Supervisor)
        return self.world.cell.spawn(lambda: root, name="bidder-1")

    def _client(self, url: str) -> ClientLink:
        client: ClientLink = self.world.hub.client()
        client.dial(url)
        return client

    def close(self) -> None:
        """End everything, sockets and database too."""
        self.world.cell.shutdown()

    # --- the exchange --------------------------------------------------------------------------

    def send(self, request: dict[str, Any]) -> int:
        """Send a request; while no gateway is there it is lost, as on a real wire."""
        number = next(self.numbers)
        self.bids.send(number, json.dumps(request).encode())
        return number

    def answers(self) -> dict[int, dict[str, Any]]:
        return {reply.request_id: json.loads(reply.body) for reply in self.bids.drain(10_000)}

    def play(self, count: int, pause_s: float = 0.002) -> list[tuple[dict[str, Any], Any]]:
        """Send so many requests, a pause after each; return each with its answer or None."""
        sent = {}
        for _ in range(count):
            request = next(self.traffic)
            sent[self.send(request)] = request
            self.world.run(pause_s)
        self.world.run(0.2)
        answers = self.answers()
        return [(request, answers.get(number)) for number, request in sent.items()]

    def tell(self, event: dict[str, Any], seconds: float = 0.05) -> dict[str, Any] | None:
        """Send one event and return its confirmation, None if there was none in time."""
        number = next(self.numbers)
        if not self.events.send(number, json.dumps(event).encode()):
            return None
        self.world.run(seconds)
        return {reply.request_id: json.loads(reply.body) for reply in self.events.drain(1_000)}.get(
            number
        )

    # --- looking in ----------------------------------------------------------------------------

    def light_actors(self) -> dict[str, Ref]:
        """Every living light actor of the bidder, by path."""
        found: dict[str, Ref] = {}
        waiting = [self.bidder]
        while waiting:
            ref = waiting.pop()
            found[ref.path] = ref
            waiting += list(ref.children or ())
        return found


def bids_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [bid for seat in answer.get("seatbid", ()) for bid in seat["bid"]]
