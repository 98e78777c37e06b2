"""How often a user has seen what, in memory: frequency caps over several windows.

Principle: of an ad with caps only the latest views are worth remembering, as many as its largest
cap allows; the cap of N views in W seconds is reached exactly while the N-th latest view is younger
than W. Views are told by bids' names, so one that is told twice (billed and seen, here and by a
sibling) counts once. Users are keyed hashes; the least recently counted one is forgotten first.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from actors.decision.records import user_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import Exposed
    from config.campaigns import Campaign, FrequencyCap

_NOTHING: Final[frozenset[str]] = frozenset()

Views = list[tuple[float, str]]
"""When, and by which bid, oldest first."""


class CapTable:
    """The caps of all campaigns and creatives.

    Args:
        campaigns: Whose.

    Attributes:
        longest_s: The longest window, 0 without caps: nothing older matters.
        uncounted: Campaigns and creatives that a user who can't be counted must not see.
    """

    def __init__(self, campaigns: Iterable[Campaign]) -> None:
        self._caps: dict[str, tuple[FrequencyCap, ...]] = {}
        uncounted: set[str] = set()
        for campaign in campaigns:
            named = [(campaign.id, campaign.caps)]
            named += [(creative.id, creative.caps) for creative in campaign.creatives]
            capped = {name: caps for name, caps in named if caps}
            self._caps |= capped
            if campaign.when_uncounted == "skip":
                uncounted |= capped.keys()
        self._most = {
            name: max(cap.impressions for cap in caps) for name, caps in self._caps.items()
        }
        windows = [cap.window_s for caps in self._caps.values() for cap in caps]
        self.longest_s = max(windows, default=0)
        self.uncounted = frozenset(uncounted)

    def __bool__(self) -> bool:
        return bool(self._caps)

    def __contains__(self, name: str) -> bool:
        return name in self._caps

    def most(self, name: str) -> int:
        """Return how many views of a campaign or creative can matter."""
        return self._most[name]

    def is_reached(self, name: str, seen: Views, unix_s: float) -> bool:
        """Tell whether a user with these views of a campaign or creative may see no more now."""
        count = len(seen)
        return any(
            cap.impressions <= count and seen[-cap.impressions][0] > unix_s - cap.window_s
            for cap in self._caps[name]
        )


class Counting(msgspec.Struct, frozen=True):
    """What it takes to know a user's views.

    Attributes:
        caps: Whose views matter.
        salt: Keys the hash of users.
        unix_clock: Seconds since 1970.
    """

    caps: CapTable
    salt: bytes
    unix_clock: Callable[[], float]

    def name_of(self, user_id: str) -> str:
        """Return the hash by which a user is counted, "" where nobody is."""
        return user_hash(user_id, self.salt) if self.caps else ""


class Exposures:
    """What users have seen of campaigns and creatives that have caps.

    Args:
        caps: Theirs.
        max_users: Users remembered at most.

    Attributes:
        is_complete: What was seen before we began is known, too; until then nobody counts as
            countable.
    """

    def __init__(self, caps: CapTable, max_users: int) -> None:
        self._caps = caps
        self._max_users = max_users
        self._users: OrderedDict[str, dict[str, Views]] = OrderedDict()
        self.is_complete = not caps

    def __len__(self) -> int:
        return len(self._users)

    def count(self, exposed: Exposed) -> None:
        """Count a view, if a cap asks for it and it was not counted before."""
        names = [each for each in (exposed.campaign_id, exposed.creative_id) if each in self._caps]
        if not names or not exposed.user:
            return
        user = self._users.get(exposed.user)
        if user is None:
            user = self._users[exposed.user] = {}
            if len(self._users) > self._max_users:
                self._users.popitem(last=False)
        else:
            self._users.move_to_end(exposed.user)
        for name in names:
            seen = user.setdefault(name, [])
            if all(key != exposed.key for _, key in seen):
                insort(seen, (exposed.unix_s, exposed.key))
                del seen[: -self._caps.most(name)]

    def capped(self, user: str, unix_s: float) -> frozenset[str]:
        """Return the campaigns and creatives that a user may not see again now.

        Args:
            user: Keyed hash, "" for one that must not or cannot be known.
            unix_s: Now, seconds since 1970.
        """
        if not user:
            return self._caps.uncounted
        known = self._users.get(user)
        if known is None:
            return _NOTHING if self.is_complete else self._caps.uncounted
        is_reached = self._caps.is_reached
        reached = frozenset(name for name, seen in known.items() if is_reached(name, seen, unix_s))
        return reached if self.is_complete else reached | self._caps.uncounted
