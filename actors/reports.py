"""Where supervisors' reports go: a structured line in the node's log, and a counted restart.

A reporter is made anew in every process of the tree, so what travels to a process is the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.settings import MetricsSettings
    from supervision import Report


@dataclass(frozen=True, slots=True)
class ReporterRecipe:
    """Makes the reporter of one process.

    Attributes:
        log_file: The node's log; all processes append to it.
        level: The least important level that is written.
        node: The node's name, on every line.
        metrics: Where restarts are counted.
    """

    log_file: Path
    level: str
    node: str
    metrics: MetricsSettings

    def __call__(self, path: str) -> Callable[[Report], None]:
        """Open the log of the process at ``path`` of the tree and return its reporter."""
        from transport.logs import configure, get_logger
        from transport.metrics import make_metrics

        configure(self.log_file, self.level, self.node, path)
        log = get_logger()
        metrics = make_metrics(
            self.metrics.statsd_host,
            self.metrics.statsd_port,
            f"{self.metrics.prefix}.{self.node}",
            enabled=self.metrics.enabled,
        )

        def report(report: Report) -> None:
            log.error(
                report.context,
                supervisor=report.supervisor,
                reason=report.reason,
                offender=report.offender,
                detail=report.detail,
            )
            metrics.incr(f"supervision.{report.context}.{report.offender.get('id', 'unknown')}")
            metrics.flush()

        return report
