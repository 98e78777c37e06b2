"""The learned team beside the rules that stand in for it: the same traffic, the same luck.

Principle: every team is a whole bidder (`actors.rehearsal.bidder`); a team without an agent is a
bidder in which that agent is not there, so that the fallback answers which a node has for that
case: the default profile of the segment, the best creative so far, the campaign's default bid. All
of them meet the same requests, the same competitors and the same users.

The reward of a request is what its won impressions were worth less what they cost. Worth is taken
from the truth of the simulated users (chance of a click x chance of a conversion x what one is
worth), not from the few conversions that happened: that has the same mean and much less noise.

Letters: R runs, N requests of all runs together, C campaigns.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from actors.rehearsal.bidder import RehearsedBidder
from config.campaigns import load_campaigns
from config.settings import Settings
from models.evaluation import Interval, clustered_interval
from models.market import MarketSimulator
from transport.messages import Billing, Click, Conversion, Impression, Loss, Win

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from config.campaigns import Campaign
    from models.market import Outcome
    from transport.messages import Event

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

PROFILER: Final = "user-profiler"
SELECTOR: Final = "creative-selector"
OPTIMIZER: Final = "bid-optimizer"

#: Which agents each team does without; the first is what is served, the last rests on rules alone.
TEAMS: Final[dict[str, tuple[str, ...]]] = {
    "learned": (),
    "default profiles": (PROFILER,),
    "best creative so far": (SELECTOR,),
    "default bids": (OPTIMIZER,),
    "rules": (PROFILER, SELECTOR, OPTIMIZER),
}

_DAWN: Final = datetime(2026, 11, 23, 10, tzinfo=UTC)
_PAUSE_S: Final = 0.1
_LAST_NEWS_S: Final = 30.0
_MICROS_PER_CPM: Final = 1_000
_SCARCE: Final = 0.5
_BOOT_S: Final = 0.5


class TeamSettings(msgspec.Struct, frozen=True):
    """How much is played.

    Attributes:
        requests: Bid requests of a run.
        seeds: One run each, with people, traffic and luck of its own.
        users: People of a run.
        teams: Names of `TEAMS`; the first is compared with all others.
        scarce: Also play with budgets of half of what the poorest spender spent.
    """

    requests: int = 6_000
    seeds: tuple[int, ...] = (1, 2, 3)
    users: int = 500
    teams: tuple[str, ...] = tuple(TEAMS)
    scarce: bool = True


class Played(msgspec.Struct, frozen=True):
    """What a team did in one or more runs.

    Attributes:
        users: Whose each request was, length N.
        reward: Worth less cost by request and campaign, micros, shape ``(N, C)``.
        spent: Micros, shape ``(N, C)``.
        wins: Impressions, shape ``(N,)``.
        clicks: Shape ``(N,)``.
        conversions: Shape ``(N,)``.
        budgets: Of the campaigns in each run, micros, shape ``(R, C)``.
    """

    users: list[str]
    reward: Floats
    spent: Floats
    wins: Floats
    clicks: Floats
    conversions: Floats
    budgets: Ints


class TeamRow(msgspec.Struct, frozen=True):
    """One team in one setting; money in micros.

    Attributes:
        budgets: ``ample`` or ``scarce``.
        team: Name of `TEAMS`.
        wins: Impressions.
        clicks: That happened.
        conversions: That happened.
        spent: In all.
        reward: Worth less cost in all.
        learned_gain: Reward of the first team more than this one's, per thousand requests.
        overspent: How often a campaign spent more than its budget.
    """

    budgets: str
    team: str
    wins: int
    clicks: int
    conversions: int
    spent: float
    reward: float
    learned_gain: Interval
    overspent: int


class CampaignRow(msgspec.Struct, frozen=True):
    """One campaign with a scarce budget, first team and last; money in micros.

    Attributes:
        campaign: Its id.
        budget: Of all runs together.
        learned_spent: By the first team.
        rules_spent: By the last team.
        learned_reward: Worth less cost of the first team.
        rules_reward: Of the last team.
        learned_gain: Their difference per thousand requests.
    """

    campaign: str
    budget: int
    learned_spent: float
    rules_spent: float
    learned_reward: float
    rules_reward: float
    learned_gain: Interval


class TeamReport(msgspec.Struct, frozen=True):
    """All of it."""

    requests: int
    seeds: tuple[int, ...]
    teams: list[TeamRow]
    campaigns: list[CampaignRow]


def evaluate_team(
    settings: TeamSettings | None = None, tell: Callable[[str], None] = lambda _: None
) -> TeamReport:
    """Play traffic of the sample world against teams.

    Args:
        settings: How much.
        tell: Hears what is being played.
    """
    how = settings or TeamSettings()
    campaigns = tuple(each for each in load_campaigns() if each.active)
    found: dict[str, dict[str, list[Played]]] = {"ample": {}, "scarce": {}}
    for seed in how.seeds:
        limits = np.array([each.budget_micros for each in campaigns])
        for budgets in ("ample", "scarce") if how.scarce else ("ample",):
            limited = [_flown(*each, how) for each in zip(campaigns, limits, strict=True)]
            runs = []
            for team in how.teams:
                tell(f"seed {seed}, {budgets} budgets: {team}")
                runs.append(play(team, seed, how, limited))
                found[budgets].setdefault(team, []).append(runs[-1])
            limits = scarce_budgets(runs, limits)
    names = tuple(each.id for each in campaigns)
    rows = [row for budgets, played in found.items() for row in _rows(budgets, played)]
    return TeamReport(how.requests, how.seeds, rows, _by_campaign(names, found["scarce"]))


def scarce_budgets(runs: Sequence[Played], ample: Ints) -> Ints:
    """Return budgets of half of what the poorest spender spent, so that no team can buy all.

    Args:
        runs: Of all teams with ample budgets.
        ample: Those, kept where a team spent nothing, shape ``(C,)``.
    """
    least = np.min([run.spent.sum(axis=0) for run in runs], axis=0)
    return np.where(least > 0, np.maximum(_SCARCE * least, 1), ample).astype(np.int64)


def _flown(campaign: Campaign, budget_micros: int, how: TeamSettings) -> Campaign:
    """Return a campaign whose budget is meant for just the traffic of a run."""
    ends_at = _DAWN + timedelta(seconds=_BOOT_S + how.requests * _PAUSE_S)
    return msgspec.structs.replace(
        campaign, budget_micros=int(budget_micros), starts_at=_DAWN, ends_at=ends_at
    )


# --- one run -------------------------------------------------------------------------------------


def play(team: str, seed: int, how: TeamSettings, campaigns: Sequence[Campaign]) -> Played:
    """Play one run's traffic against one team.

    Args:
        team: Name of `TEAMS`.
        seed: Of people, traffic and luck.
        how: How much.
        campaigns: What it bids for.
    """
    market = MarketSimulator(seed, campaigns, users=how.users)
    folder = Path(tempfile.mkdtemp(prefix="bidwright-team-"))
    bidder = RehearsedBidder(_settings(folder), campaigns, _DAWN, TEAMS[team])
    tally = _Tally(campaigns, how.requests, market, f"{seed}/")
    try:
        for number, request in enumerate(islice(market.requests(), how.requests)):
            answer = bidder.ask(request)
            bidder.tell(tally.count(number, request, _bids_of(answer)))
            bidder.wait(_PAUSE_S)
        bidder.wait(_LAST_NEWS_S)
    finally:
        bidder.close()
        shutil.rmtree(folder, ignore_errors=True)
    return tally.played


def _settings(folder: Path) -> Settings:
    """Return the default settings for one bidder whose answers are nobody's to wait for."""
    return Settings.model_validate(
        {
            "node": {"data_dir": folder, "seed": 1, "bidders": 1},
            "inference": {"device": "cpu"},
            "edge": {"enabled": False},
            "overload": {"shed": False},
            "money": {"group_commit_ms": 500},
            "defences": {"durability": False},
        }
    )


def _bids_of(answer: dict[str, Any] | None) -> list[dict[str, Any]]:
    seats = () if answer is None else answer.get("seatbid", ())
    return [bid for seat in seats for bid in seat["bid"]]


class _Tally:
    """Holds the auctions of a run, and counts."""

    def __init__(
        self, campaigns: Sequence[Campaign], requests: int, market: MarketSimulator, run: str
    ) -> None:
        self._market = market
        self._run = run
        self._column = {each.id: column for column, each in enumerate(campaigns)}
        self._worth = {each.id: each.value_per_conversion_micros for each in campaigns}
        shape = (requests, len(campaigns))
        self.played = Played(
            [""] * requests,
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(requests),
            np.zeros(requests),
            np.zeros(requests),
            np.array([[each.budget_micros for each in campaigns]]),
        )

    def count(
        self, number: int, request: Mapping[str, Any], bids: Sequence[Mapping[str, Any]]
    ) -> list[Event]:
        """Hold the auctions of a request and return what is told of them."""
        user = request.get("user", {}).get("id", request["id"])
        self.played.users[number] = f"{self._run}{user}"
        events: list[Event] = []
        for bid in bids:
            offered_micros = round(bid["price"] * _MICROS_PER_CPM)
            outcome = self._market.auction(request, bid["impid"], offered_micros, bid["crid"])
            if outcome.won:
                self._win(number, request, bid, outcome)
            events += _news(bid["id"], outcome)
        return events

    def _win(
        self, number: int, request: Mapping[str, Any], bid: Mapping[str, Any], outcome: Outcome
    ) -> None:
        played, column = self.played, self._column[bid["cid"]]
        click, conversion = self._market.chances(request, bid["crid"])
        worth_micros = click * conversion * self._worth[bid["cid"]]
        played.reward[number, column] += worth_micros - outcome.price_micros
        played.spent[number, column] += outcome.price_micros
        played.wins[number] += 1
        played.clicks[number] += outcome.clicked
        played.conversions[number] += outcome.converted


def _news(key: str, outcome: Outcome) -> list[Event]:
    """Return the events of one auction, as an exchange and a browser tell them."""
    price_cpm = outcome.price_micros / _MICROS_PER_CPM
    if not outcome.won:
        return [Loss(key=key, loss_code=outcome.loss_code, min_to_win_cpm=price_cpm)]
    kinds: list[type[Event]] = [Win, Billing, Impression]
    kinds += [Click] if outcome.clicked else []
    kinds += [Conversion] if outcome.converted else []
    return [kind(key=key, price_cpm=price_cpm) for kind in kinds]


# --- the tables ----------------------------------------------------------------------------------


def _rows(budgets: str, played: Mapping[str, Sequence[Played]]) -> list[TeamRow]:
    """Return a row for each team that played with such budgets."""
    if not played:
        return []
    first = _joined(next(iter(played.values())))
    rows = []
    for team, runs in played.items():
        each = _joined(runs)
        rows.append(
            TeamRow(
                budgets,
                team,
                int(each.wins.sum()),
                int(each.clicks.sum()),
                int(each.conversions.sum()),
                float(each.spent.sum()),
                float(each.reward.sum()),
                _gain(first.reward.sum(axis=1), each.reward.sum(axis=1), first.users),
                sum(int((run.spent.sum(axis=0) > run.budgets[0]).sum()) for run in runs),
            )
        )
    return rows


def _by_campaign(names: Sequence[str], played: Mapping[str, Sequence[Played]]) -> list[CampaignRow]:
    """Return a row for each campaign, of the first team and the last."""
    if not played:
        return []
    teams = list(played.values())
    first, last = _joined(teams[0]), _joined(teams[-1])
    return [
        CampaignRow(
            name,
            int(first.budgets[:, column].sum()),
            float(first.spent[:, column].sum()),
            float(last.spent[:, column].sum()),
            float(first.reward[:, column].sum()),
            float(last.reward[:, column].sum()),
            _gain(first.reward[:, column], last.reward[:, column], first.users),
        )
        for column, name in enumerate(names)
    ]


def _joined(runs: Sequence[Played]) -> Played:
    """Return runs as one."""
    arrays = {
        name: np.concatenate([getattr(run, name) for run in runs])
        for name in ("reward", "spent", "wins", "clicks", "conversions", "budgets")
    }
    return Played(users=[user for run in runs for user in run.users], **arrays)


def _gain(first: Floats, other: Floats, users: Sequence[str]) -> Interval:
    """Return by how much the first earns more, per thousand requests; a user's go together."""
    per_request = clustered_interval(first - other, users)
    return Interval(*(1000.0 * getattr(per_request, name) for name in ("mean", "low", "high")))
