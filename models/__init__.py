"""What the agents know: networks, bandits, pricing, rules, training, and the market simulator.

No actor and no socket lives here. This package imports nothing by itself: the submodules that need
numpy or torch are imported by whoever uses them, so that naming a model costs nothing.

* `models.opportunity`, `models.eligibility`, `models.fraud`, `models.oversight`: the facts and the
  hard rules.
* `models.profiler`, `models.selector`, `models.optimizer`: what is learnt.
* `models.registry`: weights on disk, with checksums. `models.training`: how they are made again.
* `models.market`: the seeded sample world.
"""

from __future__ import annotations

#: Models that have trained weights, in the order in which they are trained (each may need the ones
#: before it).
TRAINABLE = ("profiler", "selector", "optimizer")

__all__ = ["TRAINABLE"]
