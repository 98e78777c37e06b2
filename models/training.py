"""Makes the shipped models again: one function, one name, one folder.

`bidwright train MODEL` calls `train`. The models build on each other (the selector uses the
profiler's vectors, the optimizer the selector's chances); each takes the ones before it from the
output folder when they were trained there, else those that ship.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from models import TRAINABLE
from models.errors import UnknownModelError
from models.evaluation import Interval
from models.registry import MANIFEST_FILE, Manifest, save, weights_folder

if TYPE_CHECKING:
    from pathlib import Path


#: Seed of the shipped weights.
SHIPPED_SEED: Final = 7

#: Torch threads while training: the networks are too small to gain from more, and one thread adds
#: numbers in one order, so that the same seed makes the same weights.
TRAINING_THREADS: Final = 1

#: Settings that `scale` changes, and the fewest that each becomes.
_AMOUNTS: Final = (
    "users",
    "steps",
    "impressions",
    "choices",
    "auctions",
    "contexts",
    "segment_users",
    "test_users",
    "test_impressions",
    "test_auctions",
)
_FEWEST: Final = 200

Settings = TypeVar("Settings", bound=msgspec.Struct)


class Report(msgspec.Struct, frozen=True):
    """What a training run did.

    Attributes:
        manifest: Of the model as written.
        table: Metrics with intervals, by row (the model and its baselines) and name.
        folder: Where it was written.
    """

    manifest: Manifest
    table: Mapping[str, Mapping[str, Interval]]
    folder: str


def train(name: str, seed: int, out_dir: Path, *, scale: float = 1.0) -> Report:
    """Train one model, measure it beside its baselines, and write it.

    Args:
        name: One of `models.TRAINABLE`.
        seed: The same seed gives the same model on one machine.
        out_dir: The model goes into the folder ``name`` within; the profiler also writes
            ``profiles.toml`` there.
        scale: Share of the usual amount of data and steps, for a quick try.

    Raises:
        UnknownModelError: There is no such model.
        ModelError: A model that this one builds on is missing or broken.
    """
    if name not in TRAINABLE:
        raise UnknownModelError(f"no model {name!r}; there are {', '.join(TRAINABLE)}")
    import torch

    torch.set_num_threads(TRAINING_THREADS)
    runs = {"profiler": _profiler, "selector": _selector, "optimizer": _optimizer}
    return runs[name](seed, out_dir, scale)


def folder_of(name: str, out_dir: Path) -> Path:
    """Return where a model is: in the output folder when it was trained there, else as shipped."""
    own = out_dir / name
    return own if (own / MANIFEST_FILE).exists() else weights_folder(name)


def _profiler(seed: int, out_dir: Path, scale: float) -> Report:
    from config.profiles import format_profiles
    from models.train_profiler import ProfilerSettings, default_profiles, train_profiler

    how = _shrunk(ProfilerSettings(), scale)
    result = train_profiler(seed, how)
    folder = out_dir / "profiler"
    manifest = save(result.trained, folder)
    vectors = default_profiles(result.network, seed, how)
    plain = {segment: tuple(float(x) for x in vector) for segment, vector in vectors.items()}
    text = format_profiles(plain, manifest.version)
    (out_dir / "profiles.toml").write_text(text, encoding="utf-8")
    return Report(manifest, result.table, str(folder))


def _selector(seed: int, out_dir: Path, scale: float) -> Report:
    from models.train_selector import SelectorSettings, train_selector

    how = _shrunk(SelectorSettings(), scale)
    result = train_selector(seed, folder_of("profiler", out_dir), how)
    manifest = save(result.trained, out_dir / "selector")
    return Report(manifest, result.table, str(out_dir / "selector"))


def _optimizer(seed: int, out_dir: Path, scale: float) -> Report:
    from models.train_optimizer import OptimizerSettings, train_optimizer

    how = _shrunk(OptimizerSettings(), scale)
    folders = (folder_of("profiler", out_dir), folder_of("selector", out_dir))
    result = train_optimizer(seed, folders, how)
    manifest = save(result.trained, out_dir / "optimizer")
    return Report(manifest, result.table, str(out_dir / "optimizer"))


def _shrunk(usual: Settings, scale: float) -> Settings:
    """Return settings with all amounts scaled, but never so few that nothing can be learnt."""
    fields = {name: getattr(usual, name) for name in _AMOUNTS if hasattr(usual, name)}
    amounts = {name: max(_FEWEST, round(amount * scale)) for name, amount in fields.items()}
    return msgspec.structs.replace(usual, **amounts)
