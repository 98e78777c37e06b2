"""The addresses by which a shown ad tells us what became of it.

OpenRTB 2.6, section 4.4 (macros) and section 7.8 (what bills): the exchange, or whoever shows the
ad, puts values in for ``${...}``; we put in the bid's name, once it is known.
"""

from __future__ import annotations

from typing import Final

MARK: Final = "${BID_NAME}"
"""Stands for the bid's signed name, which has only characters that no markup needs to escape."""

NOWHERE: Final = "about:blank"
"""What an address that must be there leads to if there is nothing to tell (VAST 4.2, 3.4.5)."""

PRICE: Final = "&p=${AUCTION_PRICE}"
CURRENCY: Final = "&c=${AUCTION_CURRENCY}"
MULTIPLIER: Final = "&n=${AUCTION_MULTIPLIER}"
LOSS: Final = "&r=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}"


class Trackers:
    """The addresses of one node, with `MARK` where a bid's name belongs.

    Args:
        base_url: Where notices are taken over HTTP, without a slash at the end.
        in_markup: Whether markup may hold them. Without TLS of ours it may not where the placement
            is ``secure``; then links lead to the landing page itself, and views are not told.

    Attributes:
        win: For ``nurl``.
        loss: For ``lurl``.
        billing: For ``burl`` and, in VAST, for the impression.
        view: An image of one pixel; its being fetched is a view.
        click: Counts a click and goes on to the landing page of the bid's ad.
        in_markup: As given.
    """

    __slots__ = ("billing", "click", "in_markup", "loss", "view", "win")

    def __init__(self, base_url: str, *, in_markup: bool = True) -> None:
        self.in_markup = in_markup
        name = f"?b={MARK}"
        self.win = f"{base_url}/notice/win{name}{PRICE}{CURRENCY}"
        self.loss = f"{base_url}/notice/loss{name}{PRICE}{LOSS}{CURRENCY}"
        self.billing = f"{base_url}/notice/billing{name}{PRICE}{MULTIPLIER}{CURRENCY}"
        self.view = f"{base_url}/view{name}"
        self.click = f"{base_url}/click{name}"

    def link(self, landing_url: str) -> str:
        """Return where a click on an ad leads first."""
        return self.click if self.in_markup else landing_url or NOWHERE
