"""Everything that can be set, as frozen types, with the place that each value comes from.

A value is looked for in four layers, the later one wins: the package's ``default.toml``, the file
given with ``--config``, the environment (``BIDWRIGHT_GATEWAY__PORT=7500``), the command line.
An unknown key in any layer stops the start: a typo must not be found in the third hour.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from config.addresses import bracketed
from config.doors import EdgeSettings, GatewaySettings, OverloadSettings
from config.errors import ConfigError
from config.layers import Layer, environment_layer, flatten, merge, nest, read_toml, table_layer
from config.sections import (
    LAST_PORT,
    FileName,
    Folder,
    Port,
    Positive,
    Seconds,
    Section,
    Share,
)
from config.trade import (
    MarketSettings,
    MoneySettings,
    NoticeSettings,
    PacingSettings,
    PrivacySettings,
    ShadingSettings,
    SupplySettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FILE = Path(__file__).with_name("default.toml")


#: The password in a URL, between what stands before and behind it.
_PASSWORD = re.compile(r"(://[^/@:]*:)[^/@]*(@)")


class NodeSettings(Section):
    """The node as a whole."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")] = "node-1"
    """Name of this node in logs, metrics and records."""
    data_dir: Folder = Path("~/.local/share/bidwright")
    """Folder for the ledger, the decision log and the node's own log."""
    bidders: Annotated[int, Field(ge=1, le=64)] = 1
    """Bidder processes, each with its own gateway ports."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of every random choice; 0 takes a fresh one at each start."""
    admin_port: Port = 0
    """Port of the actor system's administrator; 0 picks a free one."""
    campaigns: FileName = ""
    """Campaign file; empty means the sample campaigns of the package."""
    profiles: FileName = ""
    """Default-profile file; empty means the profiles of the package."""

    @property
    def campaign_file(self) -> Path | None:
        """The campaign file, ``None`` for the package's own."""
        return Path(self.campaigns) if self.campaigns else None

    @property
    def profile_file(self) -> Path | None:
        """The default-profile file, ``None`` for the package's own."""
        return Path(self.profiles) if self.profiles else None


class StepShares(Section):
    """The part of a decision's time that one step may take, each from 0 to 1."""

    vet: Share = 0.1
    """Is the traffic valid?"""
    profile: Share = 0.35
    """Who is the user?"""
    fund: Share = 0.35
    """Which campaigns may spend? Runs beside `profile`."""
    select: Share = 0.2
    """Which creative?"""
    price: Share = 0.15
    """At what price?"""
    clear: Share = 0.1
    """Do the hard rules allow it?"""
    reserve: Share = 0.1
    """Set the money aside."""


class AgentSettings(Section):
    """The agents of a bidder."""

    mailbox_limit: Positive = 4096
    """Messages that may wait for one agent; more go to the fallback."""
    step_shares: StepShares = StepShares()
    """Slices of the time of a decision."""
    late_strikes: Positive = 20
    """Late answers in a row after which an agent is given a rest."""
    cool_off_s: Seconds = 0.25
    """How long that rest is."""


class InferenceSettings(Section):
    """Batched inference, one process a device."""

    max_batch: Positive = 256
    """Requests in one batch at most."""
    max_delay_ms: Annotated[float, Field(ge=0)] = 1.0
    """How long a request may wait for its batch to fill."""
    threads: Positive = 1
    """Processor threads of one inference process."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda:\d+)$")] = "auto"
    """`auto`, `cpu` or `cuda:N`."""
    max_queue: Positive = 4096
    """Requests that may wait; more are shed."""


class ModelSettings(Section):
    """Where trained weights are."""

    weights: FileName = ""
    """Folder with a folder of weights for each model; those that it lacks, or all if this is empty,
    are the package's."""

    @property
    def folder(self) -> Path | None:
        """The folder of weights, ``None`` for the package's own."""
        return Path(self.weights) if self.weights else None


class ProfilerSettings(Section):
    """The user profiler and its cache."""

    cache_users: Positive = 100_000
    """Users whose vectors and events are kept."""
    max_events: Annotated[int, Field(ge=1, le=200)] = 20
    """Events of one user that the network reads."""
    refresh_events: Positive = 4
    """New events after which a cached vector is made again."""
    vector_dim: Literal[16] = 16
    """Length of an interest vector; fixed by the trained weights."""


class RecorderSettings(Section):
    """The decision log."""

    segment_bytes: Annotated[int, Field(ge=4096)] = 8_388_608
    """A segment is closed at this size."""
    segment_s: Seconds = 10.0
    """A segment is closed at this age."""
    parquet_s: Seconds = 5.0
    """How often closed segments are looked for and turned into Parquet."""


class SupervisionSettings(Section):
    """How failures are noticed and how often they are forgiven."""

    heartbeat_s: Seconds = 0.2
    """How often a process is asked whether it lives."""
    hang_s: Seconds = 2.0
    """A process silent for this long is killed and restarted."""
    ready_timeout_s: Seconds = 15.0
    """A child must be ready within this time."""
    intensity: Annotated[int, Field(ge=0)] = 10
    """Restarts that a supervisor allows within `period_s`."""
    period_s: Seconds = 10.0
    """The window in which restarts are counted."""


class MetricsSettings(Section):
    """Where statsd listens."""

    enabled: bool = True
    """Send metrics at all; harmless when nobody listens."""
    statsd_host: str = "127.0.0.1"
    """Host of the statsd server."""
    statsd_port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 8125
    """Port of the statsd server (UDP)."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = "bidwright"
    """First part of every metric's name."""
    flush_s: Seconds = 0.5
    """How often the aggregated numbers are sent."""


class LogSettings(Section):
    """The node's own log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important level that is written."""
    max_bytes: Annotated[int, Field(ge=4096)] = 16_777_216
    """A log of this size becomes `node.log.jsonl.1`, in place of the one before it."""


class DefenceSettings(Section):
    """What keeps a fault from doing harm. Switch one off only to see that it is missed."""

    heartbeats: bool = True
    """A process that does not answer is killed and started again."""
    fallbacks: bool = True
    """Where an agent does not answer, its fallback does; else the impression gets no bid."""
    deduplication: bool = True
    """A request or event that comes again gets the same answer and counts once."""
    durability: bool = True
    """The ledger answers only when what it answers is on disk."""
    checksums: bool = True
    """Frames between processes that were spoilt on their way are refused."""


class Settings(Section):
    """All settings of a node. Frozen; share it freely."""

    node: NodeSettings = NodeSettings()
    """The node as a whole."""
    gateway: GatewaySettings = GatewaySettings()
    """Where bid requests and events come in."""
    edge: EdgeSettings = EdgeSettings()
    """The HTTP edge."""
    overload: OverloadSettings = OverloadSettings()
    """What is done with too many requests."""
    agents: AgentSettings = AgentSettings()
    """The agents of a bidder."""
    money: MoneySettings = MoneySettings()
    """Leases, reservations and caps."""
    pacing: PacingSettings = PacingSettings()
    """How fast budgets are spent."""
    shading: ShadingSettings = ShadingSettings()
    """First-price bids below their value."""
    market: MarketSettings = MarketSettings()
    """Currencies and deals."""
    privacy: PrivacySettings = PrivacySettings()
    """What may be known of a user."""
    supply: SupplySettings = SupplySettings()
    """Whom we buy from."""
    notices: NoticeSettings = NoticeSettings()
    """What is told of our bids."""
    inference: InferenceSettings = InferenceSettings()
    """Batched inference."""
    models: ModelSettings = ModelSettings()
    """Where trained weights are."""
    profiler: ProfilerSettings = ProfilerSettings()
    """The user profiler."""
    recorder: RecorderSettings = RecorderSettings()
    """The decision log."""
    supervision: SupervisionSettings = SupervisionSettings()
    """How failures are noticed."""
    defences: DefenceSettings = DefenceSettings()
    """What keeps a fault from doing harm."""
    metrics: MetricsSettings = MetricsSettings()
    """Where statsd listens."""
    logs: LogSettings = LogSettings()
    """The node's own log."""

    @model_validator(mode="after")
    def _ports_are_free_of_each_other(self) -> Self:
        bids = set(self.gateway_ports)
        events = set(self.event_ports)
        if bids & events:
            raise ValueError(
                f"{self.node.bidders} bidders use ports {min(bids)}-{max(bids)} for requests and "
                f"{min(events)}-{max(events)} for events: they overlap",
            )
        if self.edge.enabled and self.edge.port in bids | events:
            raise ValueError(f"edge.port {self.edge.port} is also the port of a bidder")
        if max(bids | events) > LAST_PORT:
            raise ValueError(f"the last bidder's port would be above {LAST_PORT}")
        return self

    @property
    def gateway_ports(self) -> range:
        """The ports for bid requests, bidder 1 first."""
        return range(self.gateway.port, self.gateway.port + self.node.bidders)

    @property
    def notice_url(self) -> str:
        """What the notice addresses in a bid begin with."""
        scheme = "https" if self.edge.tls_certificate else "http"
        own = f"{scheme}://{bracketed(self.edge.host)}:{self.edge.port}"
        return self.edge.public_url or own

    @property
    def event_ports(self) -> range:
        """The ports for events, bidder 1 first."""
        return range(self.gateway.event_port, self.gateway.event_port + self.node.bidders)


def load_settings(
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read all layers and return the settings.

    Args:
        file: A TOML file with some of the sections of ``default.toml``.
        overrides: Nested tables from the command line, ``{"node": {"bidders": 2}}``.
        environment: Environment variables; the process's own by default.

    Raises:
        ConfigError: A file can't be read, a key is unknown or a value is out of its range; every
            fault is listed with its place.
    """
    layer = _layers(file, overrides, environment)
    try:
        return Settings.model_validate(nest(layer.values))
    except ValidationError as error:
        problems = [_problem(dict(fault), layer.sources) for fault in error.errors()]
        raise ConfigError("the settings are not valid:", problems) from error


def origins(
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, tuple[object, str]]:
    """Return every setting by dotted name, with its value and where that comes from.

    These are for people to look at: passwords within URLs are masked.

    Raises:
        ConfigError: As :func:`load_settings`.
    """
    settings = load_settings(file, overrides, environment)
    sources = _layers(file, overrides, environment).sources
    flat = flatten(settings.model_dump(mode="json"))
    return {name: (_masked(value), sources.get(name, "default")) for name, value in flat.items()}


def _masked(value: object) -> object:
    """Return a value without the password that a URL in it may have."""
    return _PASSWORD.sub(r"\1***\2", value) if isinstance(value, str) else value


def _layers(
    file: Path | None,
    overrides: Mapping[str, object] | None,
    environment: Mapping[str, str] | None,
) -> Layer:
    layers = [table_layer(read_toml(DEFAULT_FILE), "default")]
    if file is not None:
        layers.append(table_layer(read_toml(file), f"file {file}"))
    layers.append(environment_layer(os.environ if environment is None else environment))
    layers.append(table_layer(overrides or {}, "command line"))
    return merge(layers)


def _problem(fault: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    # A table where a value should be has no source of its own, but its entries have.
    inside = (source for key, source in sources.items() if key.startswith(f"{name}."))
    source = sources.get(name) or next(inside, "default")
    if fault["type"] == "extra_forbidden":
        return f"{name}: no such setting ({source}); `bidwright config show` lists them all"
    return f"{name}: {message}, got {fault['input']!r} ({source})"
