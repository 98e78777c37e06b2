"""Trained weights on disk: safetensors, and a manifest that proves that they are whole.

A model is a folder with `weights.safetensors` and `manifest.json`. The manifest is written last, so
a folder with a manifest is complete; loading checks every file's SHA-256 first. The version is
derived from the content, so equal weights have equal versions on every machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from config import fault_points
from models.errors import ModelCorruptError, ModelError, ModelMissingError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[np.generic]]

WEIGHTS_FILE: Final = "weights.safetensors"
MANIFEST_FILE: Final = "manifest.json"
_VERSION_DIGITS: Final = 10

_last_whole: dict[Path, tuple[Manifest, Tensors]] = {}
_spoilt: dict[Path, ModelError] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder of weights holds.

    Attributes:
        name: Which model, one of `models.TRAINABLE`.
        version: Derived from the schema and the content.
        schema: Of the tensors; code that reads them refuses any other.
        seed: From which training started.
        files: SHA-256 in hex by file name.
        metrics: What training measured on data that it had not seen.
        labels: Names of rows of tensors, e.g. creative ids.
    """

    name: str
    version: str
    schema: int
    seed: int
    files: dict[str, str]
    metrics: dict[str, float] = {}
    labels: dict[str, list[str]] = {}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training makes, before it is written.

    Attributes:
        name: Which model.
        schema: Version of the tensors' meaning.
        seed: From which training started.
        tensors: The weights by name.
        metrics: Measured on data that training had not seen.
        labels: Names of rows of tensors.
    """

    name: str
    schema: int
    seed: int
    tensors: dict[str, NDArray[np.generic]]
    metrics: Mapping[str, float]
    labels: Mapping[str, list[str]] = field(default_factory=dict)


def weights_folder(name: str, root: Path | None = None) -> Path:
    """Return the folder of a model's weights.

    Args:
        name: Which model.
        root: Folder with a folder for each model; what it lacks, and all without it, is what ships
            with the project.

    Raises:
        UnknownModelError: There is no such model.
    """
    from models import TRAINABLE

    if name not in TRAINABLE:
        raise UnknownModelError(f"no model {name!r}; there are {', '.join(TRAINABLE)}")
    if root is not None and (root / name).exists():
        return root / name
    return Path(__file__).with_name("weights") / name


def save(trained: Trained, folder: Path) -> Manifest:
    """Write weights and manifest; a reader sees the old model or the new one, never a mixture.

    Args:
        trained: What to write.
        folder: Made if it does not exist; files of an older version are replaced.
    """
    from safetensors.numpy import save as to_bytes

    folder.mkdir(parents=True, exist_ok=True)
    content = to_bytes(dict(sorted(trained.tensors.items())))
    digest = hashlib.sha256(content).hexdigest()
    manifest = Manifest(
        name=trained.name,
        version=f"{trained.schema}.{digest[:_VERSION_DIGITS]}",
        schema=trained.schema,
        seed=trained.seed,
        files={WEIGHTS_FILE: digest},
        metrics=dict(trained.metrics),
        labels=dict(trained.labels),
    )
    # Without its manifest the folder is no model, so a reader in between is told to wait or train.
    (folder / MANIFEST_FILE).unlink(missing_ok=True)
    _replace(folder / WEIGHTS_FILE, content)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    _replace(folder / MANIFEST_FILE, text + b"\n")
    return manifest


def load_manifest(folder: Path) -> Manifest:
    """Read a manifest and check every file that it names.

    Args:
        folder: Of one model.

    Raises:
        ModelMissingError: There is no model in the folder.
        ModelCorruptError: The manifest cannot be read, or a file differs from it.
    """
    path = folder / MANIFEST_FILE
    fault_points.reach("models.load")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise ModelMissingError(f"no {MANIFEST_FILE} in {folder}; {_cure(folder)}") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelCorruptError(f"cannot read {path}: {error}; {_cure(folder)}") from error
    for name, digest in manifest.files.items():
        _check_file(folder / name, digest)
    return manifest


def load_tensors(folder: Path, name: str, schema: int) -> tuple[Manifest, Tensors]:
    """Read a model's manifest and weights.

    Args:
        folder: Of the model.
        name: Which model it must be.
        schema: Which meaning of its tensors the caller understands.

    Returns:
        The manifest, and arrays by name.

    Raises:
        ModelMissingError: There is no model in the folder.
        ModelCorruptError: The files differ from the manifest, or it is another model or schema.
    """
    from safetensors.numpy import load_file

    manifest = load_manifest(folder)
    if (manifest.name, manifest.schema) != (name, schema):
        raise ModelCorruptError(
            f"{folder} holds {manifest.name!r} of schema {manifest.schema},"
            f" not {name!r} of schema {schema}; {_cure(folder)}"
        )
    return manifest, load_file(folder / WEIGHTS_FILE)


def recall_tensors(folder: Path, name: str, schema: int) -> tuple[Manifest, Tensors]:
    """Do as :func:`load_tensors`; while the files are spoilt, return what was last read whole.

    That is by this process, or by one that it was forked from. So weights that spoil on disk harm
    nobody who starts again; who starts for the first time is refused.

    Raises:
        ModelError: As :func:`load_tensors`, and nothing has been read before.
    """
    try:
        _last_whole[folder] = load_tensors(folder, name, schema)
        _spoilt.pop(folder, None)
    except ModelError as error:
        if folder not in _last_whole:
            raise
        _spoilt[folder] = error
    return _last_whole[folder]


def spoilt(folder: Path) -> ModelError | None:
    """Return why :func:`recall_tensors` had to recall when it last read a folder, if it had to."""
    return _spoilt.get(folder)


def _check_file(path: Path, digest: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelCorruptError(f"cannot read {path}: {error}; {_cure(path.parent)}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelCorruptError(f"{path} is not what its manifest says; {_cure(path.parent)}")


def _cure(folder: Path) -> str:
    return f"make it again with: bidwright train {folder.name}"


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
