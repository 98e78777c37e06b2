"""Where reports go: the file of events, a structured line in the node's log, and a counted restart.

A reporter is made anew in every process of the tree, so what travels to a process is the recipe.
Levels follow OTP: what a supervisor does by itself is ``info``, what it was asked to do ``debug``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transport.logs import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.settings import MetricsSettings
    from supervision import Report


TEXT_DEPTH = 4
TEXT_CHARACTERS = 400
"""A line of the log says in words what its fields say, for whoever reads it with the eyes."""


@dataclass(frozen=True, slots=True)
class ReporterRecipe:
    """Makes the reporter of one process.

    Attributes:
        log_file: The node's log; all processes append to it.
        level: The least important level that is written.
        node: The node's name, on every line.
        metrics: Where restarts are counted.
        events_file: The node's file of events; all processes append to it, too.
        max_bytes: Size of one generation of the log.
    """

    log_file: Path
    level: str
    node: str
    metrics: MetricsSettings
    events_file: Path
    max_bytes: int = MAX_BYTES

    def __call__(self, path: str) -> Callable[[Report], None]:
        """Open the log of the process at ``path`` of the tree and return its reporter."""
        from supervision.inspection.reports import render
        from transport.logs import configure, get_logger
        from transport.metrics import make_metrics

        configure(self.log_file, self.level, self.node, path, self.max_bytes)
        log = get_logger()
        metrics = make_metrics(
            self.metrics.statsd_host,
            self.metrics.statsd_port,
            f"{self.metrics.prefix}.{self.node}",
            enabled=self.metrics.enabled,
        )
        note = self._note_taker()

        def report(report: Report) -> None:
            note(report)
            getattr(log, report.level)(
                report.context,
                text=render(report, single_line=True, depth=TEXT_DEPTH, length=TEXT_CHARACTERS),
                supervisor=report.supervisor,
                reason=report.reason,
                offender=report.offender,
                detail=report.detail,
            )
            if report.level == "error":
                offender = report.offender.get("id", "unknown")
                metrics.incr(f"supervision.{report.context}.{offender}")
                metrics.flush()

        return report

    def _note_taker(self) -> Callable[[Report], None]:
        """Return what writes a report to the file of events, if it is one and important enough."""
        from supervision.inspection.records import EVENT_KINDS, record_of
        from supervision.processes.monotony import Monotony
        from transport.event_file import EventFile
        from transport.logs import LEVELS

        events = EventFile(self.events_file)
        least = LEVELS.index(self.level)
        monotony = Monotony()

        def note(report: Report) -> None:
            if report.kind not in EVENT_KINDS or LEVELS.index(report.level) < least:
                return
            now = dt.datetime.now(dt.UTC)
            suppressed = monotony.count(report.kind, report.path, now.timestamp())
            if suppressed is not None:
                ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                record = record_of(report, self.node, ts)
                events.append(record | ({"suppressed": suppressed} if suppressed else {}))

        return note
