"""One advertiser of the arena as a Gymnasium environment; the others bid as their kinds say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.arena.arena import OBSERVED, open_arena
from models.arena.spaces import HIGHEST, MISSING, Singles, rewards, seen
from models.errors import ModelError

try:
    import gymnasium
except ImportError as error:
    raise ModelError(MISSING.format("gymnasium")) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.arena.arena import Arena
    from models.arena.landscapes import Landscapes
    from models.arena.settings import ArenaSettings
    from models.market.world import Floats

    Opponents = Callable[[Floats], Floats]


class ArenaEnv(gymnasium.Env[Singles, Singles]):
    """A learning advertiser's run.

    An episode is a run; it ends when that does, never before: who has no budget left bids nothing.
    Observations are those of `OBSERVED`. The action moves the advertiser's level, 1 by the whole
    bound. The same seed is the same traffic and the same luck whatever the actions.

    Args:
        settings: Of the arena.
        seat: Which advertiser; None takes the first learning one.
        landscapes: Prices of the rest of the market; None takes made-up ones.
        opponents: Takes all observations, shape ``(A, F)``, and returns actions of all advertisers
            in [-1, 1], shape ``(A,)``; None is 0: the other learning ones are paced.

    Raises:
        ValueError: The seat is not that of a learning advertiser.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as the base class has it

    def __init__(
        self,
        settings: ArenaSettings,
        seat: int | None = None,
        landscapes: Landscapes | None = None,
        opponents: Opponents | None = None,
    ) -> None:
        seats = [number for number, kind in enumerate(settings.kinds) if kind == "learning"]
        if not seats or (seat is not None and seat not in seats):
            raise ValueError(f"seat must be one of the learning advertisers {seats}, not {seat}")
        self.observation_space = gymnasium.spaces.Box(-HIGHEST, HIGHEST, (len(OBSERVED),))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
        self.settings = settings
        self.seat = seats[0] if seat is None else seat
        self._landscapes = landscapes
        self._opponents = opponents
        self._arena: Arena | None = None

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
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Singles, dict[str, Any]]:
        """Begin a run.

        Args:
            seed: Of the traffic of this run, and of the runs after it that are given none.
            options: None are known.
        """
        super().reset(seed=seed, options=options)
        run = int(self.np_random.integers(2**31))
        self._arena = open_arena(self.settings, run, self._landscapes)
        return seen(self._arena)[self.seat], {"run": run}

    def step(self, action: Singles) -> tuple[Singles, float, bool, bool, dict[str, Any]]:
        """Bid for a tick.

        Args:
            action: In [-1, 1], shape ``(1,)``.
        """
        arena, bound = self.arena, self.settings.bound
        ads = self.settings.advertisers
        all_of_them = np.zeros(ads) if self._opponents is None else self._opponents(arena.observe())
        actions = np.array(all_of_them, dtype=np.float64)
        actions[self.seat] = float(np.asarray(action).reshape(-1)[0])
        tick = arena.step(bound * np.clip(actions, -1.0, 1.0))
        facts = {name: float(numbers[self.seat]) for name, numbers in tick._asdict().items()}
        reward = float(rewards(arena, tick)[self.seat])
        return seen(arena)[self.seat], reward, arena.done, False, facts
