"""Invalid traffic, by rules that a person can read.

Each rule contributes a weight of evidence; the score is the chance-like combination 1 - prod(1 -
weight), so that several weak signs add up and one strong sign is enough. Rules only look at one
opportunity and at how often its source was seen lately; that count is kept by whoever calls
(`RecentCounts` is a bounded way to do it).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from models.opportunity import Opportunity

#: Traffic at or above this score is refused.
INVALID_FROM: Final = 0.8
_READ_OF_AGENT: Final = 2_048  # characters; what is remembered of it must be bounded

_BOTS: Final = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|headless|phantomjs|selenium|puppeteer|playwright|curl/|wget/|python-requests"
    r"|python-urllib|go-http-client|java/|libwww|scrapy|httpclient|facebookexternalhit|lighthouse",
    re.IGNORECASE,
)

# A few ranges of large hosting companies, from their public lists: people do not browse from there.
_DATACENTERS: Final = tuple(
    IPv4Network(text)
    for text in (
        "3.0.0.0/9",
        "13.32.0.0/12",
        "18.128.0.0/9",
        "34.64.0.0/10",
        "35.184.0.0/13",
        "46.4.0.0/16",
        "51.15.0.0/16",
        "52.0.0.0/10",
        "54.64.0.0/11",
        "88.198.0.0/16",
        "104.131.0.0/16",
        "138.201.0.0/16",
        "159.65.0.0/16",
        "167.99.0.0/16",
    )
)

# 0/8 and 127/8 are never sources, 224/4 and above are multicast and reserved.
_IMPOSSIBLE_OCTETS: Final = frozenset({"0", "127", *(str(octet) for octet in range(224, 256))})


def _by_octet() -> dict[str, list[IPv4Network]]:
    """Return the hosting ranges by each first octet that they touch."""
    found: dict[str, list[IPv4Network]] = {}
    for net in _DATACENTERS:
        first, last = net.network_address.packed[0], net.broadcast_address.packed[0]
        for octet in range(first, last + 1):
            found.setdefault(str(octet), []).append(net)
    return found


_DATACENTERS_BY_OCTET: Final = _by_octet()

_WEIGHTS: Final = {
    "bot_user_agent": 0.98,
    "datacenter_ip": 0.6,
    "no_user_agent": 0.3,
    "no_address": 0.2,
    "device_contradicts_agent": 0.5,
    "app_without_device": 0.3,
    "impossible_address": 0.5,
    "too_many_requests": 0.9,
    "many_requests": 0.4,
}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What the rules say about one request.

    Attributes:
        score: 0 = looks like a person, 1 = certainly not.
        valid: The score is below the limit of refusal.
        reasons: Codes of the rules that spoke, strongest first.
    """

    score: float
    valid: bool
    reasons: tuple[str, ...] = ()


_CLEAN: Final = Verdict(score=0.0, valid=True)


class FraudRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rule engine.

    Attributes:
        many_requests: From so many requests of one source in the window on, suspicion begins.
        too_many_requests: From so many on, a source is refused.
        invalid_from: Scores at or above are refused.
    """

    many_requests: int = 120
    too_many_requests: int = 600
    invalid_from: float = INVALID_FROM

    def score(self, opportunity: Opportunity, recent_count: int) -> Verdict:
        """Judge one request.

        Args:
            opportunity: The impression.
            recent_count: How often its source (user, else address) was seen in the caller's window.
        """
        reasons = [
            *_agent_signs(opportunity),
            *_address_signs(opportunity),
            *self._rate_signs(recent_count),
        ]
        if not reasons:
            return _CLEAN
        innocence = 1.0
        for reason in reasons:
            innocence *= 1.0 - _WEIGHTS[reason]
        reasons.sort(key=_WEIGHTS.__getitem__, reverse=True)
        score = 1.0 - innocence
        return Verdict(score=score, valid=score < self.invalid_from, reasons=tuple(reasons))

    def _rate_signs(self, recent_count: int) -> tuple[str, ...]:
        if recent_count >= self.too_many_requests:
            return ("too_many_requests",)
        return ("many_requests",) if recent_count >= self.many_requests else ()


def _agent_signs(opportunity: Opportunity) -> list[str]:
    """Return what is odd about the browser."""
    agent = opportunity.user_agent
    if not agent:
        return ["no_user_agent"]
    signs = ["bot_user_agent"] if _is_bot(agent[:_READ_OF_AGENT]) else []
    if _contradicts(opportunity.device_kind, agent):
        signs.append("device_contradicts_agent")
    if opportunity.app and agent.startswith("Mozilla") and "Windows NT" in agent:
        signs.append("app_without_device")
    return signs


@lru_cache(maxsize=8192)
def _is_bot(agent: str) -> bool:
    """Tell whether a browser names itself a robot; browsers repeat, so the answer is kept."""
    return _BOTS.search(agent) is not None


def _contradicts(kind: str, agent: str) -> bool:
    """Tell whether a device says to be one thing and its browser another."""
    if kind == "phone":
        return "Windows NT" in agent and "Phone" not in agent
    return kind == "desktop" and ("iPhone" in agent or "Android" in agent)


def _address_signs(opportunity: Opportunity) -> list[str]:
    """Return what is odd about the address; exchanges cut it off, so a missing part is no sign."""
    if not opportunity.ip:
        return [] if opportunity.user_agent else ["no_address"]
    # Most addresses are settled by their first octet; parsing all of them would cost ten times
    # more.
    first = opportunity.ip.partition(".")[0]
    if first in _IMPOSSIBLE_OCTETS:
        return ["impossible_address"]
    nets = _DATACENTERS_BY_OCTET.get(first)
    if nets is None:
        return []
    try:
        address = IPv4Address(opportunity.ip)
    except ValueError:
        return []
    return ["datacenter_ip"] if any(address in net for net in nets) else []


def source_of(opportunity: Opportunity) -> str:
    """Return by whom requests are counted: the user, else the address, ``""`` = cannot tell.

    Who may not be known is not counted: an address that was cut off is that of many.
    """
    return opportunity.user_id or (opportunity.ip if opportunity.personal else "")


class RecentCounts:
    """Counts requests by source over a sliding window, in bounded memory.

    Two buckets of one window each are kept; the older one counts in proportion to how much of it is
    still inside the window, which is off by a few per cent at most and never needs a timer.

    Args:
        window_s: Length of the window, in seconds.
        max_sources: Sources that are remembered per bucket; the least recent are forgotten first.
    """

    def __init__(self, window_s: float = 60.0, max_sources: int = 50_000) -> None:
        self._window_s = window_s
        self._max_sources = max_sources
        self._epoch = 0
        self._sources: OrderedDict[str, int] = OrderedDict()
        self._previous_sources: OrderedDict[str, int] = OrderedDict()

    def count(self, source: str, now_s: float) -> int:
        """Note one request of a source and return how many it made within the window, with this.

        Args:
            source: As `source_of` returns it; ``""`` is not counted and returns 0.
            now_s: A clock that never goes back, in seconds.
        """
        if not source:
            return 0
        self._roll(now_s)
        seen = self._sources.pop(source, 0) + 1
        self._sources[source] = seen
        if len(self._sources) > self._max_sources:
            self._sources.popitem(last=False)
        outdated = now_s / self._window_s - self._epoch
        return seen + int(self._previous_sources.get(source, 0) * (1.0 - outdated))

    def _roll(self, now_s: float) -> None:
        epoch = int(now_s // self._window_s)
        if epoch == self._epoch:
            return
        self._previous_sources = self._sources if epoch == self._epoch + 1 else OrderedDict()
        self._sources = OrderedDict()
        self._epoch = epoch
