"""The sample world: users with latent interests, competitors' prices, clicks and conversions.

Its *truth* (which interests lie close together, how good each ad is, what competitors pay) depends
on one fixed world seed, so that what was learnt in it stays true in every run; its *people and
traffic* depend on the seed of a run. It makes the training data of the shipped models and the
exchange traffic of `bidwright load`.
"""

from __future__ import annotations

from models.market.simulator import MarketSimulator, Outcome
from models.market.world import WORLD_SEED, World

__all__ = ["WORLD_SEED", "MarketSimulator", "Outcome", "World"]
