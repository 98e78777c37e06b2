"""Layers of settings as plain data: read them, flatten them, merge them, know where each is from.

Pure except for :func:`read_toml`. A layer is a flat table ``{"gateway.port": value}`` with a name;
merging keeps for each key the value of the last layer and that layer's name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ENV_PREFIX = "BIDWRIGHT_"
ENV_SEPARATOR = "__"


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings.

    Attributes:
        values: Dotted key to value.
        sources: Dotted key to the words that tell a person where the value was written.
    """

    values: Mapping[str, object]
    sources: Mapping[str, str]


def read_toml(path: Path) -> dict[str, object]:
    """Return the tables of a TOML file.

    Raises:
        ConfigError: The file can't be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"can't read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def flatten(tables: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested tables as one table with dotted keys."""
    flat: dict[str, object] = {}
    for key, value in tables.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def nest(flat: Mapping[str, object]) -> dict[str, object]:
    """Return a table with dotted keys as nested tables; the inverse of :func:`flatten`.

    Raises:
        ConfigError: A key is both a value and a table.
    """
    tables: dict[str, object] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        table: dict[str, object] = tables
        for depth, parent in enumerate(parents, start=1):
            inner = table.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise _both(".".join(parents[:depth]), inner)
            table = inner
        if isinstance(table.get(last), dict):
            raise _both(name, value)
        table[last] = value
    return tables


def _both(name: str, value: object) -> ConfigError:
    return ConfigError(f"{name} is given both as a section and as the value {value!r}")


def table_layer(tables: Mapping[str, object], source: str) -> Layer:
    """Return nested tables as a layer whose every value comes from ``source``."""
    flat = flatten(tables)
    return Layer(values=flat, sources=dict.fromkeys(flat, source))


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """Return the settings in the environment.

    ``BIDWRIGHT_GATEWAY__PORT`` is ``gateway.port``. Names without a double underscore are not
    settings, and are left alone.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENV_PREFIX) or ENV_SEPARATOR not in variable:
            continue
        key = variable.removeprefix(ENV_PREFIX).lower().replace(ENV_SEPARATOR, ".")
        values[key] = text
        sources[key] = f"environment variable {variable}"
    return Layer(values=values, sources=sources)


def merge(layers: Iterable[Layer]) -> Layer:
    """Return one layer in which later layers win, key by key."""
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        values.update(layer.values)
        sources.update(layer.sources)
    return Layer(values=values, sources=sources)
