"""Events as lines for people: when, what, who, why, and the traceback where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COLOURS = {
    "started": "green",
    "restarted": "yellow",
    "rebuilt": "yellow",
    "resumed": "green",
    "fallback_off": "green",
    "fault_off": "green",
    "stopped": "blue",
    "suspended": "magenta",
    "killed": "magenta",
    "fault_on": "magenta",
    "fallback_on": "yellow",
    "slow_on": "red",
    "slow_off": "green",
    "wallet_lost": "red",
    "crashed": "red",
    "start_failed": "red",
    "shutdown_error": "red",
    "gave_up": "bright_red",
}
"""All kinds of events, and their colours."""
_KIND_WIDTH = max(map(len, COLOURS))


def event_lines(event: Mapping[str, Any], *, detail: bool) -> Iterator[str]:
    """Yield the line of an event, and below it its traceback if ``detail`` is wanted.

    Args:
        event: A record of the file of events, or a grave of ``dead``.
        detail: Also say where it happened.
    """
    kind = str(event.get("kind", "?"))
    when = str(event.get("ts", "")).replace("T", " ").rstrip("Z")
    coloured = click.style(f"{kind:<{_KIND_WIDTH}}", fg=COLOURS.get(kind, "white"))
    yield f"{when}  {coloured}  {event.get('address', '?')}{_why(event)}"
    text = str(event.get("detail") or "")
    if detail and text.count("\n") > 0:
        for line in text.rstrip().splitlines():
            yield f"    {line}"


def _why(event: Mapping[str, Any]) -> str:
    """Say the reason, whose child it was that was too much, and which restart this is."""
    said = str(event.get("reason") or "").splitlines()
    parts = [] if not said or said[0] in ("initial", "restart") else [said[0]]
    offender = event.get("offender") or {}
    if event.get("kind") == "gave_up":
        parts.append(f"because of {offender.get('id', '?')}")
    if event.get("kind") == "restarted" and event.get("restarts"):
        parts.append(f"restart {event['restarts']}")
    if event.get("suppressed"):
        parts.append(f"{event['suppressed']} more like it are not shown")
    return f"  {', '.join(parts)}" if parts else ""
