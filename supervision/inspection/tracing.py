"""Traces for operators: what one actor gets and sends, for a time or a number of messages.

Messages are made plain and redacted as they pass, so nothing of them is kept alive. A trace ends by
itself; who asked need not be there any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from supervision.inspection import spies
from supervision.inspection.redaction import MESSAGE_BOUNDS, plain_data

if TYPE_CHECKING:
    from supervision.inspection.spies import SystemEvent
    from supervision.ref import Ref

SPY = "operator"
MOST_MESSAGES = 1_000
MOST_S = 60.0
SOME_MESSAGES = 100
SOME_S = 10.0


@dataclass(slots=True)
class Trace:
    """One trace.

    Attributes:
        since_s: When it began, on the cell's clock.
        ends_s: When it is over at the latest.
        limit: Messages after which it is over.
        messages: What has passed so far.
        stopped: Somebody has ended it.
    """

    since_s: float
    ends_s: float
    limit: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False

    def is_on(self, now_s: float) -> bool:
        """Tell whether more will be seen."""
        return not self.stopped and len(self.messages) < self.limit and now_s < self.ends_s


def begin(ref: Ref, limit: object, for_s: object) -> None:
    """Trace ``ref``, in place of an earlier trace."""
    spies.remove(ref, SPY)
    now_s = ref.cell.clock()
    trace = ref.trace = Trace(
        now_s,
        now_s + _within(for_s, SOME_S, MOST_S),
        int(_within(limit, SOME_MESSAGES, MOST_MESSAGES)),
    )
    spies.install(ref, SPY, _see, trace)


def end(ref: Ref) -> None:
    """End the trace; what it has seen can still be read."""
    spies.remove(ref, SPY)
    if ref.trace is not None:
        ref.trace.stopped = True


def page(ref: Ref, since: int) -> dict[str, Any]:
    """Return what the trace has seen from message number ``since`` on, and whether it goes on."""
    trace, now_s = ref.trace, ref.cell.clock()
    if trace is None:
        return {"messages": [], "next": 0, "active": False, "ends_in_s": 0.0}
    active = trace.is_on(now_s)
    if not active:
        spies.remove(ref, SPY)
    return {
        "messages": trace.messages[since:],
        "next": len(trace.messages),
        "active": active,
        "ends_in_s": round(max(0.0, trace.ends_s - now_s), 3) if active else 0.0,
    }


def _see(trace: Trace, event: SystemEvent) -> Any:
    if not trace.is_on(event.at_s):
        return spies.DONE
    trace.messages.append(
        {
            "at_s": round(event.at_s - trace.since_s, 6),
            "direction": event.direction,
            "type": type(event.message).__qualname__,
            "peer": getattr(event.peer, "path", "") or "outside",
            "message": plain_data(event.message, MESSAGE_BOUNDS),
        }
    )
    return trace if trace.is_on(event.at_s) else spies.DONE


def _within(asked: object, otherwise: float, most: float) -> float:
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not asked > 0:
        return otherwise
    return min(asked, most)
