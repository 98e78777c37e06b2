"""Who was born, stopped and buried, in every supervisor of the node; and whether that was right.

Principle: judged from outside. What supervisors say of themselves is not asked; births and ends are
seen where they happen, and from these alone follow the order of start, the reverse order of stop,
that nobody lives twice, and that no more restarts are made than were allowed.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any

from supervision import Cell, Supervisor
from supervision.messages import is_clean

if TYPE_CHECKING:
    from supervision.messages import Reason, Report
    from supervision.ref import Ref
    from tests.simulation.history import History
    from tests.simulation.machine import Process


class WatchedCell(Cell):
    """A cell whose births and ends are seen."""

    def __init__(self, process: Process) -> None:
        machine = process.machine
        self.lives = machine.lives
        self.process = process
        super().__init__(
            machine.clock,
            machine.child_rng(process),
            poller=process.poller,
            reporter=lambda report: machine.lives.reported(process, report),
        )

    def fresh_id(self) -> str:
        """See ``Cell.fresh_id``; the same in every run of one seed."""
        return self.process.machine.fresh_id()

    def spawn(self, build: Any, args: tuple[Any, ...] = (), **how: Any) -> Ref:
        """See ``Cell.spawn``."""
        parent, name = how.get("parent"), how.get("name")
        if parent is not None and not how.get("quiet"):
            self.lives.born(parent, name)
        ref = super().spawn(build, args, **how)
        if parent is not None and ref.actor is None and not how.get("quiet"):
            self.lives.ended(parent, ref.name, ref.exit_reason)
        return ref

    def started(self, ref: Ref, info: Any = None) -> None:
        """See ``Cell.started``."""
        if ref.starting and not ref.quiet and ref.parent is not None:
            self.lives.ready(ref.parent, ref.name)
        super().started(ref, info)

    def stop(self, ref: Ref, reason: Reason = "shutdown") -> None:
        """See ``Cell.stop``."""
        if ref.parent is not None and not ref.quiet:
            self.lives.stopped(ref.parent, ref.name)
        super().stop(ref, reason)

    def end(self, ref: Ref, reason: Reason, detail: str = "") -> None:
        """See ``Cell.end``."""
        if ref.actor is None:
            return
        if isinstance(ref.actor, Supervisor):
            self.lives.supervisor_ended(ref, reason)
        if ref.parent is not None and not ref.quiet:
            self.lives.ended(ref.parent, ref.name, reason)
        super().end(ref, reason, detail)

    def everybody(self) -> list[Ref]:
        """Return all living actors, parents before their children."""
        found = [*self.primaries, *(self.outside.children or ())]
        for ref in found:
            found += ref.children or ()
        return found


class Family:
    """The children of one incarnation of a static supervisor, as seen from outside.

    Attributes:
        order: Their ids in start order.
        alive: Those that live: False while they start, True once they are ready.
        fallen: Those whose end the supervisor has not spoken of yet.
        restarts: When it decided to restart, whole seconds.
    """

    def __init__(self, path: str, supervisor: Supervisor) -> None:
        self.path = path
        self.flags = supervisor.flags
        self.order = [spec.id for spec in supervisor.specs]
        self.alive: dict[str, bool] = {}
        self.fallen: set[str] = set()
        self.ever: set[str] = set()
        self.retrying: set[str] = set()
        self.restarts: list[int] = []
        self.is_ready = False

    def recent(self, now_s: float) -> int:
        """Count the restarts within the period, both ends included."""
        since = floor(now_s) - self.flags.period_s
        return sum(moment >= since for moment in self.restarts)


class Lives:
    """All families of the node.

    Args:
        history: Takes notes and broken promises.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._families: dict[Ref, Family] = {}
        self._by_path: dict[str, Family] = {}
        self.births = self.escalations = 0

    # --- what cells see ------------------------------------------------------------------------

    def born(self, parent: Ref, name: str | None) -> None:
        """A supervisor makes a child."""
        family = self._family(parent)
        if family is None or name is None or name not in family.order:
            return
        self.births += 1
        self._history.note("born", family.path, name)
        self._check_birth(family, name)
        if name in family.retrying:
            family.retrying.discard(name)
            self._restarts(family)
        family.alive[name] = False
        family.ever.add(name)

    def ready(self, parent: Ref, name: str) -> None:
        """A child is ready."""
        family = self._family(parent)
        if family is not None and name in family.order:
            family.alive[name] = True

    def stopped(self, parent: Ref, name: str) -> None:
        """A supervisor asks a child to stop: everybody who started later is gone by then."""
        family = self._family(parent)
        if family is None or name not in family.order:
            return
        self._history.note("stop", family.path, name)
        later = family.order[family.order.index(name) + 1 :]
        left = [other for other in later if other in family.alive]
        if left:
            self._history.blame("stop_order", f"{family.path} stops {name} before {left}")

    def ended(self, parent: Ref, name: str, reason: Reason) -> None:
        """A child has ended."""
        family = self._family(parent)
        if family is None or name not in family.order:
            return
        self._history.note("end", family.path, name, str(reason))
        family.alive.pop(name, None)
        family.fallen.add(name)

    def supervisor_ended(self, ref: Ref, reason: Reason) -> None:
        """A supervisor ends: in good order only after all its children."""
        family = self._families.pop(ref, None)
        if family is None:
            return
        if self._by_path.get(family.path) is family:
            del self._by_path[family.path]
        if is_clean(reason) and family.alive:
            left = sorted(family.alive)
            self._history.blame("stop_order", f"{family.path} ends before {left}")

    def _family(self, parent: Ref) -> Family | None:
        family = self._families.get(parent)
        if family is None and isinstance(parent.actor, Supervisor):
            if parent.actor.flags.strategy == "simple_one_for_one":
                return None
            family = self._families[parent] = Family(parent.path, parent.actor)
            self._by_path[family.path] = family
        return family

    def _check_birth(self, family: Family, name: str) -> None:
        place = family.order.index(name)
        before, after = family.order[:place], family.order[place + 1 :]
        if name in family.alive:
            self._history.blame("one_incarnation", f"{family.path}/{name} lives twice")
        starting = [other for other, is_up in family.alive.items() if not is_up and other != name]
        if starting:
            self._history.blame(
                "start_order", f"{family.path} starts {name} while {starting} start"
            )
        missing = [other for other in before if other not in family.ever]
        if family.flags.strategy == "rest_for_one":
            missing += [o for o in before if o not in family.alive and o not in family.fallen]
            if any(other in family.alive for other in after):
                self._history.blame("start_order", f"{family.path} starts {name} before a later")
        if missing:
            self._history.blame("start_order", f"{family.path} starts {name} without {missing}")
        if family.recent(self._history.clock()) > family.flags.intensity:
            self._history.blame("intensity", f"{family.path} restarts {name} once too often")

    # --- what supervisors say ------------------------------------------------------------------

    def reported(self, process: Process, report: Report) -> None:
        """Take a report; those about a restart or its end count."""
        if report.context not in ("child_terminated", "start_error", "shutdown"):
            return
        offender = str(report.offender.get("id"))
        self._history.note("report", report.supervisor, report.context, offender)
        if "address in use" in str(report.reason):
            self._history.blame("one_incarnation", f"{report.supervisor}: {report.reason}")
        family = self._by_path.get(report.supervisor)
        if family is None:
            return
        if report.context == "child_terminated":
            family.fallen.discard(offender)
            self._restarts(family)
        elif report.context == "start_error":
            family.fallen.discard(offender)
            family.retrying.add(offender)
        elif report.reason == "reached_max_restart_intensity":
            self._gives_up(family, offender)

    def _restarts(self, family: Family) -> None:
        family.restarts.append(floor(self._history.clock()))

    def _gives_up(self, family: Family, offender: str) -> None:
        self.escalations += 1
        if offender in family.retrying:
            family.retrying.discard(offender)
            self._restarts(family)
        recent = family.recent(self._history.clock())
        if recent <= family.flags.intensity:
            allowed = family.flags.intensity
            self._history.blame(
                "intensity", f"{family.path} gives up after {recent} restarts of {allowed}"
            )

    # --- processes -----------------------------------------------------------------------------

    def process_ready(self, process: Process) -> None:
        """A process is ready."""
        if process.supervisor is not None:
            self.ready(process.supervisor, process.spec.id)

    def process_stopped(self, process: Process) -> None:
        """A process was asked to end."""
        if process.supervisor is not None:
            self.stopped(process.supervisor, process.spec.id)

    def process_died(self, process: Process, reason: Reason) -> None:
        """A process is gone, and everybody in it."""
        for ref in process.cell.everybody():
            family = self._families.pop(ref, None)
            if family is not None and self._by_path.get(family.path) is family:
                del self._by_path[family.path]
        if process.supervisor is not None:
            self.ended(process.supervisor, process.spec.id, reason)
