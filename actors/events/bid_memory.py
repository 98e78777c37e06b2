"""What an event desk remembers of bids: what was decided, and which events it has told.

Principle: bounded and forgetful, oldest first. What is forgotten is told again at worst; money does
not rest on it, because the ledger books a bid's name once for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from transport.messages import Billing, Impression, Loss, Win

if TYPE_CHECKING:
    from actors.messages import Offered
    from transport.messages import Event

ONCE: Final = (Win, Loss, Billing, Impression)
"""Events that a bid has once at most; clicks and conversions may be many."""


class BidMemory:
    """The latest bids of one bidder and what was told of bids.

    Args:
        bids: Bids remembered at most.
        tells_once: Remember what was told, too.
    """

    def __init__(self, bids: int, *, tells_once: bool) -> None:
        self._bids = bids
        self._tells_once = tells_once
        self._offers: OrderedDict[str, Offered] = OrderedDict()
        self._told: OrderedDict[tuple[type[Event], str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._offers)

    def offer(self, offered: Offered) -> None:
        """Remember a bid."""
        self._offers[offered.key] = offered
        if len(self._offers) > self._bids:
            self._offers.popitem(last=False)

    def find(self, key: str) -> Offered | None:
        """Return a bid of this bidder, None if it is another's or forgotten."""
        return self._offers.get(key)

    def forget(self, key: str) -> None:
        """Forget a bid of which nothing more will be heard."""
        self._offers.pop(key, None)

    def was_told(self, event: Event, key: str) -> bool:
        """Remember an event that a bid has once at most; tells whether it was remembered."""
        if not isinstance(event, ONCE) or not self._tells_once:
            return False
        name = (type(event), key)
        if name in self._told:
            return True
        self._told[name] = None
        if len(self._told) > self._bids * len(ONCE):
            self._told.popitem(last=False)
        return False
