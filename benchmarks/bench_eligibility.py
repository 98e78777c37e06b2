"""What it costs to find the ads of an impression, by the number of campaigns.

For each mix of targeting there are 10, 1,000 and 100,000 campaigns, of which the same eight may be
shown for the impressions that are asked; all others are refused for what the mix is about. The cost
of a look-up should not follow the number of campaigns: the last column is the dearest size divided
by the cheapest. Answers are not remembered here; each look-up reads the impression, searches the
index and makes the candidates. Besides: what building the index takes and how much memory it holds.

Run: ``python -m benchmarks.bench_eligibility [--sizes 10 1000 100000] [--seconds S]``; the table
goes to stderr, JSON to stdout.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from config.campaigns import Campaign, Creative, Targeting
from models.eligibility import CampaignIndex
from models.opportunity import DealTerms, Opportunity, Slot

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (10, 1_000, 100_000)
MATCHES = 8
ASKED = 64
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
COUNTRIES = [f"{a}{b}X" for a in "ABCDEFGHIJKLMNOP" for b in "ABCDEFGHIJKL"]
KINDS = ("phone", "tablet", "desktop", "tv", "other")
CODES = [f"IAB{top}-{low}" for top in range(1, 26) for low in range(1, 12)]
MPU = Slot("banner", 300, 250, ("image/png",))
BANNER = Creative(id="b", format="banner", w=300, h=250, adm="<b>", title="b", mimes=("image/png",))
VIDEO = Creative(
    id="v", format="video", adm="<VAST/>", title="v", mimes=("video/mp4",), duration_s=60
)
LEADERBOARD = Creative(id="l", format="banner", w=728, h=90, adm="<b>", title="l")
SHORT = Creative(
    id="s", format="video", adm="<VAST/>", title="s", mimes=("video/mp4",), duration_s=15
)

Facts = dict[str, Any]


class Mix(NamedTuple):
    """One way in which campaigns target.

    Attributes:
        name: What it is about.
        wanted: Facts of a campaign that may be shown.
        other: Facts of one that may not, by chance.
        asked: Facts of an impression, by chance.
    """

    name: str
    wanted: Callable[[random.Random], Facts]
    other: Callable[[random.Random], Facts]
    asked: Callable[[random.Random], Facts]


class Measured(NamedTuple):
    """One line of the table; times of one look-up in microseconds."""

    mix: str
    campaigns: int
    matches: int
    lookup_us: float
    nothing_us: float
    build_s: float
    memory_mb: float


def targeted(**facts: Any) -> Facts:
    """Return a campaign's facts with this targeting."""
    return {"targeting": Targeting(**facts)}


def some(rng: random.Random, values: Any, most: int) -> tuple[Any, ...]:
    """Return one to ``most`` different values."""
    return tuple(rng.sample(list(values), rng.randint(1, most)))


def elsewhere(rng: random.Random) -> Facts:
    """Other countries, or the same country on other devices."""
    if rng.random() < 0.5:
        return targeted(countries=("DEU",), device_kinds=some(rng, KINDS[1:], 3))
    return targeted(countries=some(rng, COUNTRIES, 8), device_kinds=some(rng, KINDS, 3))


def other_sites(rng: random.Random) -> Facts:
    """Lists of other sites, a tenth of them with long ones."""
    most = 200 if rng.random() < 0.02 else 5
    count = rng.randint(1, most)
    return targeted(domains=tuple(f"site{rng.randrange(50_000)}.example" for _ in range(count)))


def other_times(rng: random.Random) -> Facts:
    """Hours and days at random, but not the hour or not the day that is asked for."""
    hours, days = set(range(24)), set(range(7))
    if rng.random() < 0.5:
        hours.discard(12)
    else:
        days.discard(0)
    return targeted(
        hours=tuple(rng.sample(sorted(hours), rng.randint(1, 12))),
        days=tuple(rng.sample(sorted(days), rng.randint(1, 5))),
    )


def other_flights(rng: random.Random) -> Facts:
    """Flights that are over, or still to come."""
    start = NOW - timedelta(minutes=rng.randint(60_000, 900_000))
    if rng.random() < 0.5:
        start = NOW + timedelta(minutes=rng.randint(1, 900_000))
    return {"starts_at": start, "ends_at": start + timedelta(minutes=rng.randint(1, 50_000))}


def anything(rng: random.Random) -> Facts:
    """A bit of everything, always in other countries, segments, sites, deals or hours."""
    facts: Facts = {"device_kinds": some(rng, KINDS, 3)} if rng.random() < 0.4 else {}
    if rng.random() < 0.3:
        facts["os"] = some(rng, ("ios", "android", "windows"), 2)
    if rng.random() < 0.3:
        facts["categories"] = some(rng, CODES, 4)
    if rng.random() < 0.2:
        facts["blocked_domains"] = (f"site{rng.randrange(2_000)}.example",)
    kind = rng.randrange(5)
    if kind == 0:
        return targeted(**facts, countries=some(rng, COUNTRIES, 5))
    if kind == 1:
        return targeted(**facts, segments=tuple(f"dmp:{rng.randrange(900)}x" for _ in range(3)))
    if kind == 2:
        return targeted(**facts, domains=(f"site{rng.randrange(9_000)}.example",))
    if kind == 3:
        return {**targeted(**facts), "deals": (f"d{rng.randrange(9_000)}x",), "open_auction": False}
    return targeted(**facts, hours=tuple(rng.sample([*range(12), *range(13, 24)], 8)))


def segments(rng: random.Random) -> Facts:
    """A user in forty segments, of which one is wanted."""
    return {"segments": frozenset({"dmp:7", *(f"dmp:{rng.randrange(10**6)}u" for _ in range(40))})}


def deals_asked(_rng: random.Random) -> Facts:
    """A look at the one deal."""
    return {"deal": DealTerms("deal-1")}


MIXES = (
    Mix(
        "country and device",
        lambda _: targeted(countries=("DEU", "AUT"), device_kinds=("phone",)),
        elsewhere,
        lambda _: {},
    ),
    Mix(
        "domains",
        lambda _: targeted(domains=("news.example", "other.example")),
        other_sites,
        lambda rng: {"domain": f"w{rng.randrange(9)}.news.example"},
    ),
    Mix(
        "deals",
        lambda _: {"deals": ("deal-1", "deal-2"), "open_auction": False},
        lambda rng: {"deals": (f"deal-{rng.randrange(2, 50_000)}",), "open_auction": False},
        deals_asked,
    ),
    Mix(
        "deals, open look",
        lambda _: {"deals": ("deal-1",)},
        lambda rng: {"deals": (f"deal-{rng.randrange(2, 50_000)}",), "open_auction": False},
        lambda _: {},
    ),
    Mix(
        "segments",
        lambda _: targeted(segments=("dmp:7",)),
        lambda rng: targeted(segments=tuple(f"dmp:{rng.randrange(5_000)}x" for _ in range(6))),
        segments,
    ),
    Mix(
        "hours and days",
        lambda _: targeted(hours=(11, 12, 13), days=(0, 1, 2)),
        other_times,
        lambda _: {},
    ),
    Mix(
        "broad, other format",
        lambda _: {},
        lambda rng: {"creatives": (VIDEO,) if rng.random() < 0.9 else (LEADERBOARD,)},
        lambda _: {},
    ),
    Mix(
        "broad, too long",
        lambda _: {"creatives": (SHORT,)},
        lambda _: {"creatives": (VIDEO,)},
        lambda _: {"slots": (Slot("video", 640, 360, ("video/mp4",), 5, 30),)},
    ),
    Mix(
        "broad, blocked category",
        lambda _: {"categories": ("IAB26-1",)},
        lambda rng: {"categories": some(rng, CODES, 2)},
        lambda _: {"blocked_categories": frozenset(f"IAB{top}" for top in range(1, 26))},
    ),
    Mix("flights", lambda _: {}, other_flights, lambda _: {}),
    Mix("everything", lambda _: {}, anything, lambda _: {}),
)


def campaigns_of(mix: Mix, count: int, rng: random.Random) -> list[Campaign]:
    """Return so many campaigns, of which `MATCHES` may be shown, in no particular order."""
    made = [mix.wanted(rng) for _ in range(min(MATCHES, count))]
    made += [mix.other(rng) for _ in range(count - len(made))]
    rng.shuffle(made)
    return [campaign(number, facts) for number, facts in enumerate(made)]


def campaign(number: int, facts: Facts) -> Campaign:
    """Return a campaign with an ad of its own."""
    standard: Facts = {
        "id": f"c{number}",
        "advertiser_domain": f"brand{number % 5_000}.example",
        "name": "c",
        "categories": ("IAB26",),
        "budget_micros": 10**9,
        "default_bid_micros": 1_000,
        "max_bid_micros": 9_000,
        "value_per_conversion_micros": 10**6,
        "creatives": (BANNER,),
    }
    return Campaign(**(standard | facts))


def impressions_of(mix: Mix, rng: random.Random) -> list[Opportunity]:
    """Return impressions that are all for the same campaigns."""
    standard: Facts = {
        "request_id": "r",
        "slots": (MPU,),
        "country": "DEU",
        "device_kind": "phone",
        "os": "ios",
        "language": "de",
        "hour": 12,
        "domain": "news.example",
        "blocked_advertisers": frozenset({"rival.example"}),
    }
    return [
        Opportunity(imp_id=str(number), **(standard | mix.asked(rng))) for number in range(ASKED)
    ]


class Bench:
    """One index, and what is asked of it; processor time, because others share the machine."""

    def __init__(self, mix: Mix, count: int) -> None:
        rng = random.Random(count)
        campaigns, self.asked = campaigns_of(mix, count, rng), impressions_of(mix, rng)
        self.mix, self.count, self.matches = mix, count, min(MATCHES, count)
        self.memory_mb = memory_mb(campaigns)
        begin_s = time.process_time()
        self.index = CampaignIndex(campaigns)
        self.build_s = time.process_time() - begin_s
        self.best_s = float("inf")
        now_s = NOW.timestamp()
        found = {len(self.index.candidates(each, now_s)) for each in self.asked}
        if found != {self.matches}:
            raise SystemExit(f"{mix.name}, {count}: {found} candidates, not {self.matches}")

    def round(self) -> None:
        """Look all impressions up once; the best round counts."""
        now_s, candidates = NOW.timestamp(), self.index.candidates
        begin_s = time.process_time()
        for each in self.asked:
            candidates(each, now_s)
        self.best_s = min(self.best_s, time.process_time() - begin_s)

    def measured(self) -> Measured:
        """Return the line of the table."""
        return Measured(
            self.mix.name,
            self.count,
            self.matches,
            round(self.best_s / len(self.asked) * 1e6, 2),
            round(nothing_us(self.index, self.asked[0]), 1),
            round(self.build_s, 3),
            round(self.memory_mb, 1),
        )


def nothing_us(index: CampaignIndex, asked: Opportunity) -> float:
    """Return the microseconds of saying why there is nothing, where another seat buys."""
    now_s = NOW.timestamp()
    refused = Opportunity(request_id="r", imp_id="1", slots=asked.slots, seats=frozenset({"other"}))
    best_s = float("inf")
    for _ in range(20):
        begin_s = time.process_time()
        assert not index.candidates(refused, now_s)
        index.why_none(refused, now_s)
        best_s = min(best_s, time.process_time() - begin_s)
    return best_s * 1e6


def measure(mix: Mix, sizes: list[int], seconds: float) -> list[Measured]:
    """Build an index of each size and look up in them in turns, so that all share good moments."""
    benches = [Bench(mix, size) for size in sizes]
    gc.collect()
    gc.freeze()
    end_s = time.perf_counter() + seconds * len(sizes)
    while time.perf_counter() < end_s:
        for each in benches:
            each.round()
    gc.unfreeze()
    return [each.measured() for each in benches]


def memory_mb(campaigns: list[Campaign]) -> float:
    """Return what an index holds besides its campaigns, in megabytes; 0 for the small ones."""
    if len(campaigns) < 100_000:
        return 0.0
    tracemalloc.start()
    index = CampaignIndex(campaigns)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del index
    return held / 1e6


def main() -> None:
    """Measure every mix at every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=1.0, help="per number of the table")
    parser.add_argument("--mix", default="", help="only mixes whose name begins so")
    options = parser.parse_args()
    lines = []
    for mix in (each for each in MIXES if each.name.startswith(options.mix)):
        some_lines = measure(mix, options.sizes, options.seconds)
        lines += some_lines
        show(some_lines)
    print(json.dumps([line._asdict() for line in lines]))


def show(lines: list[Measured]) -> None:
    """Print the lines of one mix as one row."""
    costs = [line.lookup_us for line in lines]
    row = f"{lines[0].mix:<26}" + "".join(f"{cost:>10.1f}" for cost in costs)
    last = lines[-1]
    row += f"{max(costs) / min(costs):>8.2f}x  nothing {last.nothing_us:>8.1f}"
    row += f"  build {last.build_s:>6.2f} s {last.memory_mb:>7.1f} MB"
    print(row, file=sys.stderr)


if __name__ == "__main__":
    main()
