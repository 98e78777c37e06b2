"""Redaction: what is inside an actor or a message, as bounded plain data without what is private.

One place decides by the names of fields and types. Who is asked about, where they are and what they
agreed to, and whatever signs or unlocks, is replaced by a mark; bytes are only counted, because
nobody knows what is in them. What remains is cut to a size that a person can read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from supervision.ref import Ref, Timer

if TYPE_CHECKING:
    from collections.abc import Iterable

PRIVATE = frozenset(
    """
    user users uid uids buyeruid buyeruids eid eids ip ipv6 ifa ifas idfa gaid didsha1 didmd5
    dpidsha1 dpidmd5 macsha1 macmd5 lat lon geo zip yob gender ua agent cookie cookies
    consent consents consented gpp tcf gdpr coppa regs tracking dnt lmt
    tokens vector vectors history sources
    secret secrets salt salts password passwords credential credentials authorization
    signature sig token key keys nurl burl lurl adm markup
    """.split()  # noqa: SIM905 - a list of sixty words is read more easily so
)
"""Words of which none may stand in the name of a field, or the name of a type, that is shown."""
MARK = "<redacted>"
_PERSONAL = re.compile(
    r"[^@\s]+@[^@\s]+"  # a mail address
    r"|(\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]+"  # an IP address
    r"|[0-9a-fA-F-]{16,}"  # a device's number, or a hash
)
"""Keys that are not shown whatever they are keys of."""
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")


class Bounds(NamedTuple):
    """How much is shown.

    Attributes:
        depth: Levels of containers and objects.
        items: Entries of one container.
        characters: Of one text.
    """

    depth: int = 6
    items: int = 50
    characters: int = 300


STATE_BOUNDS = Bounds()
MESSAGE_BOUNDS = Bounds(depth=4, items=12, characters=120)


def is_private(name: str) -> bool:
    """Tell whether a field or a type of this name is not to be shown."""
    return any(word.lower() in PRIVATE for word in _WORDS.findall(name))


def plain_data(value: object, bounds: Bounds = STATE_BOUNDS) -> Any:
    """Return ``value`` as bounded, redacted data that JSON can carry. It never raises."""
    if value is None or isinstance(value, int):
        return value
    text = _as_text(value)
    if text is not None:
        return _cut(text, bounds.characters)
    if isinstance(value, float):
        return value
    try:
        return _whole(value, bounds)
    except Exception as error:  # noqa: BLE001 - whatever a foreign object does when it is looked at
        return f"<{type(value).__qualname__} that cannot be shown: {type(error).__name__}>"


def _as_text(value: object) -> str | None:
    """Return what is shown as one text; ``None``: this is something else."""
    match value:
        case str() | Path():
            return str(value)
        case float() if not isfinite(value):
            return str(value)  # JSON knows no infinity
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case Ref():
            return value.path
        case type():
            return value.__qualname__
        case _:
            return None


def _whole(value: object, bounds: Bounds) -> Any:
    """Show what consists of parts, if its type's name is not private."""
    kind = type(value).__qualname__
    if is_private(kind):
        return _mark(value, f"<redacted {kind}")
    if bounds.depth == 0 and not (isinstance(value, list | tuple | dict | set) and not value):
        return _mark(value, f"<{kind}")
    deeper = bounds._replace(depth=bounds.depth - 1)
    if isinstance(value, Mapping):
        return _mapping(value, deeper)
    if isinstance(value, list | tuple | set | frozenset) or kind == "deque":
        return _sequence(value, deeper)  # type: ignore[arg-type]
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"<{kind} of {value.dtype}, shape {value.shape}>"
    fields = None if isinstance(value, Timer) or callable(value) else fields_of(value)
    return f"<{kind}>" if fields is None else {"type": kind, **_mapping(fields, deeper)}


def fields_of(value: object) -> dict[str, Any] | None:
    """Return the fields of an object by name; ``None`` if it has none that can be seen."""
    names = getattr(type(value), "__struct_fields__", None)
    if not isinstance(names, tuple):
        names = tuple(name for kind in type(value).__mro__ for name in _slots(kind))
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    found.update(getattr(value, "__dict__", {}))
    return found if names or hasattr(value, "__dict__") else None


def _slots(kind: type) -> Iterable[str]:
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return (name for name in names if not name.startswith("__"))


def _mapping(value: Mapping[Any, Any], bounds: Bounds) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for number, (key, part) in enumerate(value.items()):
        if number == bounds.items:
            shown["..."] = f"{len(value) - number} more"
            break
        name = key if isinstance(key, str) else str(plain_data(key, bounds))
        private = isinstance(key, str) and is_private(key)
        if _PERSONAL.fullmatch(name):
            name = f"{MARK} {number + 1}"
        shown[_cut(name, bounds.characters)] = _mark(part) if private else plain_data(part, bounds)
    return shown


def _sequence(value: Iterable[Any], bounds: Bounds) -> list[Any]:
    parts = list(value)
    shown = [plain_data(part, bounds) for part in parts[: bounds.items]]
    if len(parts) > bounds.items:
        shown.append(f"... {len(parts) - bounds.items} more")
    return shown


def _mark(value: object, beginning: str = MARK[:-1]) -> str:
    """Say that something was here, and how many entries it had."""
    counted = not isinstance(value, str | bytes) and hasattr(value, "__len__")
    return f"{beginning}, {len(value)} entries>" if counted else f"{beginning}>"  # type: ignore[arg-type]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
