"""Plays bandits on a log of decisions: what would each have earned, learning as it goes?

The log is cut into batches in the order of time. Before each batch every bandit, having learnt from
all earlier ones, says with which chance it takes each arm; the logged decisions then tell its value
by SNIPS and by DR (the model of rewards also knows earlier batches only). The first fifth is for
learning. Rewards that are no chances are brought to [0, 1] for that, and told in their own unit.

Beside it, replay by rejection (Li et al., WSDM 2011): a bandit of its own sees only the decisions
that it would have made itself, each kept with chance ``pi(a) min(p) / p(a)``: a simulation without
any model, of fewer decisions.

*The best fixed arm* is the one that looked best before each batch, so no rule knows more than
another; the one that is best in hindsight is shown, too. *The gate* follows the contextual bandit
with the highest gain over the best fixed arm whose lower bound (95 %, one side) on all batches so
far is above 0, and else the best fixed arm.

Letters: N decisions, K arms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from models.bandits.bernoulli import BernoulliThompson
from models.bandits.linear import LinearThompson, LinUCB
from models.bandits.policy import Feedback, Floats, Ints, Policy
from models.evaluation import Interval, mean_interval
from models.offpolicy.estimators import Evidence, doubly_robust, importance_weights, snips
from models.offpolicy.intervals import Gate, bootstrap, effective_sample, lower_bound
from models.offpolicy.reward import expected_rewards, fit_rewards

if TYPE_CHECKING:
    from models.offpolicy.logs import Decisions

BATCHES: Final = 50
WARM_UP: Final = 10  # batches
#: The model of rewards is fitted to at most so many of the latest decisions.
_RECENT: Final = 40_000
_ONE_SIDE_95: Final = 1.644854

RANDOM: Final = "random"
FIXED: Final = "best fixed arm"
HINDSIGHT: Final = "best fixed arm in hindsight"
GATED: Final = "gate"
GREEDY: Final = ", greedy"

Make = Callable[[int, np.random.Generator], Policy]

#: The bandits that are played.
BANDITS: Final[Mapping[str, Make]] = {
    "bernoulli thompson": BernoulliThompson,
    "linucb": lambda arms, _: LinUCB(arms),
    "linear thompson": LinearThompson,
}


class Row(msgspec.Struct, frozen=True):
    """What one policy earns.

    Attributes:
        policy: Its name.
        value: Reward a decision by SNIPS, with its bootstrap interval.
        doubly_robust: The same by DR.
        at_least: Lower bound of the DR value by empirical Bernstein, 95 %, one side.
        over_fixed: Gain over the best fixed arm, by DR, paired.
        over_random: Gain over chance, by DR, paired.
        gate: Effective sample, and whether it is enough.
        replayed: Reward a decision by rejection; none where it was not played.
        accepted: Decisions that rejection kept.
    """

    policy: str
    value: Interval
    doubly_robust: Interval
    at_least: float
    over_fixed: Interval
    over_random: Interval
    gate: Gate
    replayed: Interval | None = None
    accepted: int = 0


class Report(msgspec.Struct, frozen=True):
    """All that was measured on one log.

    Attributes:
        log: Its name.
        decisions: N.
        valued: Decisions of which values are told (the rest is for learning).
        arms: K.
        places: Places of context.
        uniform: The log was made by even chance.
        columns: Which column was taken for what.
        left_out: Columns of context that say nothing.
        followed: Share of valued decisions in which the gate followed a contextual bandit.
        policies: One row each.
    """

    log: str
    decisions: int
    valued: int
    arms: int
    places: int
    uniform: bool
    columns: Mapping[str, str]
    left_out: tuple[str, ...]
    followed: float
    policies: tuple[Row, ...]


class Played(msgspec.Struct):
    """What progressive play recorded of the valued decisions.

    Attributes:
        chances: Chance of the logged arm, by policy; each of shape ``(N,)`` at the end.
        q_policy: The model's mean reward under the policy, by policy; the same shape.
        q_logged: The model's reward of the logged arm.
        followed: Whether the gate followed a contextual bandit.
    """

    chances: dict[str, Floats]
    q_policy: dict[str, Floats]
    q_logged: Floats
    followed: Floats


def evaluate_log(
    name: str, log: Decisions, seed: int, bandits: Mapping[str, Make] = BANDITS
) -> Report:
    """Play bandits on a log.

    Args:
        name: Of the log.
        log: The decisions.
        seed: Of the bandits' chance and of resamples.
        bandits: Name and maker of each.
    """
    low, span = float(log.rewards.min()), float(np.ptp(log.rewards)) or 1.0
    if low >= 0.0 and log.rewards.max() <= 1.0:
        low, span = 0.0, 1.0
    scaled = msgspec.structs.replace(log, rewards=(log.rewards - low) / span)
    start = _start(len(log.rewards))
    played = play(scaled, bandits, np.random.default_rng((seed, 70)))
    replayed = {
        policy: replay(scaled, make, np.random.default_rng((seed, 71, number)))
        for number, (policy, make) in enumerate(bandits.items())
    }
    rows = _rows(scaled, played, start, np.random.default_rng((seed, 72)))
    roles = msgspec.structs.asdict(log.roles)
    return Report(
        log=name,
        decisions=len(log.rewards),
        valued=len(log.rewards) - start,
        arms=len(log.arms),
        places=len(log.places),
        uniform=bool(np.ptp(log.propensities) < 1e-3 / len(log.arms)),
        columns={role: each for role, each in roles.items() if isinstance(each, str) and each},
        left_out=log.left_out,
        followed=float(played.followed.mean()),
        policies=tuple(_in_unit(_with(row, replayed), low, span) for row in rows),
    )


def _batches(count: int) -> list[Ints]:
    return np.array_split(np.arange(count), min(BATCHES, count))


def _start(count: int) -> int:
    """Return the first valued decision."""
    return int(_batches(count)[min(WARM_UP, count - 1)][0])


def feedback_of(log: Decisions, rows: Ints) -> Feedback:
    """Return some decisions as bandits learn from them."""
    return Feedback(log.contexts[rows], log.actions[rows], log.rewards[rows])


def play(log: Decisions, bandits: Mapping[str, Make], rng: np.random.Generator) -> Played:
    """Let bandits learn from all earlier batches and speak on the next.

    Args:
        log: With rewards in [0, 1].
        bandits: Name and maker of each.
        rng: Source of chance.
    """
    arms, count = len(log.arms), len(log.rewards)
    made = {name: make(arms, rng.spawn(1)[0]) for name, make in bandits.items()}
    fixed = BernoulliThompson(arms, rng.spawn(1)[0], forgetting=1.0)
    record = _Record(log, start=_start(count))
    for rows in _batches(count):
        if rows[0] >= record.start:
            record.batch(rows, fixed, made)
        feedback = feedback_of(log, rows)
        for each in (fixed, *made.values()):
            each.update(feedback)
    return record.played()


class _Record:
    """Collects what policies say of batches, and holds the gate and the model of rewards."""

    def __init__(self, log: Decisions, start: int) -> None:
        self.start = start
        self._log = log
        self._chances: dict[str, list[Floats]] = {}
        self._q_policy: dict[str, list[Floats]] = {}
        self._q_logged: list[Floats] = []
        self._followed: list[Floats] = []
        self._gains: dict[str, list[Floats]] = {}
        self._weights: Floats | None = None
        self._fitted_at = 0

    def batch(self, rows: Ints, fixed: Policy, made: Mapping[str, Policy]) -> None:
        """Note what every policy would do in a batch."""
        log, arms = self._log, len(self._log.arms)
        contexts = log.contexts[rows]
        q = expected_rewards(self._model(int(rows[0])), contexts, arms)  # (n, K)
        said = {RANDOM: np.full((len(rows), arms), 1.0 / arms)}
        said[FIXED] = _sure(fixed.best(contexts), arms)
        for name, each in made.items():
            said[name] = each.probabilities(contexts)
            if name != BernoulliThompson.name:
                said[name + GREEDY] = _sure(each.best(contexts), arms)
        follow = self._best_gain()
        said[GATED] = said[follow]
        self._followed.append(np.full(len(rows), float(follow != FIXED)))
        self._note(rows, said, q)

    def _model(self, first: int) -> Floats:
        """Return the model of rewards, fitted anew when half as much more is known."""
        if self._weights is None or first >= 1.5 * self._fitted_at:
            rows = np.arange(max(0, first - _RECENT), first)
            seen = feedback_of(self._log, rows)
            self._weights = fit_rewards(
                seen.contexts, seen.actions, seen.rewards, len(self._log.arms)
            )
            self._fitted_at = first
        return self._weights

    def _note(self, rows: Ints, said: Mapping[str, Floats], q: Floats) -> None:
        at = np.arange(len(rows))
        action = self._log.actions[rows]
        surprise = (self._log.rewards[rows] - q[at, action]) / self._log.propensities[rows]
        terms = {}
        for name, chances in said.items():
            chance, mean = chances[at, action], np.einsum("nk,nk->n", chances, q)
            self._chances.setdefault(name, []).append(chance)
            self._q_policy.setdefault(name, []).append(mean)
            terms[name] = mean + chance * surprise
        for name in said:
            if name.endswith(GREEDY):
                self._gains.setdefault(name, []).append(terms[name] - terms[FIXED])
        self._q_logged.append(q[at, action])

    def _best_gain(self) -> str:
        """Return the contextual bandit that is surely better than the best fixed arm, or that."""
        sure = {name: _sure_gain(np.concatenate(each)) for name, each in self._gains.items()}
        best = max(sure, key=sure.__getitem__, default=FIXED)
        return best if sure.get(best, 0.0) > 0.0 else FIXED

    def played(self) -> Played:
        """Return all that was noted."""
        return Played(
            {name: np.concatenate(each) for name, each in self._chances.items()},
            {name: np.concatenate(each) for name, each in self._q_policy.items()},
            np.concatenate(self._q_logged),
            np.concatenate(self._followed),
        )


def _sure(arm: Ints, arms: int) -> Floats:
    """Return chances of 1 for the given arms, shape ``(n, K)``."""
    return np.asarray(np.eye(arms)[arm])


def _sure_gain(gains: Floats) -> float:
    half = _ONE_SIDE_95 * float(gains.std()) / np.sqrt(len(gains))
    return float(gains.mean() - half)


def replay(log: Decisions, make: Make, rng: np.random.Generator) -> Floats:
    """Return the rewards of the decisions that a bandit would have made itself, in their order.

    Args:
        log: With rewards in [0, 1].
        make: Makes the bandit.
        rng: Source of chance.
    """
    policy = make(len(log.arms), rng.spawn(1)[0])
    least = float(log.propensities.min())
    kept = []
    for rows in _batches(len(log.rewards)):
        chances = policy.probabilities(log.contexts[rows])
        own = chances[np.arange(len(rows)), log.actions[rows]]
        luck = rng.random(len(rows))
        mine = rows[luck < own * least / log.propensities[rows]]
        policy.update(feedback_of(log, mine))
        kept.append(log.rewards[mine])
    return np.concatenate(kept)


def _rows(log: Decisions, played: Played, start: int, rng: np.random.Generator) -> list[Row]:
    """Return a row for each policy."""
    rewards, propensities = log.rewards[start:], log.propensities[start:]
    seen = {
        name: Evidence(
            importance_weights(chances, propensities),
            rewards,
            played.q_logged,
            played.q_policy[name],
        )
        for name, chances in played.chances.items()
    }
    terms = {name: doubly_robust(each) for name, each in seen.items()}
    seen[HINDSIGHT] = _hindsight(log, start)
    terms[HINDSIGHT] = snips(seen[HINDSIGHT])
    return [
        Row(
            policy=name,
            value=bootstrap(snips(each), rng),
            doubly_robust=bootstrap(terms[name], rng),
            at_least=lower_bound(terms[name], float(each.weights.max()) + 1.0),
            over_fixed=bootstrap(terms[name] - terms[FIXED], rng),
            over_random=bootstrap(terms[name] - terms[RANDOM], rng),
            gate=effective_sample(each.weights),
        )
        for name, each in seen.items()
    ]


def _hindsight(log: Decisions, start: int) -> Evidence:
    """Return the evidence of the arm that did best on the valued decisions (it flatters)."""
    action, rewards = log.actions[start:], log.rewards[start:]
    weight = 1.0 / log.propensities[start:]
    mass = np.bincount(action, weight, len(log.arms))
    earned = np.bincount(action, weight * rewards, len(log.arms))
    best = int((earned / np.maximum(mass, 1e-9)).argmax())
    nothing = np.zeros(len(rewards))
    return Evidence((action == best) * weight, rewards, nothing, nothing)


def _with(row: Row, replayed: Mapping[str, Floats]) -> Row:
    rewards = replayed.get(row.policy)
    if rewards is None or not len(rewards):
        return row
    return msgspec.structs.replace(row, replayed=mean_interval(rewards), accepted=len(rewards))


def _in_unit(row: Row, low: float, span: float) -> Row:
    """Return a row in the rewards' own unit."""

    def value(one: Interval, start: float) -> Interval:
        return Interval(start + span * one.mean, start + span * one.low, start + span * one.high)

    return msgspec.structs.replace(
        row,
        value=value(row.value, low),
        doubly_robust=value(row.doubly_robust, low),
        at_least=low + span * row.at_least,
        over_fixed=value(row.over_fixed, 0.0),
        over_random=value(row.over_random, 0.0),
        replayed=None if row.replayed is None else value(row.replayed, low),
    )
