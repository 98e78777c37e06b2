"""How large a lease is asked for: what was spent lately, at the pace at which it was spent.

Principle: a lease should last for its life at the campaign's present pace, and as much again, so
that a second bidder, a day with little traffic or a campaign that is held back locks up little.
Pacing acts on bids, and what bids reserve is what is counted here, so a campaign that is slowed
asks for less at its next lease. A rise counts at once, a fall by halves. How much of what is left
one lease may be is the ledger's rule, for only the ledger knows what others hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

#: A lease is asked for that lasts so many lives of a lease.
LIVES: Final = 2.0
#: Spend is measured over at least this share of a lease's life.
LEAST_SHARE: Final = 0.1


class LeaseSizes(NamedTuple):
    """Bounds of what is asked for: the life of a lease, its least and its largest size."""

    lease_s: float
    least_micros: int
    max_micros: int


@dataclass(slots=True)
class Demand:
    """What is reserved of one campaign, in micros, and how fast.

    Attributes:
        taken_micros: Reserved since the last lease was asked for.
        since_s: When that was; below 0 none was.
        micros_per_s: What was reserved lately.
    """

    taken_micros: int = 0
    since_s: float = -1.0
    micros_per_s: float = 0.0

    def next_size(self, sizes: LeaseSizes, first_micros: int, now_s: float) -> int:
        """Return how large a lease to ask for now, and count from here on.

        Args:
            sizes: The bounds.
            first_micros: The size of the first one.
            now_s: The present moment.
        """
        if self.since_s < 0.0:
            self.since_s = now_s
            return min(first_micros, sizes.max_micros)
        span_s = max(now_s - self.since_s, LEAST_SHARE * sizes.lease_s)
        rate = self.taken_micros / span_s
        self.micros_per_s = max(rate, (rate + self.micros_per_s) / 2)
        self.taken_micros, self.since_s = 0, now_s
        enough = int(LIVES * sizes.lease_s * self.micros_per_s)
        return min(max(enough, sizes.least_micros), sizes.max_micros)
