"""Where bid requests come from: the market simulator, or a file of captured ones."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import msgspec

from cli.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DEFAULT_TMAX_MS = 100.0

_encode = msgspec.json.Encoder().encode


class Ask(NamedTuple):
    """One bid request on its way.

    Attributes:
        origin: The request as its source made it; empty when it is no JSON object.
        request: The request as it is sent.
        body: The same as bytes.
        tmax_ms: The time it allows for an answer.
    """

    origin: dict[str, Any]
    request: dict[str, Any]
    body: bytes
    tmax_ms: float


def asks(requests: Iterable[dict[str, Any] | str], run: str, explain_every: int) -> Iterator[Ask]:
    """Yield requests ready to be sent, each under an id of its own.

    Captured requests repeat ids, and so do two runs of a seeded simulator; but a node answers a
    request that it has seen with the answer it gave.

    Args:
        requests: Requests, or texts that are sent as they are.
        run: A word that only this run uses.
        explain_every: Every so many requests asks for an explanation; 0 for none.
    """
    for index, origin in enumerate(requests):
        if isinstance(origin, str):
            yield Ask({}, {}, origin.encode(), DEFAULT_TMAX_MS)
            continue
        request = {**origin, "id": f"{origin.get('id', '')}~{run}.{index}"}
        if explain_every and index % explain_every == 0:
            request = with_explanation(request)
        tmax = origin.get("tmax")
        tmax_ms = float(tmax) if isinstance(tmax, int | float) and tmax > 0 else DEFAULT_TMAX_MS
        yield Ask(origin, request, _encode(request), tmax_ms)


def with_explanation(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with ``ext.bidwright.explain`` set; the given one stays as it is."""
    given = request.get("ext")
    ext = given if isinstance(given, dict) else {}
    inner = ext.get("bidwright")
    asked = {**(inner if isinstance(inner, dict) else {}), "explain": 1}
    return {**request, "ext": {**ext, "bidwright": asked}}


def read_requests(path: Path) -> list[dict[str, Any] | str]:
    """Return the requests in a JSON Lines file, ``.gz`` or not.

    A line is a bid request, or an object with one under ``request``, or with the text of one
    under ``raw``.

    Raises:
        InvalidInputError: The file can't be read, a line is no JSON object, or there is none.
    """
    found: list[dict[str, Any] | str] = []
    try:
        with _open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    found.append(_request_of(line, f"{path}, line {number}"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"can't read {path}: {error}") from error
    if not found:
        raise InvalidInputError(f"{path} holds no request")
    return found


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _request_of(line: str, where: str) -> dict[str, Any] | str:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InvalidInputError(f"{where}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{where}: not a JSON object")
    if isinstance(value.get("raw"), str):
        return str(value["raw"])
    inner = value.get("request")
    return inner if isinstance(inner, dict) else value
