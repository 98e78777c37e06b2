"""The watchdog: the plain process outside the tree that starts it and answers for it.

It builds the tree anew if its top dies or hangs, and serves operators on a control socket. When
the top, Thespian's administrator or the watchdog itself is gone, all that belongs to the tree is
killed, so nothing is ever left over. The watchdog never opens nng and never runs a model; it only
imports what its descendants will need, so that their restarts cost no imports.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Any

from supervision.errors import NodeError
from supervision.faults.node import NodeFaults
from supervision.inspection.lookout import Lookout
from supervision.inspection.operators import Operators
from supervision.inspection.tree import give_addresses, process_node
from supervision.messages import Report, plain
from supervision.processes.loopback import pin_to_loopback
from supervision.processes.process import ProcessSettings, become_subreaper, guard_logger
from supervision.processes.trunk import Trunk
from transport.control import ControlServer
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from supervision.clock import Clock
    from supervision.messages import Level
    from supervision.specs import ChildSpec

TICK_S = 0.25
STOP_LIMIT_S = 15.0
LOOK_LIMIT_S = 1.0
"""How long a look at the tree waits for its top; then what that said last has to do."""
LIVING = frozenset({"started", "rebuilt", "crashed"})
"""If one of these is the last that was told of a node's top, nobody was there to tell its end."""
REBUILDS = 20
REBUILD_PERIOD_S = 60.0


class Watchdog:
    """Runs one node until it is told to stop.

    Args:
        spec: The topmost process.
        control_socket: Where operators ask.
        log_dir: Where Thespian's own log goes.
        settings: Patience with processes.
        reporter: Picklable factory of the reporter that supervisors write to.
        clock: Monotonic seconds.
        facts: Shown by ``status``: ports, paths and the like.
        trunk: What stands for the tree; made here unless a test hands one in.
        events_file: The node's file of events, from which the past is told; by default in
            ``log_dir``.
    """

    def __init__(  # noqa: PLR0913 - a node's surroundings
        self,
        spec: ChildSpec,
        *,
        control_socket: Path,
        log_dir: Path,
        settings: ProcessSettings,
        clock: Clock,
        reporter: Any = None,
        admin_port: int = 0,
        facts: dict[str, Any] | None = None,
        trunk: Trunk | None = None,
        events_file: Path | None = None,
    ) -> None:
        self._spec = spec
        self._log_dir = log_dir
        self._settings = settings
        self._clock = clock
        self._reporter = reporter
        self._facts = facts or {}
        self._trunk = trunk or Trunk(
            spec, settings, log_dir=log_dir, clock=clock, reporter=reporter, admin_port=admin_port
        )
        self._control = ControlServer(control_socket)
        self._node = str(self._facts.get("node", spec.id))
        self._operators = Operators(
            self._trunk, self.tree, self._node, self._tell, lambda: self._control.asker
        )
        events = events_file or log_dir / "events.jsonl"
        self._lookout = Lookout(self._operators, events, clock)
        self._faults = NodeFaults(self._node, self._operators, clock, self._tell)
        self._offer_all()
        self._report: Callable[[Report], None] = lambda _report: None
        self._state = "starting"
        self._stopping = False
        self._told_to_stop = "by a signal"
        self._started_s = self._heard_s = self._looked_s = clock()
        self._recent_falls: list[float] = []
        self._rebuilds = 0
        self._last_error: str | None = None

    def _offer_all(self) -> None:
        """Say what operators may ask of the node as a whole."""
        self._operators.offer(**self._lookout.operations())
        self._operators.offer(down=self._stop_node, status=self._status)
        self._operators.offer(
            fault=self._faults.begin, heal=self._faults.heal, faults=self._faults.listing
        )

    def run(self) -> int:
        """Start the tree and serve until it is told to stop; return the exit code.

        Raises:
            NodeError: The tree could not be started, or fell over too often.
        """
        pin_to_loopback()
        become_subreaper()
        guard_logger()
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, self._terminated)
        os.environ["THESPLOG_FILE"] = str(self._log_dir / "thespian.log")
        if self._reporter is not None:
            self._report = self._reporter("watchdog")
        try:
            self.keep()
        finally:
            self._trunk.fell()
            self._control.close()
        return 0

    def keep(self) -> None:
        """Grow the tree and keep it until the watchdog is told to stop.

        Raises:
            NodeError: as :meth:`run`.
        """
        if self._lookout.last_kind(self._spec.id) in LIVING:
            self._tell_of_top("child_terminated", "the node ended without a word", "error")
        try:
            self._grow()
            self._tell_of_top("started", "initial")
            while not self._stopping:
                self._serve()
        except NodeError as error:
            context = "shutdown" if self._rebuilds else "start_error"
            self._tell_of_top(context, str(error), "error")
            raise
        self._tell_of_top("stopped", self._told_to_stop)
        self._trunk.stop(STOP_LIMIT_S, self._serves_operators)

    def _terminated(self, _number: int, _frame: object) -> None:
        self._stopping = True

    # -- growing and regrowing

    def _grow(self) -> None:
        self._state = "starting"
        self._trunk.grow(self._waits_no_more)
        self._heard_s = self._clock()
        self._state = "ready"

    def _waits_no_more(self) -> bool:
        """While the tree starts, operators get their answers; one may be the order to stop."""
        self._serves_operators()
        return self._stopping

    def _serves_operators(self) -> bool:
        self._control.poll(self._operators.handle)
        self._faults.tick()
        return False

    def _regrow(self, why: str) -> None:
        """The top of the tree is gone: kill what is left of it and start anew, but not for ever.

        Raises:
            NodeError: It fell too often.
        """
        while why and not self._stopping:
            self._fell_over(why)
            self._trunk.fell()
            if len(self._recent_falls) > REBUILDS:
                raise NodeError(
                    f"the tree fell over {len(self._recent_falls)} times within "
                    f"{REBUILD_PERIOD_S:.0f} s, last: {why}"
                )
            try:
                self._grow()
                if not self._stopping:
                    self._tell_of_top("rebuilt", why)
                why = ""
            except NodeError as error:
                why = str(error)

    def _fell_over(self, why: str) -> None:
        now_s = self._clock()
        recent = [moment for moment in self._recent_falls if moment > now_s - REBUILD_PERIOD_S]
        self._recent_falls = [*recent, now_s]
        self._rebuilds += 1
        self._last_error = why
        self._tell_of_top("child_terminated", why, "error")

    def _tell_of_top(self, context: str, reason: str, level: Level = "info") -> None:
        """Report on the topmost process, which no supervisor watches over."""
        pid = self._trunk.record.pid if self._trunk.record is not None else None
        top = {"id": self._spec.id, "pid": pid}
        report = Report("watchdog", context, reason, top, level=level, about=self._spec.id)
        self._report(report)

    # -- serving

    def _serve(self) -> None:
        """Answer operators, and see every tick that the top is alive and answers."""
        assert self._trunk.record is not None
        watched = [self._control.fileno(), self._trunk.record.pidfd]
        readable, _, _ = select.select(watched, [], [], TICK_S)
        if self._control.fileno() in readable and not self._trunk.is_gone():
            self._control.poll(self._operators.handle)
        self._faults.tick()
        if self._trunk.is_gone():
            self._regrow(self._cause_of_death())
        elif self._clock() - self._heard_s >= TICK_S and not self._answers():
            died = self._trunk.is_gone()
            silent = "the topmost process did not answer its heartbeat"
            self._regrow(self._cause_of_death() if died else silent)
        self._trunk.reap()

    def _answers(self) -> bool:
        """Tell whether the top answers its heartbeat (or it does not matter any more)."""
        answered = self._trunk.snapshot(self._settings.hang_s, self._ends_faults) is not None
        self._heard_s = self._clock()
        return answered or self._stopping or not self._settings.kills_hung

    def _ends_faults(self) -> bool:
        """While the top is waited for, faults end in time: the top may be stopped by one."""
        self._faults.tick()
        return False

    def _cause_of_death(self) -> str:
        words = self._trunk.last_words
        return f"the topmost process died{f': {plain(words.reason)}' if words is not None else ''}"

    def _tell(self, report: Report) -> None:
        self._report(report)

    # -- what operators may ask of the node ------------------------------------------------------

    def _stop_node(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._stopping = True
        self._told_to_stop = f"by {self._control.asker or 'an operator'}"
        return {"state": "stopping"}

    def _status(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {
            "state": self._present_state(),
            "pid": os.getpid(),
            "uptime_s": round(self._clock() - self._started_s, 3),
            "rebuilds": self._rebuilds,
            **self._facts,
        }

    def _present_state(self) -> str:
        return "stopping" if self._stopping else self._state

    def tree(self) -> dict[str, Any]:
        """Return the tree as ``bidwright tree -o json`` shows it.

        If its top is alive but does not answer, it is the tree as of ``stale_s`` seconds ago.

        Raises:
            ControlError: There is none at the moment, or its top has never answered.
        """
        if self._present_state() != "ready":
            raise ControlError("busy", f"the node is {self._present_state()}; try again later")
        snapshot = self._trunk.snapshot(LOOK_LIMIT_S)
        record = self._trunk.record
        if record is None or (snapshot is None and not (record.snapshot and self._is_mute())):
            raise ControlError(
                "busy", "the topmost supervisor did not answer; try again in a moment"
            )
        if snapshot is not None:
            self._heard_s = self._looked_s = self._clock()
            record.snapshot = snapshot
        tree = process_node(
            record,
            state="running",
            restarts=self._rebuilds,
            uptime_s=self._clock() - record.heard_s,
            last_error=self._last_error,
        )
        if snapshot is None:
            tree["stale_s"] = round(self._clock() - self._looked_s, 3)
        return give_addresses(tree, self._node)

    def _is_mute(self) -> bool:
        """Tell whether the top lives, though it did not answer: what it last said still helps."""
        return not self._trunk.is_gone()
