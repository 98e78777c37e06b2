"""The node's tree as data: which processes there are, in which order, and who restarts whom.

    node                        one_for_one
    ├── ledger                  sole writer of money
    ├── inference               imports torch, one worker for each device
    ├── recorder                decision log segments to Parquet
    ├── bidders                 N processes, each with a cell of light agents
    └── edge                    HTTP

Everything here is specifications; what the parts do stands in their own modules.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import gc
import importlib
import os
import resource
import secrets
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.edge.errors import EdgeError
from actors.inference.devices import devices
from actors.reports import ReporterRecipe
from config.errors import ConfigError
from config.paths import NodePaths
from models.errors import ModelError
from supervision import ChildSpec, Start, Supervisor, SupervisorFlags, monotonic_clock
from supervision.errors import NodeError
from supervision.processes.process import ProcessSettings
from supervision.processes.watchdog import Watchdog
from transport.errors import LinkError
from transport.sealed import check_seals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.inference.worker import InferenceWorker
    from config.doors import EdgeSettings
    from config.settings import Settings, SupervisionSettings

LEDGER_STOP_MS = 5_000
WORKER_STOP_MS = 3_000
BIDDER_STOP_MS = 3_000
MOST_DESCRIPTORS = 65_536
LINGER_S = 0.005
"""How long a process on the hot path stays with its own sockets while they keep it busy."""
PRELOAD = (
    "actors.bidder_tree",
    "actors.edge.actor",
    "actors.inference.worker",
    "actors.ledger.actor",
    "actors.ledger.configuration",
    "actors.pricing",
    "actors.recorder",
    "models.profiler.runtime",
    "numpy.random",
    "safetensors.numpy",
    "structlog",
    "transport.metrics",
    "transport.nng",
)
"""Imported before the first fork, so that no restart has to import them again.

To import nng is harmless; what must not happen before a fork is to open a socket of it.
"""


def node_spec(settings: Settings, paths: NodePaths) -> ChildSpec:
    """Return the specification of the whole tree."""
    children = [
        ledger_spec(settings, paths),
        inference_spec(settings, paths),
        # Before the bidders, so that it stops after them and converts their last segments, too.
        recorder_spec(settings, paths),
        bidders_spec(settings, paths),
    ]
    if settings.edge.enabled:
        children.append(edge_spec(settings, paths))
    return supervisor_spec("node", children, settings.supervision)


def supervisor_spec(
    name: str, children: Sequence[ChildSpec], settings: SupervisionSettings
) -> ChildSpec:
    """Return the specification of a one_for_one supervisor in a process of its own."""
    flags = SupervisorFlags("one_for_one", settings.intensity, int(settings.period_s))
    return ChildSpec(
        id=name,
        start=Start(Supervisor, (flags, tuple(children))),
        type="supervisor",
        placement="process",
    )


def ledger_spec(settings: Settings, paths: NodePaths) -> ChildSpec:
    """Return the specification of the ledger."""
    return ChildSpec(
        id="ledger",
        start=Start(build_ledger, (settings, paths)),
        shutdown=LEDGER_STOP_MS,
        placement="process",
        linger_s=LINGER_S,
    )


def inference_spec(settings: Settings, paths: NodePaths) -> ChildSpec:
    """Return the specification of the inference supervisor and its worker on each device."""
    workers = tuple(
        ChildSpec(
            id=f"inference@{device}",
            start=Start(build_inference, (settings, paths, device)),
            shutdown=WORKER_STOP_MS,
            placement="process",
            linger_s=LINGER_S,
        )
        for device in devices(settings.inference.device)
    )
    return supervisor_spec("inference", workers, settings.supervision)


def bidders_spec(settings: Settings, paths: NodePaths) -> ChildSpec:
    """Return the specification of the bidders' supervisor and of each bidder."""
    bidders = tuple(
        ChildSpec(
            id=f"bidder-{index}",
            start=Start(build_bidder, (settings, paths, index)),
            shutdown=BIDDER_STOP_MS,
            placement="process",
            linger_s=LINGER_S,
        )
        for index in range(1, settings.node.bidders + 1)
    )
    return supervisor_spec("bidders", bidders, settings.supervision)


def recorder_spec(settings: Settings, paths: NodePaths) -> ChildSpec:
    """Return the specification of the recorder."""
    return ChildSpec(
        id="recorder",
        start=Start(build_recorder, (settings, paths)),
        shutdown=WORKER_STOP_MS,
        placement="process",
    )


def edge_spec(settings: Settings, paths: NodePaths) -> ChildSpec:
    """Return the specification of the HTTP edge."""
    return ChildSpec(
        id="edge",
        start=Start(build_edge, (settings, paths)),
        shutdown=WORKER_STOP_MS,
        placement="process",
    )


# -- what each process builds


def build_ledger(settings: Settings, paths: NodePaths) -> Any:
    """Make the ledger's actor."""
    from actors.ledger.actor import LedgerActor
    from actors.ledger.configuration import LedgerConfig, plans_of
    from config.campaigns import load_campaigns
    from supervision.clock import wall_clock
    from transport.nng import NngLinks

    check_seals(is_on=settings.defences.checksums)
    campaigns = load_campaigns(settings.node.campaign_file)
    config = LedgerConfig.of_node(
        settings.money, paths, answers_after_commit=settings.defences.durability
    )
    return LedgerActor(config, plans_of(campaigns), NngLinks(), wall_clock())


def build_inference(settings: Settings, paths: NodePaths, device: str) -> InferenceWorker:
    """Make the worker that holds every model of ``device``."""
    from actors.inference.worker import InferenceWorker
    from models.profiler.runtime import ProfilerModel
    from models.registry import weights_folder
    from transport.nng import NngLinks

    check_seals(is_on=settings.defences.checksums)
    inference = settings.inference
    weights = weights_folder("profiler", settings.models.folder)
    return InferenceWorker(
        NngLinks(),
        paths.ipc(f"inference-{device.replace(':', '-')}"),
        {"profiler": partial(ProfilerModel.load, weights, device)},
        max_batch=inference.max_batch,
        max_delay_s=inference.max_delay_ms / 1000,
        max_queue=inference.max_queue,
    )


def build_bidder(settings: Settings, paths: NodePaths, index: int) -> Any:
    """Make the root of one bidder's cell."""
    from actors.bidder_tree import bidder_root

    return bidder_root(settings, paths, index)


def build_recorder(settings: Settings, paths: NodePaths) -> Any:
    """Make the recorder's actor."""
    from actors.recorder import Recorder

    return Recorder(paths.segments_dir, paths.parquet_dir, settings.recorder.parquet_s)


def build_edge(settings: Settings, paths: NodePaths) -> Any:
    """Make the HTTP edge's actor."""
    from actors.edge.actor import Edge
    from actors.edge.options import edge_options
    from supervision.clock import wall_clock
    from transport.nng import NngLinks

    options = edge_options(settings, paths, NngLinks(), wall_clock(), monotonic_clock())
    return Edge(settings.edge.host, settings.edge.port, options)


def _check_edge(settings: EdgeSettings) -> None:
    """Look at the files that the edge will need.

    Raises:
        AccessError: One is not usable.
    """
    from actors.edge.access import Explained, read_tokens
    from actors.edge.options import recall_tls_context

    Explained(settings.explain_from)
    if settings.token_file:
        read_tokens(Path(settings.token_file))
    if settings.tls_certificate:
        key = Path(settings.tls_key) if settings.tls_key else None
        recall_tls_context(Path(settings.tls_certificate), key)


# -- running it


def run_node(settings: Settings) -> int:
    """Run a node in this process and its descendants until it is told to stop.

    Returns:
        The exit code: 0 after an orderly stop, 1 when it could not start or fell over too often
        (the reason is on stderr).
    """
    paths = NodePaths(settings.node.data_dir).make()
    with _only_one(paths):
        _make_secret(paths)
        _limit_threads(settings.inference.threads)
        _allow_descriptors()
        try:
            _prepare(settings)
            paths.write_state(_facts(settings))
            return _watchdog(settings, paths).run()
        except (NodeError, LinkError, ModelError, EdgeError) as error:
            print(f"bidwright: {error}", file=sys.stderr)  # noqa: T201 - the node's console
            return 1
        finally:
            paths.state_file.unlink(missing_ok=True)
            paths.clear_runtime_dir()


def _prepare(settings: Settings) -> None:
    """Import and read what the processes of the tree need, so that no restart has to.

    Raises:
        ModelError: Weights are missing or spoilt. Of a node that runs, they end nobody.
        EdgeError: A certificate or a file of tokens is not usable.
    """
    from actors.pricing import load_pricing
    from config.campaigns import load_campaigns
    from config.profiles import load_default_profiles
    from models.registry import load_manifest, weights_folder
    from models.selector.thompson import ThompsonSelector

    if settings.edge.enabled:
        _check_edge(settings.edge)
    load_campaigns(settings.node.campaign_file)
    load_default_profiles(settings.node.profile_file)
    weights = settings.models.folder
    load_manifest(weights_folder("profiler", weights))
    ThompsonSelector.load(weights_folder("selector", weights))
    load_pricing(weights_folder("optimizer", weights), settings.money.price_cap_micros)
    for module in PRELOAD:
        importlib.import_module(module)
    # What there is now stays: a collector that walks it in each new process costs 0.2 s.
    gc.collect()
    gc.freeze()


def _watchdog(settings: Settings, paths: NodePaths) -> Watchdog:
    supervision = settings.supervision
    return Watchdog(
        node_spec(settings, paths),
        control_socket=paths.control_socket,
        log_dir=paths.logs_dir,
        settings=ProcessSettings(
            supervision.heartbeat_s,
            supervision.hang_s,
            supervision.ready_timeout_s,
            kills_hung=settings.defences.heartbeats,
        ),
        clock=monotonic_clock(),
        reporter=ReporterRecipe(
            paths.log_file,
            settings.logs.level,
            settings.node.name,
            settings.metrics,
            paths.events_file,
            settings.logs.max_bytes,
        ),
        events_file=paths.events_file,
        admin_port=settings.node.admin_port,
        facts=_facts(settings),
    )


def _facts(settings: Settings) -> dict[str, Any]:
    """What ``status`` and the state file say about a node."""
    return {
        "node": settings.node.name,
        "pid": os.getpid(),
        "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "data_dir": str(settings.node.data_dir),
        "bidders": settings.node.bidders,
        "ports": {
            "gateway": list(settings.gateway_ports),
            "events": list(settings.event_ports),
            "http": [settings.edge.port] if settings.edge.enabled else [],
        },
    }


@contextlib.contextmanager
def _only_one(paths: NodePaths) -> Iterator[None]:
    """Hold the data folder's lock; descendants inherit it, so it is free only when all are gone.

    Raises:
        ConfigError: Another node holds it.
    """
    with paths.lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"a node runs on {paths.data_dir} already; stop it with `bidwright down`"
            ) from error
        yield


def _make_secret(paths: NodePaths) -> None:
    """Make the key that signs notices, once and whole, readable by its owner only."""
    if paths.secret_file.exists():
        return
    unfinished = paths.secret_file.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    unfinished.replace(paths.secret_file)  # a crash before this leaves no half a key in force


def _allow_descriptors() -> None:
    """Use all descriptors that the system grants: each connection of a client takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _limit_threads(threads: int) -> None:
    """Keep numeric libraries from starting threads: our processes fork."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
