"""All learning advertisers of the arena at once, as a PettingZoo environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.arena.arena import OBSERVED, open_arena
from models.arena.spaces import HIGHEST, MISSING, Singles, rewards, seen
from models.errors import ModelError

try:
    import gymnasium
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise ModelError(MISSING.format("gymnasium and pettingzoo")) from error

if TYPE_CHECKING:
    from models.arena.arena import Arena
    from models.arena.landscapes import Landscapes
    from models.arena.settings import ArenaSettings


class ParallelArena(ParallelEnv[str, Singles, Singles]):
    """A run of learning advertisers against each other and against those that do not learn.

    Agents are called ``advertiser_N``. Observations, actions and rewards are those of
    `models.arena.env.ArenaEnv`; each agent is rewarded by its own surplus.

    Args:
        settings: Of the arena.
        landscapes: Prices of the rest of the market; None takes made-up ones.

    Raises:
        ValueError: No advertiser learns.
    """

    metadata: dict[str, Any] = {"name": "arena_v0", "render_modes": []}  # noqa: RUF012 - as above

    def __init__(self, settings: ArenaSettings, landscapes: Landscapes | None = None) -> None:
        self.settings = settings
        self._landscapes = landscapes
        kinds = enumerate(settings.kinds)
        self._seats = {f"advertiser_{row}": row for row, kind in kinds if kind == "learning"}
        if not self._seats:
            raise ValueError(f"one of the kinds must be learning, not only {settings.kinds}")
        self.possible_agents = list(self._seats)
        self.agents: list[str] = []
        self._rng = np.random.default_rng()
        self._arena: Arena | None = None
        shape, agents = (len(OBSERVED),), self.possible_agents
        self._views_of = {each: gymnasium.spaces.Box(-HIGHEST, HIGHEST, shape) for each in agents}
        self._moves_of = {each: gymnasium.spaces.Box(-1.0, 1.0, (1,)) for each in agents}

    def observation_space(self, agent: str) -> gymnasium.spaces.Box:
        """Return the space of an agent's observations; always the same object."""
        return self._views_of[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Box:
        """Return the space of an agent's actions; always the same object."""
        return self._moves_of[agent]

    @property
    def arena(self) -> Arena:
        """The arena of the run.

        Raises:
            ValueError: There was no reset yet.
        """
        if self._arena is None:
            raise ValueError("call reset() first")
        return self._arena

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - of the interface
    ) -> tuple[dict[str, Singles], dict[str, dict[str, Any]]]:
        """Begin a run.

        Args:
            seed: Of the traffic of this run, and of the runs after it that are given none.
            options: None are known.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        run = int(self._rng.integers(2**31))
        self._arena = open_arena(self.settings, run, self._landscapes)
        self.agents = list(self.possible_agents)
        return self._views(), {agent: {"run": run} for agent in self.agents}

    def step(
        self, actions: dict[str, Singles]
    ) -> tuple[
        dict[str, Singles],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Bid for a tick.

        Args:
            actions: In [-1, 1], shape ``(1,)``, of each agent.
        """
        moves = np.zeros(self.settings.advertisers)
        for agent, action in actions.items():
            moves[self._seats[agent]] = float(np.asarray(action).reshape(-1)[0])
        tick = self.arena.step(self.settings.bound * np.clip(moves, -1.0, 1.0))
        views, earned, done = self._views(), rewards(self.arena, tick), self.arena.done
        agents = self.agents
        result = (
            views,
            {agent: float(earned[self._seats[agent]]) for agent in agents},
            dict.fromkeys(agents, done),
            dict.fromkeys(agents, False),
            {agent: {"cost": float(tick.cost[self._seats[agent]])} for agent in agents},
        )
        if done:
            self.agents = []
        return result

    def state(self) -> Singles:
        """Return what all advertisers observe, for a critic that sees all, shape ``(A * F,)``."""
        return seen(self.arena).ravel()

    def _views(self) -> dict[str, Singles]:
        all_of_them = seen(self.arena)
        return {agent: all_of_them[self._seats[agent]] for agent in self.agents}
