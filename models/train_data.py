"""What selector and optimizer learn from: users as the profiler sees them.

Training sees users exactly as serving does: through their events and the profiler, or through the
default profile when nothing is known. The truth of the world is only used to say what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from config.profiles import load_default_profiles
from models.market.logs import histories
from models.market.world import COUNTRIES, Floats, Users, World
from models.opportunity import DEVICE_KINDS
from models.profiler.events import MAX_EVENTS
from models.profiler.runtime import ProfilerModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK: Final = 2048
_UNKNOWN_SHARE: Final = 0.2


class KnownUsers(msgspec.Struct, frozen=True):
    """A population with what a bidder knows of it.

    Attributes:
        people: The truth.
        vectors: As the profiler or the default profiles give them, shape ``(U, 16)``.
    """

    people: Users
    vectors: Floats


def known_users(profiler: Path, world: World, count: int, rng: np.random.Generator) -> KnownUsers:
    """Draw users with histories of all lengths and return their vectors.

    Args:
        profiler: Folder of the profiler's weights; default profiles lie beside the folder when it
            was trained there.
        world: The truth.
        count: How many users.
        rng: Source of chance.
    """
    people = world.people(count, rng)
    events = histories(people, MAX_EVENTS, rng)
    lengths = rng.integers(1, MAX_EVENTS + 1, count)
    model = ProfilerModel.load(profiler)
    sequences = [row[:length].tolist() for row, length in zip(events, lengths, strict=True)]
    parts = [model.infer(sequences[at : at + _CHUNK]) for at in range(0, count, _CHUNK)]
    vectors = np.concatenate(parts).astype(np.float64)
    unknown = rng.random(count) < _UNKNOWN_SHARE
    vectors[unknown] = _defaults(profiler, people, events[:, -1])[unknown]
    return KnownUsers(people, vectors)


def _defaults(profiler: Path, people: Users, last: NDArray[np.int64]) -> Floats:
    """Return everyone's default profile, given the page they look at, shape ``(U, 16)``."""
    beside = profiler.parent / "profiles.toml"
    profiles = load_default_profiles(beside if beside.exists() else None)
    rows = zip(people.country, people.device, (last - 1) % 26, strict=True)
    return np.array(
        [profiles.vector(COUNTRIES[c], DEVICE_KINDS[d], int(page)) for c, d, page in rows],
        dtype=np.float64,
    )
