"""Exchange traffic and auctions, the same for the same seed in whatever order they are asked for.

Chance is a function of (seed, request id, impression id), not of the order of calls: a load
generator with many requests in flight gets the same outcome for the same bid every time, so two
bidders can be compared on equal luck.
"""

from __future__ import annotations

import hashlib
import math
import random
from bisect import bisect_right
from itertools import count
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from models.market.traffic import page_request
from models.market.world import COUNTRIES, WORLD_SEED, Ads, World
from models.opportunity import DEVICE_KINDS, FORMATS, category_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from config.campaigns import Campaign

#: OpenRTB loss reasons that an auction can give.
LOST_NO_PRICE: Final = 9
LOST_BELOW_FLOOR: Final = 100
LOST_OUTBID: Final = 102

_USER_PREFIX: Final = "sim-"
_NORMAL: Final = NormalDist()
_UNKNOWN_SHARE: Final = 0.15
_ZIPF_POWER: Final = 0.3


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one impression.

    Attributes:
        won: Our bid won.
        price_micros: What we pay when we won; what would have won when we lost.
        clicked: The ad was clicked (only when won).
        converted: The click led to a conversion (only when clicked).
        loss_code: OpenRTB loss reason, 0 for a win.
    """

    won: bool
    price_micros: int
    clicked: bool = False
    converted: bool = False
    loss_code: int = 0


class MarketSimulator:
    """An exchange with its users and our competitors.

    Args:
        seed: Seed of people, traffic and luck.
        campaigns: Whose ads users may see; their truth comes from ids and categories.
        users: Size of the population.
        world_seed: Seed of the truth; leave it alone to meet the world of the shipped models.
    """

    def __init__(
        self,
        seed: int,
        campaigns: Sequence[Campaign],
        *,
        users: int = 20_000,
        world_seed: int = WORLD_SEED,
    ) -> None:
        if users < 1:
            raise ValueError(f"users must be at least 1, not {users}")
        self._seed = seed
        self._world = World(world_seed)
        self._people = self._world.people(users, np.random.default_rng((seed, 1)))
        self._tastes = np.cumsum(self._people.tastes, axis=1).tolist()
        self._ads: Ads = self._world.ads(campaigns)
        self._rows = {creative_id: row for row, creative_id in enumerate(self._ads.ids)}
        activity = np.arange(1, users + 1, dtype=np.float64) ** -_ZIPF_POWER
        self._activity = np.cumsum(activity / activity.sum()).tolist()

    def requests(self) -> Iterator[dict[str, Any]]:
        """Yield bid requests without end; each call begins the same traffic again."""
        rng = random.Random(f"{self._seed}/traffic")
        intents: dict[int, int] = {}
        for number in count():
            request_id = f"sim-{self._seed}-{number}"
            known = rng.random() >= _UNKNOWN_SHARE
            user = self._regular(rng) if known else self._stranger(request_id)
            request = self._request(rng, request_id, user, intents)
            if known:
                request["user"] = self._user_object(rng, user, request)
            yield request

    def _regular(self, rng: random.Random) -> int:
        """Draw a person by activity: few people see most pages."""
        return min(bisect_right(self._activity, rng.random()), len(self._activity) - 1)

    def _request(
        self, rng: random.Random, request_id: str, user: int, intents: dict[int, int]
    ) -> dict[str, Any]:
        if user not in intents or rng.random() < 0.35:
            intents[user] = self._draw_category(rng, user)
        category = intents[user] if rng.random() < 0.6 else self._draw_category(rng, user)
        country = COUNTRIES[self._people.country[user]]
        kind = DEVICE_KINDS[self._people.device[user]]
        return page_request(rng, request_id, category, (country, kind))

    def _draw_category(self, rng: random.Random, user: int) -> int:
        return min(bisect_right(self._tastes[user], rng.random()), len(self._tastes[user]) - 1)

    @staticmethod
    def _user_object(rng: random.Random, user: int, request: dict[str, Any]) -> dict[str, Any]:
        described: dict[str, Any] = {"id": f"{_USER_PREFIX}{user}"}
        if "gdpr" in request.get("regs", {}) and rng.random() < 0.8:
            described["consent"] = "CPsimulatedAAAAAAAAAAAAAAAAAAAAA"
        return described

    def auction(
        self,
        request: Mapping[str, Any],
        imp_id: str,
        bid_micros: int | None,
        creative_id: str,
    ) -> Outcome:
        """Hold the auction of one impression and tell how the user reacts.

        Args:
            request: One of `requests`, or any OpenRTB request.
            imp_id: Which of its impressions.
            bid_micros: Our bid per impression, ``None`` when we do not bid.
            creative_id: The ad that we would show.

        Returns:
            The outcome; a winner pays its bid when ``at`` is 1, else the highest competing price or
            the floor.

        Raises:
            KeyError: The request has no such impression.
        """
        imp = _impression(request, imp_id)
        luck = _uniforms(f"{self._seed}|{request.get('id')}|{imp_id}")
        user = self._user_of(request)
        floor_micros = math.ceil(1000.0 * _number(imp.get("bidfloor")))
        rival_micros = self._rival_micros(request, _media(imp), user, luck[0])
        needed_micros = max(rival_micros, floor_micros, 1)
        if bid_micros is None:
            return Outcome(won=False, price_micros=needed_micros, loss_code=LOST_NO_PRICE)
        if bid_micros < needed_micros:
            code = LOST_BELOW_FLOOR if bid_micros < floor_micros else LOST_OUTBID
            return Outcome(won=False, price_micros=needed_micros, loss_code=code)
        price_micros = bid_micros if request.get("at", 2) == 1 else needed_micros
        clicked, converted = self._reaction(request, user, creative_id, luck)
        return Outcome(won=True, price_micros=price_micros, clicked=clicked, converted=converted)

    def _rival_micros(self, request: Mapping[str, Any], media: int, user: int, luck: float) -> int:
        """Return the highest competing bid; it does not depend on ours."""
        mean = self._world.log_price(
            np.int64(media),
            self._people.country[user],
            self._people.device[user],
            np.int64(_category(request)),
            self._people.interests[user],
        )
        return math.ceil(math.exp(float(mean) + self._world.price_sigma * _NORMAL.inv_cdf(luck)))

    def _reaction(
        self, request: Mapping[str, Any], user: int, creative_id: str, luck: tuple[float, ...]
    ) -> tuple[bool, bool]:
        """Return whether the user clicks, and whether that click converts."""
        click, conversion = self._chances(request, user, creative_id)
        clicked = luck[1] < click
        return clicked, clicked and luck[2] < conversion

    def chances(self, request: Mapping[str, Any], creative_id: str) -> tuple[float, float]:
        """Return the truth about an ad and the user of a request, which no bidder knows.

        Args:
            request: One of `requests`, or any OpenRTB request.
            creative_id: The ad.

        Returns:
            The chance that the user clicks, and that a click converts.
        """
        return self._chances(request, self._user_of(request), creative_id)

    def _chances(
        self, request: Mapping[str, Any], user: int, creative_id: str
    ) -> tuple[float, float]:
        row = self._rows.get(creative_id)
        if row is None or request.get("test") == 1:
            return 0.0, 0.0
        match = np.float64(self._people.interests[user] @ self._ads.places[row])
        device = self._people.device[user]
        click = self._world.click_chance(
            match, self._ads.format[row], device, self._ads.appeal[row]
        )
        closing = self._world.conversion_chance(match, device, self._ads.closing[row])
        return float(click), float(closing)

    def _user_of(self, request: Mapping[str, Any]) -> int:
        """Return the person behind a request; strangers are somebody, too, always the same."""
        user = request.get("user")
        name = user.get("id") if isinstance(user, dict) else None
        if not isinstance(name, str) or not name:
            return self._stranger(str(request.get("id")))
        digits = name.removeprefix(_USER_PREFIX)
        if name.startswith(_USER_PREFIX) and digits.isascii() and digits.isdigit():
            return int(digits) % len(self._activity)
        return self._stranger(name)

    def _stranger(self, name: str) -> int:
        return int(_uniforms(f"{self._seed}|who|{name}")[0] * len(self._activity))


def _uniforms(key: str) -> tuple[float, float, float, float]:
    """Return four numbers in (0, 1) that depend on the key only."""
    digest = hashlib.blake2b(key.encode(), digest_size=32).digest()
    numbers = [
        (int.from_bytes(digest[at : at + 8], "big") + 0.5) / 2.0**64 for at in (0, 8, 16, 24)
    ]
    safe = [min(max(number, 1e-12), 1.0 - 1e-12) for number in numbers]
    return safe[0], safe[1], safe[2], safe[3]


def _impression(request: Mapping[str, Any], imp_id: str) -> Mapping[str, Any]:
    for imp in request.get("imp") or ():
        if isinstance(imp, dict) and str(imp.get("id")) == imp_id:
            return imp
    raise KeyError(f"request {request.get('id')!r} has no impression {imp_id!r}")


def _media(imp: Mapping[str, Any]) -> int:
    """Return the index of the first format that an impression offers."""
    return next((index for index, name in enumerate(FORMATS) if name in imp), 0)


def _category(request: Mapping[str, Any]) -> int:
    """Return the index of the page's category, 0 when it names none."""
    place = request.get("site") or request.get("app")
    codes = place.get("cat") if isinstance(place, dict) else None
    first = codes[0] if isinstance(codes, list) and codes else None
    index = category_index(first) if isinstance(first, str) else None
    return index or 0


def _number(value: object) -> float:
    """Return a non-negative number, 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(float(value), 0.0)
