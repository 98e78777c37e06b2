"""A report as text for people: over several lines or on one, no deeper and no longer than asked.

After OTP's ``supervisor:format_log/2``, whose words it keeps: supervisor, errorContext, reason,
offender.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervision.messages import Report

DOTS = "..."


def render(
    report: Report,
    *,
    single_line: bool = False,
    depth: int | None = None,
    length: int | None = None,
) -> str:
    """Write a report as text.

    Args:
        report: What is reported.
        single_line: Put all of it on one line, without the traceback; of the offender only its
            id and pid, which it always carries.
        depth: So many levels of nested values are written, and of each as many elements as levels
            are left (OTP's ``~P``); what is deeper or further on is ``...``. ``None``: all of it.
        length: The text has at most so many characters; what is longer ends in ``...``.

    Raises:
        ValueError: ``depth`` or ``length`` is less than 1.
    """
    for name, limit in (("depth", depth), ("length", length)):
        if limit is not None and limit < 1:
            raise ValueError(f"{name} is {limit}, must be at least 1")
    text = _on_one_line(report, depth) if single_line else _on_many_lines(report, depth)
    return text if length is None else shorten(text, length)


def shorten(text: str, length: int) -> str:
    """Return ``text`` cut to ``length`` characters; a cut shows as ``...`` where that fits in."""
    if len(text) <= length:
        return text
    return text[: max(0, length - len(DOTS))] + DOTS[:length]


def _on_many_lines(report: Report, depth: int | None) -> str:
    lines = [
        f"supervisor: {report.supervisor}",
        f"errorContext: {report.context}",
        f"reason: {_value(report.reason, depth)}",
        "offender:",
        *(f"  {word}: {_value(what, depth)}" for word, what in report.offender.items()),
        *report.detail.splitlines(),
    ]
    return "\n".join(lines)


def _on_one_line(report: Report, depth: int | None) -> str:
    who = ",".join(f"{word}={report.offender.get(word)}" for word in ("id", "pid"))
    line = (
        f"Supervisor: {report.supervisor}. Context: {report.context}. "
        f"Reason: {_value(report.reason, depth)}. Offender: {who}."
    )
    return " ".join(line.split())


def _value(value: Any, depth: int | None) -> str:
    """Write plain data no deeper than ``depth``; text at the top needs no quotes."""
    return value if isinstance(value, str) else _nested(value, depth)


def _nested(value: Any, depth: int | None) -> str:
    inner = None if depth is None else depth - 1
    match value:
        case Mapping() | tuple() | list() if depth == 0:
            return DOTS
        case Mapping():
            pairs = [
                f"{key!r}: {_nested(item, inner)}" for key, item in _some(value.items(), depth)
            ]
            return "{" + ", ".join(_marked(pairs, len(value))) + "}"
        case tuple():
            return "(" + ", ".join(_elements(value, depth)) + ("," * (len(value) == 1)) + ")"
        case list():
            return "[" + ", ".join(_elements(value, depth)) + "]"
        case _:
            return repr(value)


def _elements(values: tuple[Any, ...] | list[Any], depth: int | None) -> list[str]:
    inner = None if depth is None else depth - 1
    return _marked([_nested(item, inner) for item in _some(values, depth)], len(values))


def _some(items: Any, depth: int | None) -> list[Any]:
    return list(items)[:depth]


def _marked(written: list[str], number: int) -> list[str]:
    return written if len(written) == number else [*written, DOTS]
