"""What currencies are worth: a table in the format of Prebid's currency files, read and watched.

    {"dataAsOf": "2026-11-20", "conversions": {"USD": {"EUR": 0.86, "JPY": 154.0}}}

A number says how many units of the inner currency one unit of the outer one buys. Rates that the
file does not give for the dollar itself are worked out over other currencies. All money inside is
micros of USD, so all that anybody asks is what one unit of a currency is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The table that ships with the project.
SAMPLE_RATES = Path(__file__).with_name("rates.json")

DOLLAR: Final = "USD"
DOLLAR_MICROS: Final = 1_000_000
"""What a dollar is worth, in micros of USD."""
MICROS_PER_CPM: Final = 1000
"""What one impression costs at a price of one dollar for a thousand, in micros of USD."""
MOST_BYTES: Final = 1 << 20
_CODE_LETTERS: Final = 3


class _RateFile(msgspec.Struct, frozen=True, rename="camel"):
    """Shape of the file; unknown keys are left alone, because others write it."""

    conversions: dict[str, dict[str, float]]
    data_as_of: str = ""


class RateTable(msgspec.Struct, frozen=True):
    """What currencies are worth at one time.

    Attributes:
        micros: Micros of USD for one unit, by ISO-4217 code.
        as_of: What the file says of its age, "" if it says nothing.
    """

    micros: Mapping[str, float]
    as_of: str = ""

    def micros_of(self, code: str) -> float | None:
        """Return what one unit of a currency is worth in micros of USD, None if not known."""
        return self.micros.get(code)


def load_rates(path: Path | None = None) -> RateTable:
    """Read and check a table of rates.

    Args:
        path: A JSON file; ``None`` is the sample that ships with the project.

    Raises:
        ConfigError: It cannot be read, or breaks a rule; the message names file and place.
    """
    source = path or SAMPLE_RATES
    try:
        with source.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read rates from {source}: {error.strerror}") from error
    return rates_in(content, str(source))


def rates_in(content: bytes, source: str) -> RateTable:
    """Read and check a table of rates that is already in memory.

    Args:
        content: JSON.
        source: What to call it in a complaint.

    Raises:
        ConfigError: It is too large, no such table, or breaks a rule.
    """
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{source}: has more than {MOST_BYTES:,} bytes; is it a rate table?")
    try:
        found = msgspec.json.decode(content, type=_RateFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{source}: {error}; a rate table is "
            '{"dataAsOf": "...", "conversions": {"USD": {"EUR": 0.86}}}'
        ) from error
    _check(found.conversions, source)
    worth = _worth(found.conversions)
    micros = {code: DOLLAR_MICROS * dollars for code, dollars in worth.items()}
    return RateTable(micros, found.data_as_of)


def _check(conversions: Mapping[str, Mapping[str, float]], source: str) -> None:
    for base, quotes in conversions.items():
        for code, rate in ((base, 1.0), *quotes.items()):
            if len(code) != _CODE_LETTERS or not (code.isascii() and code.isupper()):
                raise ConfigError(f"{source}: {code!r} is no currency; codes are like EUR")
            if not (math.isfinite(rate) and 1e-9 <= rate <= 1e9):  # noqa: PLR2004 - sane rates
                raise ConfigError(f"{source}: {base} to {code} is {rate}; a rate is above 0")
    if DOLLAR not in conversions and all(DOLLAR not in each for each in conversions.values()):
        raise ConfigError(f"{source}: nothing in it leads to {DOLLAR}, which all money is kept in")


def _worth(conversions: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return what one unit is worth in dollars, over as few other currencies as possible."""
    worth = {DOLLAR: 1.0}
    while True:
        news: dict[str, float] = {}
        for base, quotes in conversions.items():
            for code, rate in quotes.items():
                if base in worth and code not in worth:
                    news.setdefault(code, worth[base] / rate)
                elif code in worth and base not in worth:
                    news.setdefault(base, worth[code] * rate)
        if not news:
            return worth
        worth.update(news)


class WatchedRates:
    """The rates of a file that is looked at again while it is asked.

    A file that has become unreadable or faulty changes nothing: the last good table stays.

    Args:
        path: The file; ``None`` is the sample.
        check_s: How long a look at the file is good for.
        clock: Seconds that never run back.
        on_fault: Told once for each faulty state of the file.

    Raises:
        ConfigError: There is no good table to begin with.
    """

    def __init__(
        self,
        path: Path | None,
        check_s: float,
        clock: Callable[[], float],
        on_fault: Callable[[ConfigError], None],
    ) -> None:
        self._path = path or SAMPLE_RATES
        self._check_s = check_s
        self._clock = clock
        self._on_fault = on_fault
        self._stamp = self._stamp_now()
        self._due_s = clock() + check_s
        self.table = load_rates(self._path)

    def micros_of(self, code: str) -> float | None:
        """Return what one unit of a currency is worth in micros of USD, None if not known."""
        if code == DOLLAR:
            return DOLLAR_MICROS
        if self._clock() >= self._due_s:
            self._look()
        return self.table.micros.get(code)

    def _look(self) -> None:
        self._due_s = self._clock() + self._check_s
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.table = load_rates(self._path)
        except ConfigError as error:
            self._on_fault(error)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
