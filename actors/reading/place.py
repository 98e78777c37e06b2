"""Our place in the market: what one has to know of ourselves to read a request.

Principle: the same request means different things to different buyers. Who we are to the consent
framework, which currencies we can count in, through whom we buy: all of it is made once at the
start and handed in, so that reading a request stays a pure function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from config.rates import DOLLAR, DOLLAR_MICROS, WatchedRates
from transport.logs import get_logger

if TYPE_CHECKING:
    from config.settings import Settings
    from supervision.clock import Clock
    from transport.openrtb import SupplyChain, SupplyChainNode


class Rates(Protocol):
    """What currencies are worth."""

    def micros_of(self, code: str) -> float | None:
        """Return what one unit of a currency is worth in micros of USD, None if not known."""
        ...


class DollarsOnly:
    """Rates of who has none: a dollar is a dollar."""

    def micros_of(self, code: str) -> float | None:
        """Return a million for dollars, None for all else."""
        return DOLLAR_MICROS if code == DOLLAR else None


class SupplyRules(msgspec.Struct, frozen=True):
    """Through whom we buy (the SupplyChain object, OpenRTB 2.6, section 3.2.25).

    Attributes:
        refuses_incomplete: A chain that says that sellers are missing is refused.
        blocked: Sellers that nothing is bought through: ``asi`` or ``asi/sid``, lower case.
    """

    refuses_incomplete: bool = True
    blocked: frozenset[str] = frozenset()

    def complaint(self, chain: SupplyChain) -> str | None:
        """Return ``incomplete_schain``, ``blocked_seller``, or None where we may buy.

        A chain without sellers, or with one that is not named, is not complete whatever it says.
        """
        nodes = chain.nodes
        if self.blocked and any(self._is_blocked(node) for node in nodes):
            return "blocked_seller"
        if not self.refuses_incomplete:
            return None
        whole = chain.complete == 1 and bool(nodes) and all(node.asi and node.sid for node in nodes)
        return None if whole else "incomplete_schain"

    def _is_blocked(self, node: SupplyChainNode) -> bool:
        system = node.asi.lower()
        return system in self.blocked or f"{system}/{node.sid.lower()}" in self.blocked


class Reading(msgspec.Struct, frozen=True):
    """By what a request is read.

    Attributes:
        vendor_id: Our number in the Global Vendor List; 0 = nobody can consent to us.
        consent_purposes: Purposes of the TCF that a user must have consented to.
        interest_purposes: Purposes for which a legitimate interest is enough.
        needs_consent: Without leave to use personal data there is no bid at all.
        supply: Through whom we buy.
        rates: What currencies are worth.
    """

    vendor_id: int = 0
    consent_purposes: tuple[int, ...] = (1, 3, 4)
    interest_purposes: tuple[int, ...] = (2, 7)
    needs_consent: bool = False
    supply: SupplyRules = SupplyRules()
    rates: Rates = DollarsOnly()


def reading_of(settings: Settings, rates: Rates) -> Reading:
    """Return what a node's settings say of us.

    Args:
        settings: Of the node.
        rates: What currencies are worth.
    """
    privacy, supply = settings.privacy, settings.supply
    return Reading(
        vendor_id=privacy.vendor_id,
        consent_purposes=privacy.consent_purposes,
        interest_purposes=privacy.interest_purposes,
        needs_consent=privacy.without_consent == "no_bid",
        supply=SupplyRules(
            supply.incomplete_chain == "refuse",
            frozenset(name.lower() for name in supply.blocked_sellers),
        ),
        rates=rates,
    )


def watched_rates(settings: Settings, clock: Clock, bidder: str) -> WatchedRates:
    """Return the exchange rates of a node's settings, renewed when their file is.

    A table that turns faulty is told of in the log, and the last good one stays.

    Args:
        settings: Of the node.
        clock: Seconds that never run back.
        bidder: Whose log.

    Raises:
        ConfigError: There is no good table to begin with.
    """
    market, log = settings.market, get_logger(bidder=bidder)
    return WatchedRates(
        market.rate_file,
        market.rates_check_s,
        clock,
        lambda error: log.error("rates_faulty", reason=str(error)),
    )


def answer_currency(cur: tuple[str, ...], rates: Rates) -> tuple[str, float]:
    """Choose the currency of an answer: dollars if they are taken, else the first with a rate.

    Args:
        cur: The currencies that the exchange takes; empty = dollars (OpenRTB 2.6, section 3.2.1).
        rates: What currencies are worth.

    Returns:
        The code and what a unit is worth in micros of USD, ``("", 0)`` if there is none.
    """
    if not cur or DOLLAR in cur:
        return DOLLAR, DOLLAR_MICROS
    for code in cur:
        micros = rates.micros_of(code)
        if micros:
            return code, micros
    return "", 0
