"""Reports as records of the node's file of events: plain data, one JSON object each.

The shape is a contract for whoever reads the file: ``ts``, ``node``, ``kind``, ``level``,
``supervisor``, ``context``, ``reason``, ``offender``, ``address``, ``restarts``, ``detail``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision.messages import plain

if TYPE_CHECKING:
    from supervision.messages import Report

EVENT_KINDS = frozenset(
    {
        "started", "stopped", "crashed", "start_failed", "restarted", "gave_up", "shutdown_error",
        "suspended", "resumed", "killed", "fallback_on", "fallback_off", "fault_on", "fault_off",
        "rebuilt", "slow_on", "slow_off", "wallet_lost",
    }
)  # fmt: skip
"""All kinds of events; a report of another kind stands in the log only."""
DEATHS = frozenset({"crashed", "stopped", "start_failed", "shutdown_error"})
"""The kinds that tell of an incarnation's end."""
LIFE = DEATHS | {"started", "restarted", "rebuilt", "gave_up"}
"""The kinds that tell how an actor's life went on."""
REASON_CHARACTERS = 1_000
DETAIL_CHARACTERS = 8_000


def address(node: str, path: str) -> str:
    """Return the address of an actor that names it among all nodes."""
    return f"{node}:{path}"


def record_of(report: Report, node: str, ts: str) -> dict[str, Any]:
    """Return the record of a report.

    Args:
        report: What happened.
        node: The node's name.
        ts: When, ISO 8601 in UTC.
    """
    return {
        "ts": ts,
        "node": node,
        "kind": report.kind,
        "level": report.level,
        "supervisor": report.supervisor,
        "context": report.context,
        "reason": plain(report.reason)[:REASON_CHARACTERS],
        "offender": report.offender,
        "address": address(node, report.path),
        "restarts": report.restarts,
        # Of a long traceback the end says most.
        "detail": report.detail[-DETAIL_CHARACTERS:],
    }
