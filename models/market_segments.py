"""The facts of an impression by which market prices differ, as columns of a sparse one-hot row.

Unknown countries and categories have a column of their own, so every impression has exactly five.
"""

from __future__ import annotations

from typing import Final

from models.opportunity import CATEGORY_COUNT, DEVICE_KINDS, FORMATS

#: Countries that have a column; all others share one.
MARKET_COUNTRIES: Final = ("USA", "GBR", "DEU", "FRA", "CAN", "AUS", "BRA", "IND", "JPN", "ESP")

_COUNTRY_AT: Final = 1 + len(FORMATS)
_DEVICE_AT: Final = _COUNTRY_AT + len(MARKET_COUNTRIES) + 1
_CATEGORY_AT: Final = _DEVICE_AT + len(DEVICE_KINDS)

#: Number of columns: a constant, formats, countries + other, devices, categories + unknown.
SEGMENT_COUNT: Final = _CATEGORY_AT + CATEGORY_COUNT + 1

_FORMAT_COLUMNS: Final = {name: 1 + index for index, name in enumerate(FORMATS)}
_COUNTRY_COLUMNS: Final = {name: _COUNTRY_AT + i for i, name in enumerate(MARKET_COUNTRIES)}
_DEVICE_COLUMNS: Final = {name: _DEVICE_AT + index for index, name in enumerate(DEVICE_KINDS)}
_OTHER_COUNTRY: Final = _DEVICE_AT - 1
_OTHER_DEVICE: Final = _CATEGORY_AT - 1


def segment_columns(
    media: str, country: str, device_kind: str, category: int | None
) -> tuple[int, int, int, int, int]:
    """Return the columns that are 1 for an impression.

    Args:
        media: Format of the placement.
        country: ISO-3166-1 alpha-3, ``""`` = unknown.
        device_kind: One of `DEVICE_KINDS`.
        category: Index of the content category, ``None`` = unknown.
    """
    return (
        0,
        _FORMAT_COLUMNS[media],
        _COUNTRY_COLUMNS.get(country, _OTHER_COUNTRY),
        _DEVICE_COLUMNS.get(device_kind, _OTHER_DEVICE),
        SEGMENT_COUNT - 1 if category is None else _CATEGORY_AT + category,
    )
