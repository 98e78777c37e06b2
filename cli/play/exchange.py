"""Hold the auction for one answered request and say what happened, as events for the bidder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cli.play.answers import cpm_of, micros_of
from transport.messages import Billing, Click, Conversion, Impression, Loss, Win

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.play.summary import Tally
    from cli.play.traffic import Ask
    from transport.messages import Event
    from transport.openrtb import Bid


class Outcome(Protocol):
    """What the market says about one auction; prices in micros per impression."""

    @property
    def won(self) -> bool:
        """Whether our bid won."""

    @property
    def price_micros(self) -> int:
        """The clearing price; what would have won when we lost."""

    @property
    def clicked(self) -> bool:
        """Whether the ad was clicked."""

    @property
    def converted(self) -> bool:
        """Whether the user did what the advertiser wants."""

    @property
    def loss_code(self) -> int:
        """OpenRTB's loss reason, 0 for a win."""


class Market(Protocol):
    """Competitors and users: ``models.market`` in a run, a table in a test."""

    def auction(
        self, request: Mapping[str, Any], imp_id: str, bid_micros: int | None, creative_id: str
    ) -> Outcome:
        """Hold the auction of one impression with our bid, or without one."""


class Shared(NamedTuple):
    """The fields that all events of one bid share."""

    key: str
    request_id: str
    imp_id: str
    campaign_id: str
    creative_id: str
    ts: float


def hold_auctions(
    market: Market, ask: Ask, bids: tuple[Bid, ...], tally: Tally, ts: float
) -> list[Event]:
    """Hold the auction of every bid of one answer, count it, and return what happened.

    Args:
        market: Decides the auctions.
        ask: The bid request; the market knows it as its source made it.
        bids: The usable bids of its answer.
        tally: Where wins, losses, clicks and spend are counted.
        ts: Unix time of the auction in seconds, for the events.
    """
    events: list[Event] = []
    for bid in bids:
        outcome = market.auction(ask.origin, bid.impid, micros_of(bid.price), bid.crid)
        request_id = str(ask.request.get("id", ""))
        shared = Shared(bid.id, request_id, bid.impid, bid.cid, bid.crid, ts)
        if outcome.won:
            events += _won(shared, outcome, tally)
        else:
            tally.losses += 1
            price = cpm_of(outcome.price_micros) if outcome.price_micros else None
            loss = Loss(**shared._asdict(), loss_code=outcome.loss_code, min_to_win_cpm=price)
            events.append(loss)
    return events


def _won(shared: Shared, outcome: Outcome, tally: Tally) -> list[Event]:
    same = {**shared._asdict(), "price_cpm": cpm_of(outcome.price_micros)}
    tally.wins += 1
    tally.spend_micros += outcome.price_micros
    events: list[Event] = [Win(**same), Billing(**same), Impression(**same)]
    if outcome.clicked:
        tally.clicks += 1
        events.append(Click(**same))
    if outcome.converted:
        tally.conversions += 1
        events.append(Conversion(**same))
    return events
