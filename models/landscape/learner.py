"""A contextual model of the price to beat, fitted to wins and losses.

Discrete-time survival (Tutz and Schmid 2016, chapter 3): the hazard of bin k for an auction x is

    logit h_k(x) = a_k + u(x) + v(x) . b_k

with a baseline ``a``, a shift ``u`` and R factors ``v`` (both sums over what is known of the
auction, as in a factorisation machine) and their loadings ``b``, so that context can move prices as
well as bend their curve. The likelihood of a win is that of its price's bin, of a loss that of all
prices from the bid on; where a win reveals no price (first price) it is that of all below the bid.
Ridge penalties stand for ignorance, and neighbouring bins are drawn together, which carries the
curve on above the highest bid.

Letters: N auctions, F facts of each, V facts in all, K bins, R factors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.landscape.survival import win_chances

if TYPE_CHECKING:
    from models.landscape.survival import Auctions, Floats, Ints

_MOST: Final = 1.0 - 1e-6


class LandscapeSettings(msgspec.Struct, frozen=True):
    """How the model is made and fitted.

    Attributes:
        width: Prices in a bin.
        bins: K.
        factors: R.
        ridge: Weight of the squared effects of facts.
        smooth: Weight of the squared differences between neighbouring bins.
        steps: Of Adam, over all auctions each.
        rate: Learning rate.
    """

    width: int = 5
    bins: int = 60
    factors: int = 3
    ridge: float = 3.0
    smooth: float = 30.0
    steps: int = 250
    rate: float = 0.03

    @property
    def highest(self) -> int:
        """The highest price that the bins reach."""
        return self.width * self.bins


class LandscapeNetwork(nn.Module):
    """Log-odds of hazards from facts.

    Args:
        facts: V; fact 0 means "not known".
        settings: Of the model.
    """

    def __init__(self, facts: int, settings: LandscapeSettings) -> None:
        super().__init__()
        self.baseline = nn.Parameter(torch.full((settings.bins,), -3.0))  # a: (K,)
        self.effects = nn.Embedding(facts, 1 + settings.factors, padding_idx=0)  # u and v: (V, 1+R)
        self.loadings = nn.Parameter(
            0.1 * torch.randn(settings.factors, settings.bins)
        )  # b: (R, K)
        with torch.no_grad():
            self.effects.weight.normal_(0.0, 0.01)
            self.effects.weight[0].zero_()

    def forward(self, facts: Tensor) -> Tensor:
        """Return the log-odds of hazards.

        Args:
            facts: Indexes, int64, shape ``(N, F)``.

        Returns:
            Shape ``(N, K)``.
        """
        moved: Tensor = self.effects(facts).sum(dim=1)  # (N, 1 + R)
        return self.baseline + moved[:, :1] + moved[:, 1:] @ self.loadings

    def penalty(self, settings: LandscapeSettings) -> Tensor:
        """Return what ignorance costs, to be divided by the number of auctions."""
        rough = self.baseline.diff().square().sum() + self.loadings.diff(dim=1).square().sum()
        ridge = self.effects.weight.square().sum()
        return settings.ridge * ridge + settings.smooth * rough + 0.1 * self.loadings.square().sum()


class Landscape:
    """A fitted model of the price to beat.

    Args:
        network: With its weights.
        settings: Of the model.
    """

    def __init__(self, network: LandscapeNetwork, settings: LandscapeSettings) -> None:
        self._network = network.eval()
        self.settings = settings

    def win_chances(self, facts: Ints) -> Floats:
        """Return the chance to win by bid, ``W(b)`` for b = 0..H.

        Args:
            facts: Indexes, shape ``(N, F)``.

        Returns:
            Shape ``(N, H + 1)``.
        """
        with torch.inference_mode():
            hazards = torch.sigmoid(self._network(torch.from_numpy(facts))).double().numpy()
        return win_chances(hazards, self.settings.width, self.settings.highest)


def fit_landscape(
    facts: Ints, auctions: Auctions, count: int, settings: LandscapeSettings, seed: int
) -> Landscape:
    """Fit the model by maximum penalised likelihood.

    Args:
        facts: Indexes below ``count``, 0 for "not known", shape ``(N, F)``.
        auctions: What was seen.
        count: V.
        settings: Of the model.
        seed: Of the first weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LandscapeNetwork(count, settings)
    rows = torch.from_numpy(facts)
    seen = tuple(torch.tensor(each) for each in (auctions.bid, auctions.won, auctions.price))
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate)
    for _ in range(settings.steps):
        chance = log_likelihood(network(rows), *seen, width=settings.width)
        loss = network.penalty(settings) / len(facts) - chance.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Landscape(network, settings)


def log_likelihood(
    logits: Tensor, bid: Tensor, won: Tensor, price: Tensor, *, width: int
) -> Tensor:
    """Return the log-likelihood of what was seen of each auction.

    Args:
        logits: Log-odds of hazards, shape ``(N, K)``.
        bid: Shape ``(N,)``.
        won: 0 or 1, shape ``(N,)``.
        price: -1 where it was not revealed, shape ``(N,)``.
        width: Prices in a bin.

    Returns:
        Shape ``(N,)``; a revealed price counts with its density within the bin.
    """
    ends, stays = functional.logsigmoid(logits), functional.logsigmoid(-logits)  # (N, K)
    alive = torch.cat([torch.zeros_like(stays[:, :1]), stays.cumsum(dim=1)], dim=1)  # (N, K + 1)
    lost = _log_survival(alive, ends, bid, width)
    unseen = torch.log1p(-lost.exp().clamp(max=_MOST))
    at = (price.clamp(min=0) // width).clamp(max=logits.shape[1] - 1)[:, None]
    revealed = (alive.gather(1, at) + ends.gather(1, at)).squeeze(1) - math.log(width)
    return torch.where(won == 0, lost, torch.where(price >= 0, revealed, unseen))


def _log_survival(alive: Tensor, ends: Tensor, bid: Tensor, width: int) -> Tensor:
    """Return ``log S(bid)``, the price being spread evenly within its bin; shape ``(N,)``."""
    at = (bid // width).clamp(max=ends.shape[1] - 1)[:, None]
    share = ((bid[:, None] - at * width).to(ends.dtype) / width).clamp(max=1.0)
    part = torch.log1p(-(share * ends.gather(1, at).exp()).clamp(max=_MOST))
    return (alive.gather(1, at) + part).squeeze(1)


def density_loss(chances: Floats, price: Ints) -> Floats:
    """Return the negative log-probability of true prices (ANLP's terms), shape ``(N,)``.

    Args:
        chances: ``W(b)``, shape ``(N, H + 1)``.
        price: Shape ``(N,)``, below H.
    """
    rows = np.arange(len(price))
    mass = chances[rows, price + 1] - chances[rows, price]
    loss: Floats = -np.log(np.maximum(mass, 1e-12))
    return loss
