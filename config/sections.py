"""What settings are made of: the kinds of values, and the group that they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LAST_PORT = 65_535

Port = Annotated[int, Field(ge=0, le=LAST_PORT)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]


def _absolute(path: Path) -> Path:
    # A background node leaves the folder it was started in, so a relative path would move.
    return path.expanduser().absolute()


def _absolute_if_any(name: str) -> str:
    return str(_absolute(Path(name))) if name else ""


def _not_blank(value: object) -> object:
    # A variable that a script forgot to fill must not make a node of the current folder, or open
    # its sockets to all the world.
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty; fill it, or leave the setting out")
    return value


def _listed(value: object) -> object:
    # The environment and the command line hold text only: "a, b" is a list of two.
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone {name!r}; write it as Europe/Berlin, or UTC") from error
    return name


def _some_above_0(weights: tuple[float, ...]) -> tuple[float, ...]:
    if max(weights) <= 0:
        raise ValueError("all weights are 0; at least one hour must have some")
    return weights


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Gain = Annotated[float, Field(ge=0, allow_inf_nan=False)]
HourWeights = Annotated[
    tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...],
    BeforeValidator(_listed),
    Field(min_length=24, max_length=24),
    AfterValidator(_some_above_0),
]
Purposes = Annotated[tuple[Annotated[int, Field(ge=1, le=24)], ...], BeforeValidator(_listed)]
FileName = Annotated[str, AfterValidator(_absolute_if_any)]
Timezone = Annotated[str, AfterValidator(_known_zone)]
Host = Annotated[str, BeforeValidator(_not_blank)]
Folder = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_absolute)]


class Section(BaseModel):
    """A group of settings: frozen, and closed to keys that it doesn't know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
    )
