"""How numbers of the arena become what environments give and take.

Actions are in [-1, 1], a part of the settings' bound. Rewards are the surplus by the true chances
in units of a tick's budget, so that they are about 1 in size whatever the prices are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.arena.arena import Arena, Tick
    from models.market.world import Floats

Singles = NDArray[np.float32]

#: No number of an observation is further from 0.
HIGHEST: Final = 10.0

MISSING: Final = "the arena's environments need {}: pip install 'bidwright[learn]'"


def seen(arena: Arena) -> Singles:
    """Return what all advertisers observe, cut to `HIGHEST`, shape ``(A, F)``."""
    return np.clip(arena.observe(), -HIGHEST, HIGHEST).astype(np.float32)


def rewards(arena: Arena, tick: Tick) -> Floats:
    """Return each advertiser's surplus in units of a tick's budget, shape ``(A,)``."""
    return np.asarray(tick.surplus / (arena.budgets / arena.settings.ticks))
