"""Makes the shipped models again: one function, one name, one folder.

`bidwright train MODEL` calls `train`. The models build on each other (the selector uses the
profiler's vectors, the optimizer the selector's chances); each takes the ones before it from the
output folder when they were trained there, else those that ship.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from models import TRAINABLE
from models.errors import UnknownModelError
from models.evaluation import Interval
from models.registry import MANIFEST_FILE, Manifest, save, weights_folder

if TYPE_CHECKING:
    from pathlib import Path


#: Seed of the shipped weights.
SHIPPED_SEED: Final = 7

#: Torch threads while training; two cores are what everyone has.
TRAINING_THREADS: Final = 2


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

    torch.set_num_threads(min(TRAINING_THREADS, torch.get_num_threads()))
    runs = {"profiler": _profiler, "selector": _selector, "optimizer": _optimizer}
    return runs[name](seed, out_dir, scale)


def folder_of(name: str, out_dir: Path) -> Path:
    """Return where a model is: in the output folder when it was trained there, else as shipped."""
    own = out_dir / name
    return own if (own / MANIFEST_FILE).exists() else weights_folder(name)


def _profiler(seed: int, out_dir: Path, scale: float) -> Report:
    from config.profiles import format_profiles
    from models.train_profiler import ProfilerSettings, default_profiles, train_profiler

    usual = ProfilerSettings()
    how = msgspec.structs.replace(
        usual, users=_scaled(usual.users, scale), steps=_scaled(usual.steps, scale)
    )
    result = train_profiler(seed, how)
    folder = out_dir / "profiler"
    manifest = save(result.trained, folder)
    vectors = default_profiles(result.network, seed)
    plain = {segment: tuple(float(x) for x in vector) for segment, vector in vectors.items()}
    text = format_profiles(plain, manifest.version)
    (out_dir / "profiles.toml").write_text(text, encoding="utf-8")
    return Report(manifest, result.table, str(folder))


def _selector(seed: int, out_dir: Path, scale: float) -> Report:
    from models.train_selector import SelectorSettings, train_selector

    usual = SelectorSettings()
    how = msgspec.structs.replace(usual, impressions=_scaled(usual.impressions, scale))
    result = train_selector(seed, folder_of("profiler", out_dir), how)
    manifest = save(result.trained, out_dir / "selector")
    return Report(manifest, result.table, str(out_dir / "selector"))


def _optimizer(seed: int, out_dir: Path, scale: float) -> Report:
    from models.train_optimizer import OptimizerSettings, train_optimizer

    usual = OptimizerSettings()
    how = msgspec.structs.replace(usual, impressions=_scaled(usual.impressions, scale))
    folders = (folder_of("profiler", out_dir), folder_of("selector", out_dir))
    result = train_optimizer(seed, folders, how)
    manifest = save(result.trained, out_dir / "optimizer")
    return Report(manifest, result.table, str(out_dir / "optimizer"))


def _scaled(amount: int, scale: float) -> int:
    return max(1, round(amount * scale))
