"""What a notice means: whether it books money and how much, whether it is late, or too old.

Principle: pure rules on what was signed and what was told. The bill is what books spend (OpenRTB
2.6, section 7.8: ``burl``); a win notice alone is no promise that anything was shown. Of a price
that cannot be read nothing is guessed: it is booked at what we offered, and said to be unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from config.rates import DOLLAR, DOLLAR_MICROS, MICROS_PER_CPM
from transport.messages import Billing, Click, Conversion, Impression, Loss, Win

if TYPE_CHECKING:
    from config.settings import Settings
    from transport.messages import Event
    from transport.notices import NoticeKey

MAX_CPM: Final = 1_000_000.0
"""No price is above it; what claims to be is nonsense, and would not fit into a message."""
AUDIT: Final = "AUDIT"
"""What an exchange puts in for a price where there was no auction."""
_ROUNDING_S: Final = 1.0
"""A bid's time is signed in whole seconds."""
_ROUNDING_MICROS: Final = 1e-6


def _no_rate(_currency: str) -> int | None:
    return None


class NoticeTerms(msgspec.Struct, frozen=True):
    """What is made of notices.

    Attributes:
        books: The notice that books spend.
        window_s: How long after its bid money is kept for it; what comes later is late.
        life_s: How long after its bid anything but a click or conversion is taken.
        click_life_s: How long after its bid a click or conversion is taken.
        rate: Micros of USD for one unit of a currency, None if unknown.
    """

    books: Literal["billing", "win"] = "billing"
    window_s: float = 30.0
    life_s: float = 86_400.0
    click_life_s: float = 2_592_000.0
    rate: Callable[[str], float | None] = _no_rate

    def is_bill(self, event: Event, notice: NoticeKey) -> bool:
        """Tell whether an event books spend; nothing about a test request does."""
        return isinstance(event, Billing if self.books == "billing" else Win) and not notice.test

    def is_exposure(self, event: Event, notice: NoticeKey) -> bool:
        """Tell whether an event means that a user who can be counted has seen the ad."""
        if not notice.user or notice.test:
            return False
        return isinstance(event, Billing | Impression) or self.is_bill(event, notice)

    def is_late(self, event: Event, age_s: float) -> bool:
        """Tell whether money is kept no longer for a bid of this age; clicks are never late."""
        return not isinstance(event, Click | Conversion) and age_s > self.window_s + _ROUNDING_S

    def why_expired(self, event: Event, age_s: float) -> str:
        """Return in words why an event comes too late to be taken at all, "" if it does not."""
        life_s = self.click_life_s if isinstance(event, Click | Conversion) else self.life_s
        if age_s <= life_s + _ROUNDING_S:
            return ""
        return f"expired: the bid was made more than {life_s:g} s ago; it is not taken any more"

    def price_of(self, event: Event, notice: NoticeKey) -> Price:
        """Return what an event says that the bid costs."""
        rate_micros = self._rate_of(event.currency, notice)
        if rate_micros is None:
            return Price(notice.bid_micros, is_known=False)
        quantity = notice.quantity if event.quantity is None else event.quantity
        if not 0.0 < quantity <= notice.quantity:
            quantity = notice.quantity
        return price_micros(
            event.price_cpm, notice.bid_micros, quantity * rate_micros / DOLLAR_MICROS
        )

    def least_price_of(self, loss: Loss, notice: NoticeKey) -> int | None:
        """Return what would have won, in micros of USD, None if the exchange does not say."""
        rate_micros = self._rate_of(loss.currency, notice)
        if loss.min_to_win_cpm is None or rate_micros is None:
            return None
        factor = notice.quantity * rate_micros / DOLLAR_MICROS
        least = price_micros(loss.min_to_win_cpm, 0, factor)
        return least.micros if least.is_known else None

    def _rate_of(self, currency: str, notice: NoticeKey) -> float | None:
        """Return the worth of one unit of a notice's currency in micros of USD.

        A bid was made in one currency, whose rate it carries; an exchange that names another one
        names dollars, or what the table of rates knows.
        """
        if not currency:
            return notice.currency_micros
        if currency == DOLLAR:
            return DOLLAR_MICROS
        if notice.currency_micros != DOLLAR_MICROS:
            return notice.currency_micros
        return self.rate(currency)


def terms_of(settings: Settings, rate: Callable[[str], float | None] = _no_rate) -> NoticeTerms:
    """Return a node's terms.

    Args:
        settings: Of the node.
        rate: Micros of USD for one unit of a currency, None if unknown.
    """
    notices = settings.notices
    return NoticeTerms(
        notices.books, settings.money.win_window_s, notices.life_s, notices.click_life_s, rate
    )


class Price(NamedTuple):
    """A price in micros of USD for all of a bid; not known: it is what we offered."""

    micros: int
    is_known: bool


def price_micros(price_cpm: float | str | None, otherwise_micros: int, factor: float = 1) -> Price:
    """Return a CPM price as micros, rounded up; unknown means ``otherwise_micros``.

    An exchange that does not name its price, or not so that we can read it (encrypted, say), is
    booked at what we offered: the careful side.

    Args:
        price_cpm: As told.
        otherwise_micros: What counts if that is no price.
        factor: Micros that a micro of the told price is worth, over all impressions.
    """
    try:
        cpm = math.nan if price_cpm is None else float(price_cpm)
    except ValueError:
        cpm = math.nan
    if not 0.0 <= cpm <= MAX_CPM:
        return Price(otherwise_micros, is_known=False)
    return Price(math.ceil(cpm * MICROS_PER_CPM * factor - _ROUNDING_MICROS), is_known=True)


def is_rehearsal(event: Event) -> bool:
    """Tell whether markup was rendered to be looked at, not shown (OpenRTB 2.6, section 4.4)."""
    return isinstance(event.price_cpm, str) and event.price_cpm.upper() == AUDIT


def as_told(
    event: Event, notice: NoticeKey, price: Price, unix_s: float, *, is_late: bool
) -> Event:
    """Return an event as it is recorded: with what we signed, and flags that say what it is worth.

    Args:
        event: As received; what it claims of the bid is not believed.
        notice: Of its bid.
        price: Of ``NoticeTerms.price_of``.
        unix_s: When it came, seconds since 1970.
        is_late: It comes after its bid's window.
    """
    return msgspec.structs.replace(
        event,
        campaign_id=notice.campaign_id,
        creative_id=notice.creative_id,
        lease_id=notice.lease_id,
        price_cpm=_readable(event.price_cpm),
        ts=event.ts or unix_s,
        late=is_late,
        price_unknown=isinstance(event, Win | Billing) and not price.is_known,
        test=notice.test,
    )


def _readable(price_cpm: float | str | None) -> float | None:
    if price_cpm is None:
        return None
    try:
        return float(price_cpm)
    except ValueError:
        return None
