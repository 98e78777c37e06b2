"""Reading a bid request whose types slipped: numbers as text, nulls, a single value for a list.

Exchanges send such requests every day, and refusing them costs money. So a request that fails the
strict decoder is mended field by field: what can be read without doubt is converted, what cannot is
left out, as if not sent. One exception: a field that *guards* something (privacy, blocks,
floors, currencies, deals) is never left out, because a guess would open what it closes; there the
request is refused.
"""

from __future__ import annotations

import math
import types
from functools import cache
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from transport.errors import InvalidRequestError

_S = TypeVar("_S", bound=msgspec.Struct)

GUARDS = frozenset(
    {
        "at", "badv", "bapp", "bcat", "acat", "battr", "bidfloor", "bidfloorcur", "bseat", "btype",
        "cattax", "coppa", "cur", "deals", "dnt", "durfloors", "gdpr", "gpc", "gpp", "gpp_sid",
        "lmt", "mincpmpersec", "multiplier", "nodes", "pmp", "private_auction", "qty", "regs",
        "regs.ext", "secure", "test", "tmax", "us_privacy", "wadomain", "wlang", "wlangb", "wseat",
    }
)  # fmt: skip


class _Unusable(Exception):  # noqa: N818 - a signal inside this module, not an error of its own
    """The value cannot be read as the type wanted."""


class _Field(NamedTuple):
    name: str
    kind: Any
    required: bool


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[_Field, ...]:
    """List the fields of ``struct`` with their types (``X | None`` as X)."""
    hints = get_type_hints(struct)
    return tuple(
        _Field(field.encode_name, _without_none(hints[field.name]), field.required)
        for field in msgspec.structs.fields(struct)
    )


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in {Union, types.UnionType}:
        return next(part for part in get_args(kind) if part is not types.NoneType)
    return kind


def mend(value: object, struct: type[_S], request_id: str) -> _S:
    """Read ``value`` as ``struct``, converting what can be converted.

    Args:
        value: What an untyped decoder made of the body.
        struct: The type of the whole request.
        request_id: For the error.

    Raises:
        InvalidRequestError: A required or guarding field is missing or unusable; says which.
    """
    if not isinstance(value, dict):
        raise InvalidRequestError(request_id, f"expected an object, got {_name(value)}")
    return _struct(value, struct, "", request_id)


def _struct(value: dict[str, object], struct: type[_S], path: str, request_id: str) -> _S:
    arguments: dict[str, object] = {}
    for field in _fields(struct):
        given = value.get(field.name)
        where = f"{path}.{field.name}" if path else field.name
        if given is None:
            if field.required:
                raise InvalidRequestError(request_id, f"{where}: required field missing")
            continue
        try:
            arguments[field.name] = _value(given, field.kind, where, request_id)
        except _Unusable:
            if field.required or field.name in GUARDS or where in GUARDS:
                why = f"{where}: cannot use {_name(given)}"
                raise InvalidRequestError(request_id, why) from None
    return struct(**arguments)


def _value(given: object, kind: Any, path: str, request_id: str) -> object:
    """Convert one value, or raise ``_Unusable``."""
    if get_origin(kind) is tuple:
        return _tuple(given, get_args(kind)[0], path, request_id)
    if kind is str:
        return _text(given)
    if kind is int:
        return _integer(given)
    if kind is float:
        return _number(given)
    if isinstance(given, dict):
        return _struct(given, kind, path, request_id)
    raise _Unusable


def _tuple(given: object, kind: Any, path: str, request_id: str) -> tuple[object, ...]:
    items = given if isinstance(given, list) else [given]
    guarded = path.rpartition(".")[2] in GUARDS
    kept: list[object] = []
    for index, item in enumerate(items):
        try:
            kept.append(_value(item, kind, f"{path}[{index}]", request_id))
        except _Unusable:
            if guarded:
                raise
    return tuple(kept)


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool):
        return str(given)
    raise _Unusable


def _integer(given: object) -> int:
    number = int(given) if isinstance(given, int) else _number(given)
    if not -(2**63) <= number < 2**63:
        raise _Unusable
    return int(number)


def _number(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise _Unusable
    try:
        number = float(given)
    except (ValueError, OverflowError):
        raise _Unusable from None
    if not math.isfinite(number):
        raise _Unusable
    return number


def _name(value: object) -> str:
    """Name a JSON type for an error message; never the value, which may be personal."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return {str: "this text", bool: "true or false"}.get(type(value), "this number")
