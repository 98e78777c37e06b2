"""Weights on disk: whole or refused, and each refusal says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models import TRAINABLE
from models.errors import ModelCorruptError, ModelMissingError, UnknownModelError
from models.registry import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Manifest,
    Trained,
    load_manifest,
    load_tensors,
    recall_tensors,
    save,
    spoilt,
    weights_folder,
)

ROOT = Path(__file__).resolve().parents[2]


def trained(value: float = 1.0) -> Trained:
    return Trained(
        name="selector",
        schema=1,
        seed=4,
        tensors={"a": np.full(3, value, np.float32), "b": np.arange(2)},
        metrics={"auc": 0.7},
        labels={"creatives": ["x"]},
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    written = save(trained(), tmp_path / "m")
    manifest, tensors = load_tensors(tmp_path / "m", "selector", 1)
    assert manifest == written
    assert (manifest.seed, manifest.metrics, manifest.labels) == (
        4,
        {"auc": 0.7},
        {"creatives": ["x"]},
    )
    np.testing.assert_array_equal(tensors["a"], np.ones(3, np.float32))


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    versions = [save(trained(value), tmp_path).version for value in (1.0, 2.0, 1.0)]
    assert versions[0] == versions[2] != versions[1]
    assert versions[0].startswith("1.")


def test_a_folder_of_ones_own_counts_for_the_models_that_it_has(tmp_path: Path) -> None:
    save(trained(), tmp_path / "selector")
    assert weights_folder("selector", tmp_path) == tmp_path / "selector"
    assert weights_folder("profiler", tmp_path) == weights_folder("profiler")
    with pytest.raises(UnknownModelError):
        weights_folder("oracle", tmp_path)


def test_what_was_read_whole_stands_in_while_the_files_are_spoilt(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        recall_tensors(tmp_path, "selector", 1)
    save(trained(1.0), tmp_path)
    first, _ = recall_tensors(tmp_path, "selector", 1)
    assert spoilt(tmp_path) is None
    (tmp_path / WEIGHTS_FILE).write_bytes(b"")
    assert recall_tensors(tmp_path, "selector", 1)[0] == first
    assert "not what its manifest says" in str(spoilt(tmp_path))
    written = save(trained(2.0), tmp_path)
    assert recall_tensors(tmp_path, "selector", 1)[0] == written
    assert spoilt(tmp_path) is None


def test_a_missing_model_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="bidwright train selector"):
        load_manifest(tmp_path / "selector")


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    save(trained(), tmp_path)
    weights = tmp_path / WEIGHTS_FILE
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(ModelCorruptError, match="not what its manifest says"):
        load_manifest(tmp_path)


def test_a_lost_file_is_found(tmp_path: Path) -> None:
    save(trained(), tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelCorruptError, match="cannot read"):
        load_manifest(tmp_path)


def test_a_broken_manifest_is_found(tmp_path: Path) -> None:
    save(trained(), tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(ModelCorruptError, match=MANIFEST_FILE):
        load_manifest(tmp_path)


@pytest.mark.parametrize(("name", "schema"), [("profiler", 1), ("selector", 2)])
def test_another_model_or_schema_is_refused(tmp_path: Path, name: str, schema: int) -> None:
    save(trained(), tmp_path)
    with pytest.raises(ModelCorruptError, match="holds 'selector' of schema 1"):
        load_tensors(tmp_path, name, schema)


def test_a_manifest_with_newer_fields_is_still_read(tmp_path: Path) -> None:
    save(trained(), tmp_path)
    path = tmp_path / MANIFEST_FILE
    path.write_text(path.read_text("utf-8").replace("{", '{"newer": 1,', 1), encoding="utf-8")
    assert isinstance(load_manifest(tmp_path), Manifest)


@pytest.mark.parametrize("name", TRAINABLE)
def test_shipped_weights_are_whole_and_small(name: str) -> None:
    folder = weights_folder(name)
    assert load_manifest(folder).name == name
    assert sum(file.stat().st_size for file in folder.iterdir()) < 120_000


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UnknownModelError, match="profiler, selector, optimizer"):
        weights_folder("oracle")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("models", ("numpy", "torch", "msgspec")),
        (
            "models.opportunity, models.eligibility, models.fraud, models.oversight",
            ("numpy", "torch"),
        ),
        ("models.profiler.events, config.profiles, models.registry", ("numpy", "torch")),
        ("models.selector.thompson, models.optimizer.pricing, models.market", ("torch",)),
    ],
)
def test_an_import_brings_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"
