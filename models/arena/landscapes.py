"""Distributions of the price to beat, and the bid that pays best against them.

Letters: L landscapes, Q quantiles, N auctions, V values, P prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from models.arena.auction import grains
from models.errors import EvaluationError
from models.market.world import Floats, Ints

if TYPE_CHECKING:
    from pathlib import Path

_QUANTILES: Final = 4_096
_CAMPAIGNS: Final = 9
_VALUES: Final = 257
#: Shading looks at one of so many quantiles.
_EACH: Final = 8
#: Highest value that shading is tabled for, in highest prices; above it the bid stays.
_HIGHEST_VALUE: Final = 4.0
HISTOGRAMS: Final = "ipinyou_price_histograms/train_market_price_hist.parquet"


class Landscapes(msgspec.Struct, frozen=True):
    """Price distributions.

    Attributes:
        names: Of the landscapes, length L.
        quantiles: Prices, in grains, at the middle of each of Q equal parts, rising, ``(L, Q)``.
    """

    names: tuple[str, ...]
    quantiles: Floats

    @property
    def mean_price(self) -> float:
        """Mean price over all landscapes, each counted once."""
        return float(self.quantiles.mean())

    def prices(self, of: Ints, luck: Floats) -> Floats:
        """Return prices by inverse transform.

        Args:
            of: Which landscape, shape ``(N,)``.
            luck: Uniform in [0, 1), shape ``(N,)``.
        """
        count = self.quantiles.shape[1]
        return np.asarray(self.quantiles[of, (luck * count).astype(np.int64)])  # (N,)

    def best_bids(self) -> tuple[Floats, Floats]:
        """Return the bid of most surplus against the mixture of all landscapes, by value.

        It maximises ``(v - b) F(b)``, with F the chance that the price to beat is at most b.

        Returns:
            Values, shape ``(V,)``, and bids, shape ``(V,)``, for interpolation.
        """
        step = _EACH * len(self.names)
        prices = np.sort(self.quantiles.ravel())[step - 1 :: step]  # (P,)
        wins = (np.arange(len(prices)) + 1.0) / len(prices)  # (P,)
        values = np.linspace(0.0, _HIGHEST_VALUE * prices[-1], _VALUES)  # (V,)
        surplus = (values[:, None] - prices) * wins  # (V, P)
        best = surplus.argmax(axis=1)
        worth_it = surplus[np.arange(_VALUES), best] > 0.0
        return values, np.where(worth_it, prices[best], values)


def from_histogram(counts: Floats) -> Floats:
    """Return quantiles of whole prices 0, 1, 2, ... with these counts, shape ``(Q,)``."""
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    share = np.cumsum(counts) / counts.sum()
    return np.searchsorted(share, levels).astype(np.float64)


def synthetic_landscapes(seed: int = 0) -> Landscapes:
    """Return nine made-up landscapes: log-normal with a spike at a floor, as exchanges have.

    Args:
        seed: Other landscapes.
    """
    rng = np.random.default_rng((seed, 9))
    rows = []
    for _ in range(_CAMPAIGNS):
        centre, spread = rng.uniform(3.6, 4.5), rng.uniform(0.5, 0.9)
        floor = np.exp(centre - rng.uniform(0.6, 1.2))
        levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        normal = np.quantile(rng.normal(size=_QUANTILES), levels)
        rows.append(grains(np.clip(np.exp(centre + spread * normal), floor, 300.0)))
    return Landscapes(tuple(f"made {row}" for row in range(_CAMPAIGNS)), np.array(rows))


def read_landscapes(folder: Path) -> Landscapes:
    """Read recorded landscapes: a column of counts for each campaign, by price.

    Args:
        folder: With `HISTOGRAMS`, or with its file alone.

    Raises:
        EvaluationError: The file is missing or is not one.
    """
    import pyarrow.parquet as pq

    path = folder / HISTOGRAMS
    if not path.exists():
        path = folder / HISTOGRAMS.rpartition("/")[2]
    try:
        table = pq.read_table(path).sort_by("market_price")
        names = tuple(name for name in table.column_names if name.isdigit())
        counts = [np.asarray(table[name], dtype=np.float64) for name in names]
    except (OSError, KeyError, ValueError) as error:
        raise EvaluationError(
            f"{path}: {error}; give the folder with {HISTOGRAMS}: market_price 0, 1, 2, ... and a"
            " column of counts for each campaign"
        ) from error
    if not names or any(column.sum() <= 0 for column in counts):
        raise EvaluationError(f"{path}: no campaign has counts of prices; give another folder")
    return Landscapes(names, np.array([from_histogram(column) for column in counts]))
