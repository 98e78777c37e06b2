"""The tree of one bidder as data: who lives in its cell, in which order, and who restarts whom.

    cell                    rest_for_one
    ├── links               one_for_one     ledger, inference, feeds, exposures
    ├── agents              one_for_one     the six who decide
    ├── impressions         simple_one_for_one, temporary: one orchestrator per impression
    ├── gateway             bid requests in, answers out
    └── events              what became of our bids

Principle: the order is the order of need, so whatever ends takes along only what rests on it. The
agents hold nothing that another may not lose, so each is restarted alone; what must outlive one of
them (the wallet's journal, the pace) is made here and handed to each that comes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from actors.bid_optimizer import BidOptimizer
from actors.budget.liveness import Liveness, LivenessTerms
from actors.budget.manager import BudgetManager, Kept
from actors.budget.pacing import Pacing
from actors.budget.wallet import WalletTerms
from actors.creative_selector import CreativeSelector
from actors.decision.eligible import EligibleAds
from actors.decision.fallbacks import Fallbacks
from actors.decision.machine import DecisionRules
from actors.decision.offers import OfferWriter
from actors.decision.orchestrator import Orchestrator, OrchestratorKit
from actors.decision.records import user_salt
from actors.decision.steps import NAMES
from actors.events.desk import DeskKit, EventDesk
from actors.events.feeds import EventFeed, LedgerFeed
from actors.events.notice_rules import terms_of
from actors.fraud_detector import FraudDetector
from actors.gateway.actor import Gateway, GatewayKit
from actors.gateway.admission import DoorRules
from actors.gateway.journal import Journal
from actors.gateway.responses import NoticeForm
from actors.inference.devices import devices
from actors.links.inference import InferenceLink
from actors.links.ledger import LedgerLink
from actors.metering import Meter
from actors.oversight import Oversight
from actors.profiler.agent import ProfilerOptions, UserProfiler
from actors.profiler.default_vectors import DefaultVectors
from actors.profiler.exposure_store import ExposureStore
from actors.profiler.exposures import CapTable, Counting
from actors.reading.looks import held_deals
from actors.reading.place import reading_of, watched_rates
from actors.world import World, real_world
from config.addresses import listen_url
from config.campaigns import load_campaigns
from config.profiles import load_default_profiles
from models.eligibility import CampaignIndex
from models.fraud import FraudRules
from models.oversight import OversightRules
from models.registry import spoilt
from supervision import ChildSpec, Start, Supervisor, SupervisorFlags
from transport.logs import get_logger
from transport.sealed import check_seals
from transport.segments import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from actors.bid_optimizer import Pricing
    from config.campaigns import Campaign
    from config.paths import NodePaths
    from config.settings import Settings
    from models.eligibility import Candidate
    from models.selector.thompson import ThompsonSelector

Model = TypeVar("Model")

MEMORY_ENTRIES: Final = 10_000
MEMORY_BYTES: Final = 64 << 20
REMEMBERED_BIDS: Final = 20_000
LEAST_BIDS: Final = 4
"""The smallest lease asked for is worth so many of the highest bids."""
RETRY_PAUSE_S: Final = 0.001
IMPRESSION_MAILBOX: Final = 64
STOP_MS: Final = 1_000
MAX_BIDDERS: Final = 64


def bidder_root(settings: Settings, paths: NodePaths, index: int) -> Supervisor:
    """Make the root of one bidder's cell, in the process that is to be the bidder.

    Args:
        settings: Of the node.
        paths: Of the node.
        index: 1 for the first bidder.
    """
    check_seals(is_on=settings.defences.checksums)
    spec = bidder_specs(settings, paths, index, real_world(settings, paths, index))
    root: Supervisor = spec.start.build()
    return root


def bidder_specs(settings: Settings, paths: NodePaths, index: int, world: World) -> ChildSpec:
    """Return the specification of the supervisor of one bidder's cell.

    Args:
        settings: Of the node.
        paths: Of the node.
        index: 1 for the first bidder; it decides name and ports.
        world: Sockets, clocks, metrics, weights.
    """
    campaigns = world.campaigns or load_campaigns(settings.node.campaign_file)
    made = _Bidder(settings, paths, index, world, campaigns)
    children = (
        made.supervisor("links", "one_for_one", made.links()),
        made.supervisor("agents", "one_for_one", made.agents()),
        made.impressions(),
        made.gateway(),
        made.events(),
    )
    return made.supervisor("cell", "rest_for_one", children)


class _Bidder:
    """Makes the parts of one bidder; each method returns specifications."""

    def __init__(
        self,
        settings: Settings,
        paths: NodePaths,
        index: int,
        world: World,
        campaigns: Sequence[Campaign],
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._index = index
        self._world = world
        self._campaigns = campaigns
        self._name = f"bidder-{index}"
        self._counting = Counting(CapTable(campaigns), user_salt(world.secret), world.unix_clock)
        pacing = Pacing(campaigns, settings.pacing, ZoneInfo(settings.money.timezone))
        self._kept = Kept(pacing=pacing, liveness=_liveness(settings))
        self._meter = Meter(world.metrics, world.monotonic)
        self._rates = watched_rates(settings, world.monotonic, self._name)
        self._seed = (settings.node.seed or int(world.unix_clock())) * MAX_BIDDERS + index
        self._defaults = DefaultVectors(load_default_profiles(settings.node.profile_file))

    def supervisor(
        self, name: str, strategy: Any, children: tuple[ChildSpec, ...], role: str | None = None
    ) -> ChildSpec:
        """A light supervisor of these children."""
        supervision = self._settings.supervision
        flags = SupervisorFlags(strategy, supervision.intensity, int(supervision.period_s))
        return ChildSpec(
            id=name, start=Start(Supervisor, (flags, children)), type="supervisor", role=role
        )

    def _worker(
        self, name: str, factory: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> ChildSpec:
        return ChildSpec(
            id=name,
            start=Start(factory, args, kwargs),
            shutdown=STOP_MS,
            role=name,
            mailbox_limit=self._settings.agents.mailbox_limit,
        )

    # --- links ---------------------------------------------------------------------------------

    def links(self) -> tuple[ChildSpec, ...]:
        """The ways to other processes."""
        links, paths, agents = self._world.links, self._paths, self._settings.agents
        siblings = [
            paths.ipc(f"events-pub-bidder-{number}")
            for number in range(1, self._settings.node.bidders + 1)
            if number != self._index
        ]
        return (
            self._worker("link-ledger", LedgerLink, links, paths.ipc("ledger")),
            self._worker(
                "link-inference",
                InferenceLink,
                links,
                self._inference_urls(),
                agents.late_strikes,
                agents.cool_off_s,
            ),
            self._worker("ledger-feed", LedgerFeed, links, paths.ipc("ledger-pub")),
            self._worker("event-feed", EventFeed, links, siblings),
            self._worker(
                "exposures",
                ExposureStore,
                paths.exposures_db,
                self._counting.caps,
                self._world.unix_clock,
                self._name,
            ),
        )

    def _inference_urls(self) -> list[str]:
        """Accelerators first; the CPU is their spare."""
        wanted = devices(self._settings.inference.device)
        ordered = [device for device in wanted if device != "cpu"] + ["cpu"]
        return [self._paths.ipc(f"inference-{device.replace(':', '-')}") for device in ordered]

    # --- agents --------------------------------------------------------------------------------

    def agents(self) -> tuple[ChildSpec, ...]:
        """The six who decide."""
        settings = self._settings
        money, profiler = settings.money, settings.profiler
        options = ProfilerOptions(
            profiler.cache_users, profiler.max_events, profiler.refresh_events
        )
        return (
            self._agent("fraud-detector", FraudDetector, FraudRules()),
            self._agent("user-profiler", UserProfiler, options, self._defaults, self._counting),
            self._budget_manager(),
            self._agent("creative-selector", CreativeSelector, self._load_selector),
            self._agent("bid-optimizer", BidOptimizer, self._load_pricing),
            self._agent(
                "oversight",
                Oversight,
                OversightRules(),
                money.price_cap_micros,
                money.unvetted_cap_micros,
            ),
        )

    def _agent(self, name: str, factory: Callable[..., Any], *args: Any, **more: Any) -> ChildSpec:
        """A worker whose answers the meter times."""
        account = partial(self._meter.agent_account, name)
        return self._worker(name, factory, *args, account=account, **more)

    def _budget_manager(self) -> ChildSpec:
        money = self._settings.money
        active = [campaign for campaign in self._campaigns if campaign.active]
        return self._agent(
            "budget-manager",
            BudgetManager,
            WalletTerms(
                lease_s=money.lease_s,
                lease_micros=money.lease_micros,
                least_micros=min(money.lease_micros, LEAST_BIDS * money.price_cap_micros),
            ),
            self._name,
            tuple(campaign.id for campaign in active),
            kept=self._kept,
            tell_silent=self._meter.silent,
        )

    def _load_selector(self) -> ThompsonSelector:
        from models.selector.thompson import ThompsonSelector

        return self._loaded("selector", lambda folder: ThompsonSelector.load(folder, self._seed))

    def _load_pricing(self) -> Pricing:
        from actors.pricing import load_pricing

        cap_micros = self._settings.money.price_cap_micros
        share = self._settings.shading.control_share
        return self._loaded("optimizer", lambda folder: load_pricing(folder, cap_micros, share))

    def _loaded(self, name: str, load: Callable[[Path], Model]) -> Model:
        """Load a model; if its files are spoilt it is the one last read whole, and that is told."""
        folder = self._world.weights(name)
        model = load(folder)
        error = spoilt(folder)
        if error is not None:
            get_logger(bidder=self._name).error("model_spoilt", model=name, reason=str(error))
        return model

    # --- impressions ---------------------------------------------------------------------------

    def impressions(self) -> ChildSpec:
        """The supervisor of orchestrators."""
        agents, money = self._settings.agents, self._settings.money
        selector = self._load_selector()
        rules = DecisionRules(
            shares=tuple(getattr(agents.step_shares, step) for step in NAMES),
            retry_pause_s=RETRY_PAUSE_S,
            price_cap_micros=money.price_cap_micros,
            unvetted_cap_micros=money.unvetted_cap_micros,
            fallbacks=Fallbacks(
                self._defaults.of, partial(_best, selector), self._counting.caps.uncounted
            ),
            falls_back=self._settings.defences.fallbacks,
        )
        kit = OrchestratorKit(
            self._name,
            rules,
            EligibleAds(CampaignIndex(self._campaigns), self._campaigns),
            user_salt(self._world.secret),
            self._writer(),
            reading_of(self._settings, self._rates),
        )
        template = ChildSpec(
            id="impression",
            start=Start(Orchestrator, (kit,)),
            restart="temporary",
            shutdown="brutal_kill",
            mailbox_limit=IMPRESSION_MAILBOX,
        )
        return self.supervisor("impressions", "simple_one_for_one", (template,), "impressions")

    def _writer(self) -> OfferWriter:
        settings, world = self._settings, self._world
        form = NoticeForm(settings.notice_url, int(settings.money.win_window_s))
        return OfferWriter(form, world.secret, world.unix_clock)

    # --- the edge ------------------------------------------------------------------------------

    def gateway(self) -> ChildSpec:
        """The actor that takes bid requests."""
        settings, gateway = self._settings, self._settings.gateway
        kit = GatewayKit(
            bidder=self._name,
            urls=(
                listen_url(gateway.host, gateway.port + self._index - 1),
                self._paths.ipc(f"gateway-{self._name}"),
            ),
            door=DoorRules(
                gateway.max_body_bytes,
                gateway.max_in_flight,
                gateway.default_tmax_ms / 1000,
                gateway.network_margin_ms / 1000,
                gateway.min_time_ms / 1000,
            ),
            memory_entries=MEMORY_ENTRIES if settings.defences.deduplication else 0,
            memory_bytes=MEMORY_BYTES,
            links=self._world.links,
            secret=self._world.secret,
            open_log=partial(self._open_log, self._name),
            unix_clock=self._world.unix_clock,
            meter=self._meter,
            journal=Journal(
                get_logger(bidder=self._name),
                self._world.monotonic,
                decisions=settings.logs.level == "debug",
            ),
            flush_metrics_s=settings.metrics.flush_s,
            held_deals=held_deals(self._campaigns),
            max_deals=settings.market.max_deals,
            explains=gateway.explain,
            sheds=settings.overload.shed,
        )
        return self._worker("gateway", Gateway, kit)

    def events(self) -> ChildSpec:
        """The actor that hears what became of our bids."""
        gateway = self._settings.gateway
        kit = DeskKit(
            bidder=self._name,
            urls=(
                listen_url(gateway.host, gateway.event_port + self._index - 1),
                self._paths.ipc(f"events-{self._name}"),
            ),
            publish_url=self._paths.ipc(f"events-pub-{self._name}"),
            secret=self._world.secret,
            max_body_bytes=gateway.max_body_bytes,
            remembered_bids=REMEMBERED_BIDS,
            links=self._world.links,
            open_log=partial(self._open_log, f"events-{self._name}"),
            meter=self._meter,
            unix_clock=self._world.unix_clock,
            terms=terms_of(self._settings, self._rates.micros_of),
            tells_once=self._settings.defences.deduplication,
        )
        return self._worker("events", EventDesk, kit)

    def _open_log(self, prefix: str) -> SegmentWriter:
        recorder = self._settings.recorder
        return SegmentWriter(
            self._paths.segments_dir,
            prefix,
            self._world.monotonic,
            max_bytes=recorder.segment_bytes,
            max_age_s=recorder.segment_s,
        )


def _liveness(settings: Settings) -> Liveness:
    """Return what one bidder knows of silence: its share of what a node may spend meanwhile."""
    money = settings.money
    slow_micros_per_s = max(1, money.slow_micros_per_s // settings.node.bidders)
    return Liveness(LivenessTerms(money.silence_s, money.silence_bids, slow_micros_per_s))


def _best(selector: ThompsonSelector, candidates: Sequence[Candidate]) -> tuple[int, float]:
    """Return the index and click chance of the best ad so far."""
    choice = selector.best(candidates)
    return choice.index, choice.predicted_ctr
