"""The arena: many advertisers against each other in repeated auctions, drawn in whole batches.

A day is drawn at once from a seed (`traffic`), then played tick by tick (`arena`): what the
advertisers do changes who wins, and nothing else. The same seed is the same traffic and the same
luck whatever they do, so any two ways to bid can be compared pair by pair.

Amounts are in the units of the price landscapes (fen per mille for the recorded ones).
"""

from __future__ import annotations

from models.arena.arena import OBSERVED, Arena, Tick, Totals, open_arena
from models.arena.landscapes import Landscapes, read_landscapes, synthetic_landscapes
from models.arena.settings import ArenaSettings
from models.arena.traffic import Traffic, draw_traffic

__all__ = [
    "OBSERVED",
    "Arena",
    "ArenaSettings",
    "Landscapes",
    "Tick",
    "Totals",
    "Traffic",
    "draw_traffic",
    "open_arena",
    "read_landscapes",
    "synthetic_landscapes",
]
