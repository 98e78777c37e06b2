"""Bandits behind one interface, `policy.Policy`: which arm, with which chance, and learning.

* `bernoulli`: Thompson sampling that knows no context. `linear`: Thompson sampling over an exact
  Bayesian linear model per arm. `linucb`: optimism instead of chance.
* `gaussian`: the exact update they share. `propensity`: chances of arms from draws, with a floor.
"""
