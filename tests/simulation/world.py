"""The node of one run: real specifications, real actors, a made-up machine below, exchanges above.

Principle: what is built here is what ``actors.node`` builds, with other sockets, clocks and a
device that remembers. What takes long and never changes (models, traffic) is made once for all
runs.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from actors.bidder_tree import bidder_specs
from actors.inference.worker import InferenceWorker
from actors.ledger.actor import LedgerActor
from actors.ledger.books import BudgetPlan
from actors.ledger.configuration import LedgerConfig
from actors.node import node_spec
from actors.recorder import Recorder
from actors.world import World as BidderWorld
from config import fault_points
from config.campaigns import SAMPLE_CAMPAIGNS, load_campaigns
from config.paths import NodePaths
from config.settings import Settings
from models.market import MarketSimulator
from models.profiler.runtime import ProfilerModel, out_of_memory
from models.registry import weights_folder
from tests.simulation.lives import Lives, WatchedCell
from tests.simulation.machine import Machine, Patience
from transport.metrics import MemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from supervision import ChildSpec, Ref
    from tests.simulation.history import History
    from tests.simulation.machine import Process
    from tests.simulation.plan import Plan

SECRET = b"an honest secret of enough bytes"
_BATCH = "inference.batch"
POOL = 400
CHOSEN = (0, 2, 3, 6, 12)
"""Campaigns of the sample file that a run's node has: few, so that they are worth fighting for."""


class RememberingModel:
    """The real profiler, asked once about each sequence: what it says depends on nothing else."""

    def __init__(self, model: ProfilerModel) -> None:
        self._model = model
        self._known: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def infer(self, sequences: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """See ``actors.inference.worker.Model``."""
        fault_points.reach(_BATCH, out_of_memory)
        return np.stack([self._one(tuple(sequence)) for sequence in sequences])

    def _one(self, sequence: tuple[int, ...]) -> NDArray[np.float32]:
        vector = self._known.get(sequence)
        if vector is None:
            # Past the fault point: a run must not depend on what an earlier one asked.
            armed = fault_points._armed.pop(_BATCH, None)
            vector = self._known[sequence] = self._model.infer([sequence])[0]
            if armed is not None:
                fault_points.arm(_BATCH, armed)
        return vector


def use_one_thread() -> None:
    """Let numpy multiply in one thread, as in a node; the environment may have been read already.

    Matrices here are small: threads that wait for each other would take half of the time.
    """
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").split()
    library = next((name for name in maps if "openblas" in name), None)
    if library is not None:
        set_threads = getattr(ctypes.CDLL(library), "scipy_openblas_set_num_threads64_", None)
        if set_threads is not None:
            set_threads(1)


@cache
def profiler() -> RememberingModel:
    """Load the network once; it has no state."""
    import torch

    torch.set_num_threads(1)
    use_one_thread()
    return RememberingModel(ProfilerModel.load(weights_folder("profiler")))


@cache
def campaign_file() -> Path:
    """Write the campaigns of all runs into a file of this process, once."""
    head, *blocks = SAMPLE_CAMPAIGNS.read_text(encoding="utf-8").split("[[campaigns]]\n")
    text = head + "".join(f"[[campaigns]]\n{blocks[number]}" for number in CHOSEN)
    path = Path(tempfile.gettempdir()) / f"bidwright-simulated-{os.getpid()}.toml"
    path.write_text(text, encoding="utf-8")
    atexit.register(path.unlink, missing_ok=True)
    return path


@cache
def traffic() -> tuple[str, ...]:
    """Return requests of the sample world, as JSON."""
    requests = MarketSimulator(3, load_campaigns(), users=25).requests()
    return tuple(json.dumps(next(requests)) for _ in range(POOL))


class World:
    """One node, and what is known of it from outside.

    Args:
        plan: What the seed means.
        folder: Its data folder, empty.
        history: Takes what happens.

    Attributes:
        held: Actors that get no turn, or are suspended, on purpose.
        budgets: Of all campaigns, in micros.
    """

    def __init__(self, plan: Plan, folder: Path, history: History) -> None:
        profiler()  # also sees to it that there is one thread
        self.plan = plan
        self.history = history
        self.settings = _settings(plan, folder)
        self.paths = NodePaths(folder, folder / "run").make()
        self.lives = Lives(history)
        supervision = self.settings.supervision
        self.machine = Machine(
            plan.seed,
            history,
            self.lives,
            self.build,
            Patience(supervision.heartbeat_s, supervision.hang_s, supervision.ready_timeout_s),
        )
        self.held: dict[Ref, None] = {}
        self.born: list[Callable[[Process], None]] = []
        self.budgets = _budgets(plan)
        self._fresh = 0

    def start(self) -> None:
        """Begin the tree."""
        self.machine.boot(node_spec(self.settings, self.paths))

    def _plans(self) -> dict[str, BudgetPlan]:
        """What the ledger is told that campaigns may spend."""
        return {name: BudgetPlan("shop.example", micros) for name, micros in self.budgets.items()}

    def build(self, process: Process, spec: ChildSpec) -> Any:
        """Make the root actor of a process, as ``actors.node`` does."""
        for watcher in self.born:
            watcher(process)
        name = spec.id
        if name == "ledger":
            config = LedgerConfig.of_node(self.settings.money, self.paths)
            return LedgerActor(config, self._plans(), process.links, self.machine.unix_clock)
        if name == "recorder":
            every_s = self.settings.recorder.parquet_s
            return Recorder(self.paths.segments_dir, self.paths.parquet_dir, every_s)
        if name.startswith("inference@"):
            return self._inference(process, name.removeprefix("inference@"))
        if name.startswith("bidder-"):
            return self._bidder(process, int(name.removeprefix("bidder-")))
        return spec.start.build()

    def _inference(self, process: Process, device: str) -> InferenceWorker:
        inference = self.settings.inference
        return InferenceWorker(
            process.links,
            self.paths.ipc(f"inference-{device}"),
            {"profiler": profiler},
            max_batch=inference.max_batch,
            max_delay_s=inference.max_delay_ms / 1000,
            max_queue=inference.max_queue,
        )

    def _bidder(self, process: Process, index: int) -> Any:
        outside = BidderWorld(
            links=process.links,
            monotonic=self.machine.clock,
            unix_clock=self.machine.unix_clock,
            metrics=MemoryMetrics(),
            secret=SECRET,
        )
        return bidder_specs(self.settings, self.paths, index, outside).start.build()

    # --- what faults do to actors --------------------------------------------------------------

    def hold(self, ref: Ref) -> None:
        """Note that an actor does not answer, on purpose."""
        self.held[ref] = None
        if ref.path.endswith("/gateway"):
            _process_of(ref).begins_to_lag()

    def release(self, ref: Ref) -> None:
        """Note that it may answer again."""
        if self.held.pop(ref, self) is None and ref.path.endswith("/gateway"):
            _process_of(ref).lags_no_more()

    def stall(self, ref: Ref) -> Callable[[], None]:
        """Give an actor no turn until what is returned is called; nobody can tell."""
        cell = ref.cell
        if ref in cell.ready:
            cell.ready.remove(ref)
        ref.scheduled = True
        cell.pause_watch(ref)
        self.hold(ref)

        def wake() -> None:
            self.release(ref)
            if ref.actor is not None:
                cell.resume_watch(ref)
                ref.scheduled = False
                ref.schedule()
                _process_of(ref).touch()

        return wake


def _process_of(ref: Ref) -> Process:
    assert isinstance(ref.cell, WatchedCell)
    return ref.cell.process


def _settings(plan: Plan, folder: Path) -> Settings:
    tight = plan.tightness
    return Settings.model_validate(
        {
            "node": {
                "data_dir": folder,
                "seed": 5,
                "bidders": plan.bidders,
                "campaigns": str(campaign_file()),
            },
            "edge": {"enabled": False},
            "overload": {"shed": tight.sheds},
            "gateway": {"max_in_flight": tight.max_in_flight},
            "agents": {"mailbox_limit": tight.mailbox_limit, "late_strikes": tight.late_strikes},
            "profiler": {"cache_users": tight.cache_users, "refresh_events": tight.refresh_events},
            "recorder": {
                "parquet_s": 2.0 if plan.with_recorder else 1_000.0,
                "segment_s": 3.0,
                "segment_bytes": tight.segment_bytes,
            },
            "inference": {
                "device": "cpu",
                "max_batch": tight.max_batch,
                "max_queue": tight.max_queue,
            },
            "money": {
                "lease_s": plan.lease_s,
                "win_window_s": plan.win_window_s,
                "lease_micros": plan.lease_micros,
                "group_commit_ms": tight.group_commit_ms,
            },
            "supervision": {
                "intensity": plan.intensity,
                "period_s": plan.period_s,
                "ready_timeout_s": 3.0,
            },
        }
    )


def _budgets(plan: Plan) -> dict[str, int]:
    rng = random.Random(f"{plan.seed}/budgets")
    campaigns = load_campaigns(campaign_file())
    return {campaign.id: rng.randint(*plan.budget_micros) for campaign in campaigns}
