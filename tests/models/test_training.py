"""Training: one small run of all three models in their order, repeatable, into one folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.profiles import load_default_profiles
from models import TRAINABLE
from models.errors import UnknownModelError
from models.market.world import World
from models.profiler.events import VECTOR_DIM
from models.registry import load_manifest, weights_folder
from models.selector.thompson import ThompsonSelector
from models.training import folder_of, train

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="oracle"):
        train("oracle", 1, tmp_path)


def test_models_that_were_trained_in_the_folder_come_before_shipped_ones(tmp_path: Path) -> None:
    assert folder_of("profiler", tmp_path) == weights_folder("profiler")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_all_models_train_in_order_and_serve_from_their_folder(tmp_path: Path) -> None:
    reports = {name: train(name, 5, tmp_path, scale=0.004) for name in TRAINABLE}
    for name, report in reports.items():
        assert load_manifest(tmp_path / name) == report.manifest
        assert folder_of(name, tmp_path) == tmp_path / name
        assert report.table
    profiles = load_default_profiles(tmp_path / "profiles.toml")
    assert profiles.profiler_version == reports["profiler"].manifest.version
    assert ThompsonSelector.load(tmp_path / "selector").version


@pytest.mark.slow
def test_the_same_seed_trains_the_same_selector(tmp_path: Path) -> None:
    versions = [
        train("selector", seed, tmp_path / str(run), scale=0.002).manifest.version
        for run, seed in enumerate((3, 3, 4))
    ]
    assert versions[0] == versions[1] != versions[2]


def test_shipped_models_beat_their_baselines() -> None:
    metrics = {name: load_manifest(weights_folder(name)).metrics for name in TRAINABLE}
    profiler, selector, optimizer = (metrics[name] for name in TRAINABLE)
    assert profiler["narm_mrr"] > profiler["recent_counts_mrr"]
    assert selector["thompson_auc"] > selector["ad_average_auc"]
    assert selector["thompson_gain_over_ad_average"] > 0
    assert optimizer["first_shaded_gain_over_70_percent"] > 0
    assert 0.9 < optimizer["value_model_value_ratio"] < 1.1


def test_vectors_and_the_world_have_the_same_size_by_design() -> None:
    assert World().category_places.shape == (26, VECTOR_DIM)
