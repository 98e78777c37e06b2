"""Does news of our money come? If not, bid slowly until it does.

Principle: a bidder that bids and hears of no win and no loss is either unlucky or cut off, and in
the second case it spends money that it does not see. So news is looked for where it should come
from: of the bids made to an exchange from that exchange, of spend from the ledger. Who has made
enough bids since its last news, and made the first of them long enough ago, is silent: that is a
fault of its own, told as such, and bids there are slowed to a trickle of money until the first news
ends it. A source that nothing is asked of is not silent.

No clock and no I/O in here. Amounts are micros of USD, times seconds on the bidder's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The fate of so many bids is waited for at most; of older ones nobody knows the exchange.
MOST_BIDS: Final = 65_536
#: So many exchanges are told apart; names come from outside, and further ones count as one.
MOST_EXCHANGES: Final = 256
OTHERS: Final = "others"
#: What the ledger is called among the sources of news.
LEDGER: Final = "ledger"
#: The money that a slow source may spend at once is what it may spend in this time.
BUCKET_S: Final = 1.0


class LivenessTerms(msgspec.Struct, frozen=True):
    """When silence is a fault, and what is done then.

    Attributes:
        silence_s: So long no news must have come although there were bids, and
        silence_bids: so many bids must have been made meanwhile; 0 means that silence is no fault.
        slow_micros_per_s: What bids to a silent exchange may reserve.
    """

    silence_s: float = 120.0
    silence_bids: int = 500
    slow_micros_per_s: int = 100_000


class Change(NamedTuple):
    """A source has become silent, or is heard again: ``silent_s`` is None then."""

    source: str
    bids: int
    silent_s: float | None


class _Source:
    """One where news should come from."""

    __slots__ = ("at_s", "bids", "is_silent", "is_told", "name", "since_s", "tokens")

    def __init__(self, name: str) -> None:
        self.name = name
        self.bids = 0
        self.since_s = 0.0
        self.is_silent = self.is_told = False
        self.tokens = 0.0
        self.at_s = 0.0

    def asked(self, now_s: float) -> None:
        """Count a bid of which there should be news."""
        if not self.bids:
            self.since_s = now_s
        self.bids += 1

    def heard(self) -> None:
        """Count from here on."""
        self.bids = 0
        self.is_silent = False

    def fill(self, micros_per_s: float, now_s: float) -> None:
        """Let the money of the time since the last call in."""
        most = micros_per_s * BUCKET_S
        self.tokens = min(most, self.tokens + micros_per_s * (now_s - self.at_s))
        self.at_s = now_s


class Liveness:
    """Whether the exchanges and the ledger are heard of. It outlives the budget manager.

    Args:
        terms: When silence is a fault.
    """

    def __init__(self, terms: LivenessTerms | None = None) -> None:
        self._terms = terms or LivenessTerms()
        self._ledger = _Source(LEDGER)
        self._exchanges: dict[str, _Source] = {}
        self._by_key: dict[str, _Source] = {}
        self._is_slow = False

    def reserved(self, key: str, exchange: str, micros: int, now_s: float) -> None:
        """Note that money was set aside for a bid: there should be news of it."""
        source = self._exchanges.get(exchange) or self._make(exchange)
        source.asked(now_s)
        self._ledger.asked(now_s)
        by_key = self._by_key
        if len(by_key) >= MOST_BIDS:
            del by_key[next(iter(by_key))]
        by_key[key] = source
        if self._is_slow:
            for slow in self._slow(source):
                slow.tokens -= micros

    def heard(self, key: str) -> None:
        """Note that the fate of a bid was told, good or bad."""
        source = self._by_key.pop(key, None)
        if source is not None:
            source.heard()

    def heard_ledger(self) -> None:
        """Note that the ledger has told how money stands."""
        self._ledger.heard()

    def may_spend(self, exchange: str, now_s: float) -> bool:
        """Return whether a bid to this exchange may be made now, as far as news is concerned.

        One bid may be larger than what is let in, so the next ones wait until that is made good.
        """
        if not self._is_slow:
            return True
        source = self._exchanges.get(exchange) or self._exchanges.get(OTHERS)
        for slow in self._slow(source):
            slow.fill(self._terms.slow_micros_per_s, now_s)
            if slow.tokens <= 0.0:
                return False
        return True

    def look(self, now_s: float) -> list[Change]:
        """Return what has changed since the last look. Call some times per second."""
        changes = []
        for source in self._sources():
            if not source.is_silent and self._is_overdue(source, now_s):
                source.is_silent = True
                source.tokens, source.at_s = 0.0, now_s
            if source.is_silent != source.is_told:
                source.is_told = source.is_silent
                silent_s = now_s - source.since_s if source.is_silent else None
                changes.append(Change(source.name, source.bids, silent_s))
        self._is_slow = any(source.is_silent for source in self._sources())
        return changes

    def silent(self) -> list[str]:
        """Return the names of those who are not heard of."""
        return [source.name for source in self._sources() if source.is_silent]

    def _make(self, exchange: str) -> _Source:
        if len(self._exchanges) >= MOST_EXCHANGES:
            exchange = OTHERS
        return self._exchanges.setdefault(exchange, _Source(exchange))

    def _is_overdue(self, source: _Source, now_s: float) -> bool:
        least = self._terms.silence_bids
        return 0 < least <= source.bids and now_s - source.since_s >= self._terms.silence_s

    def _sources(self) -> Iterator[_Source]:
        yield self._ledger
        yield from self._exchanges.values()

    def _slow(self, source: _Source | None) -> Iterator[_Source]:
        """Yield those whose silence slows bids down: the exchange's, and the ledger's all."""
        if self._ledger.is_silent:
            yield self._ledger
        if source is not None and source.is_silent:
            yield source
