"""Trains the profiler on histories of the sample world: guess the category of the next event.

Full softmax over the 26 categories with cosine scores. Every step cuts its histories at a random
place, so that the model learns to say something after one event and after twenty. Training also
makes the default profiles: the mean vector of the users of each segment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from torch.nn import functional

from models.evaluation import Interval, mean_interval
from models.market.logs import histories
from models.market.world import COUNTRIES, World
from models.opportunity import CATEGORY_COUNT, DEVICE_KINDS
from models.profiler.events import MAX_EVENTS, PAD, VECTOR_DIM
from models.profiler.network import ProfilerNetwork
from models.profiler.runtime import NAME, SCHEMA
from models.registry import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.market.world import Floats, Ints, Users


class ProfilerSettings(msgspec.Struct, frozen=True):
    """How training runs.

    Attributes:
        users: Histories to learn from.
        steps: Gradient steps.
        batch: Histories per step.
        rate: Peak learning rate of Adam; it falls to zero along a half cosine.
        test_users: Histories to measure on.
        segment_users: People of whom the default profiles are the means.
    """

    users: int = 40_000
    steps: int = 1_000
    batch: int = 512
    rate: float = 4e-3
    test_users: int = 8_000
    segment_users: int = 60_000


class ProfilerResult(msgspec.Struct, frozen=True):
    """What training made.

    Attributes:
        trained: Weights and metrics, ready for the registry.
        network: The network itself, in evaluation mode.
        table: Metrics of the model and of simple baselines on the same test users.
    """

    trained: Trained
    network: ProfilerNetwork
    table: Mapping[str, Mapping[str, Interval]]


def train_profiler(seed: int, settings: ProfilerSettings | None = None) -> ProfilerResult:
    """Train and measure a profiler.

    Args:
        seed: Of users, initial weights and order.
        settings: How long; by default about half a minute.
    """
    how = settings or ProfilerSettings()
    rng = np.random.default_rng((seed, 10))
    world = World()
    learn = histories(world.people(how.users, rng), MAX_EVENTS + 1, rng)
    people = world.people(how.test_users, rng)
    test = histories(people, MAX_EVENTS + 1, rng)
    network = _fit(learn, how, rng, seed)
    table = _measure(network, learn, test, people, rng)
    metrics = {
        f"{row}_{name}": cell.mean for row, cells in table.items() for name, cell in cells.items()
    }
    tensors = {name: t.detach().numpy() for name, t in network.state_dict().items()}
    trained = Trained(name=NAME, schema=SCHEMA, seed=seed, tensors=tensors, metrics=metrics)
    return ProfilerResult(trained, network, table)


def _fit(
    learn: Ints, how: ProfilerSettings, rng: np.random.Generator, seed: int
) -> ProfilerNetwork:
    """Return a network fitted to histories."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ProfilerNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=how.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.steps)
    for _ in range(how.steps):
        tokens, target = _cut(learn[rng.integers(0, len(learn), how.batch)], rng)
        logits = network.scores(network(torch.from_numpy(tokens)))
        loss = functional.cross_entropy(logits, torch.from_numpy(target))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


def _cut(whole: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Cut histories at a random place.

    Args:
        whole: Tokens, shape ``(N, 21)``.
        rng: Source of chance.

    Returns:
        What came before, padded on the left, shape ``(N, 20)``, and the category of what came next,
        ``(N,)``.
    """
    length = rng.integers(1, MAX_EVENTS + 1, len(whole))  # events before the cut
    columns = np.arange(MAX_EVENTS) - MAX_EVENTS + length[:, None]  # (N, 20)
    rows = np.arange(len(whole))
    tokens = np.where(columns >= 0, whole[rows[:, None], np.maximum(columns, 0)], PAD)
    return tokens, (whole[rows, length] - 1) % CATEGORY_COUNT


def _measure(
    network: ProfilerNetwork, learn: Ints, test: Ints, people: Users, rng: np.random.Generator
) -> dict[str, dict[str, Interval]]:
    """Return rank metrics of the model and its baselines on the same cuts of the test histories."""
    tokens, target = _cut(test, rng)
    before, after = _cut(learn, rng)
    popular = np.bincount(after, minlength=CATEGORY_COUNT).astype(np.float64)
    moves = np.zeros((CATEGORY_COUNT, CATEGORY_COUNT))
    np.add.at(moves, ((before[:, -1] - 1) % CATEGORY_COUNT, after), 1.0)
    with torch.inference_mode():
        model = network.scores(network(torch.from_numpy(tokens))).numpy().astype(np.float64)
    counts = _counts(tokens, 1.0)
    share = popular / popular.sum()
    rows = {
        "popularity": np.broadcast_to(share, counts.shape),
        "last_to_next": moves[(tokens[:, -1] - 1) % CATEGORY_COUNT],
        "own_counts": counts + share,
        "recent_counts": _counts(tokens, 0.8) + 0.5 * share,
        "narm": model,
        "true_taste": people.tastes,
    }
    table = {name: _rank_metrics(_ranks(scores, target)) for name, scores in rows.items()}
    gain = 1.0 / _ranks(model, target) - 1.0 / _ranks(rows["recent_counts"], target)
    table["narm"]["mrr_gain_over_recent_counts"] = mean_interval(gain)
    return table


def _counts(tokens: Ints, decay: float) -> Floats:
    """Return how often each category is in each history, shape ``(N, C)``.

    Args:
        tokens: Padded on the left, shape ``(N, 20)``.
        decay: What an event is worth for each event that followed it.
    """
    counts = np.zeros((len(tokens), CATEGORY_COUNT))
    worth = decay ** np.arange(MAX_EVENTS - 1, -1, -1.0)
    rows, columns = np.nonzero(tokens != PAD)
    np.add.at(counts, (rows, (tokens[rows, columns] - 1) % CATEGORY_COUNT), worth[columns])
    return counts


def _ranks(scores: Floats, target: Ints) -> Floats:
    """Return the place of the right category, 1 = first; ties count as half lost."""
    own = scores[np.arange(len(target)), target][:, None]
    return np.asarray(1.0 + (scores > own).sum(axis=1) + 0.5 * ((scores == own).sum(axis=1) - 1))


def _rank_metrics(rank: Floats) -> dict[str, Interval]:
    """Return hit rates and mean reciprocal rank."""
    hits = {f"hit_at_{k}": mean_interval((rank <= k).astype(np.float64)) for k in (1, 5)}
    return {**hits, "mrr": mean_interval(1.0 / rank)}


def default_profiles(
    network: ProfilerNetwork, seed: int, settings: ProfilerSettings | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the mean vector of the users of each segment that has enough of them.

    Args:
        network: A trained profiler.
        seed: Of the users that are asked.
        settings: How many of them.

    Returns:
        Vectors of length 1 by segment as `config.profiles.segment_of` names it.
    """
    rng = np.random.default_rng((seed, 11))
    people = World().people((settings or ProfilerSettings()).segment_users, rng)
    events = histories(people, MAX_EVENTS + 1, rng)
    with torch.inference_mode():
        vectors = network(torch.from_numpy(events[:, :-1])).numpy()  # (U, D)
    page = (events[:, -1] - 1) % CATEGORY_COUNT
    return _segment_means(vectors, people, page)


def _segment_means(
    vectors: NDArray[np.float32], people: Users, page: Ints
) -> dict[str, NDArray[np.float32]]:
    """Return mean vectors of segments, coarse ones always, fine ones where there is evidence."""
    from config.profiles import segment_of

    sums: dict[str, NDArray[np.float32]] = {}
    sizes: dict[str, int] = {}
    for row, vector in enumerate(vectors):
        country, kind = COUNTRIES[people.country[row]], DEVICE_KINDS[people.device[row]]
        category = int(page[row])
        for name in (
            segment_of("", "", None),
            segment_of("", "", category),
            segment_of("", kind, category),
            segment_of(country, kind, None),
            segment_of(country, kind, category),
        ):
            sums[name] = sums.get(name, np.zeros(VECTOR_DIM, np.float32)) + vector
            sizes[name] = sizes.get(name, 0) + 1
    enough = {name: total for name, total in sums.items() if sizes[name] >= 120}
    return {name: total / np.linalg.norm(total) for name, total in sorted(enough.items())}
