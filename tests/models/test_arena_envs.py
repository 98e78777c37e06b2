"""The arena's environments: as their libraries want them, and the arena's own numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium", reason="the extra learn is not installed")
pettingzoo = pytest.importorskip("pettingzoo", reason="the extra learn is not installed")

from gymnasium.utils.env_checker import check_env  # noqa: E402
from pettingzoo.test import parallel_api_test, parallel_seed_test  # noqa: E402

from models.arena import ArenaSettings, open_arena  # noqa: E402
from models.arena.env import ArenaEnv  # noqa: E402
from models.arena.parallel import ParallelArena  # noqa: E402

SMALL = ArenaSettings(
    kinds=("truthful", "paced", "learning", "learning"), auctions=600, users=50, creatives=2
)


def test_gymnasiums_checker_finds_nothing() -> None:
    check_env(ArenaEnv(SMALL), skip_render_check=True)


def test_pettingzoos_checkers_find_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    parallel_api_test(ParallelArena(SMALL), num_cycles=200)
    parallel_seed_test(lambda: ParallelArena(SMALL), num_cycles=10)
    assert "Passed" in capsys.readouterr().out


def test_an_episode_is_a_run_and_its_rewards_are_the_surplus() -> None:
    env = ArenaEnv(SMALL, seat=3)
    _, facts = env.reset(seed=4)
    earned, done, steps = 0.0, False, 0
    while not done:
        _, reward, done, cut, _ = env.step(np.array([0.5], dtype=np.float32))
        earned, steps = earned + reward, steps + 1
        assert not cut
    assert steps == SMALL.ticks
    arena = open_arena(SMALL, facts["run"])
    while not arena.done:
        arena.step(np.array([0.0, 0.0, 0.0, 0.5 * SMALL.bound]))
    unit = arena.budgets[3] / SMALL.ticks
    assert earned == pytest.approx(arena.totals().surplus[3] / unit, rel=1e-6)


def test_opponents_act_too() -> None:
    def low(
        observed: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.full(len(observed), -1.0)

    alone, crowded = ArenaEnv(SMALL, opponents=low), ArenaEnv(SMALL)
    for env in (alone, crowded):
        env.reset(seed=2)
        for _ in range(96):
            env.step(np.zeros(1, dtype=np.float32))
    assert alone.arena.totals().cost[3] != crowded.arena.totals().cost[3]


def test_the_parallel_environment_plays_the_same_run() -> None:
    many, arena = ParallelArena(SMALL), None
    _, facts = many.reset(seed=6)
    arena = open_arena(SMALL, facts["advertiser_2"]["run"])
    while many.agents:
        many.step({agent: np.array([-1.0], dtype=np.float32) for agent in many.agents})
        arena.step(np.full(4, -SMALL.bound))
    np.testing.assert_array_equal(many.arena.totals().cost, arena.totals().cost)
    assert many.state().shape == (4 * many.observation_space("advertiser_2").shape[0],)


def test_a_seat_that_does_not_learn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        ArenaEnv(SMALL, seat=0)
    with pytest.raises(ValueError, match="learning"):
        ParallelArena(ArenaSettings(kinds=("paced",)))
    with pytest.raises(ValueError, match="reset"):
        ArenaEnv(SMALL).step(np.zeros(1, dtype=np.float32))


@pytest.mark.parametrize("module", ["env", "parallel"])
def test_without_the_extra_an_error_says_what_to_install(module: str) -> None:
    code = f"import sys; sys.modules['gymnasium'] = None; import models.arena.{module}"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "ModelError" in ended.stderr
    assert "pip install 'bidwright[learn]'" in ended.stderr
