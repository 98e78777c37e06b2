"""What must not be left when the faults are over and time has passed: nothing.

Principle: compare with a node that nothing ever happened to. The tree is whole, nobody has mail,
nothing is in hand, and no table has grown.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervision import Ref
    from tests.simulation.machine import Process
    from tests.simulation.world import World

LIGHT = (
    "",
    "/links",
    "/links/link-ledger",
    "/links/link-inference",
    "/links/ledger-feed",
    "/links/event-feed",
    "/links/exposures",
    "/agents",
    "/agents/fraud-detector",
    "/agents/user-profiler",
    "/agents/budget-manager",
    "/agents/creative-selector",
    "/agents/bid-optimizer",
    "/agents/oversight",
    "/impressions",
    "/gateway",
    "/events",
)
EMPTY = {
    "gateway": ("_jobs", "_intake._in_hand", "_answers._done"),
    "events": ("_waiting", "_confirmed"),
    "link-ledger": ("_queue", "_frames"),
    "link-inference": ("_deadlines",),
    "budget-manager": ("_waiting",),
    "ledger": ("_frames",),
}
"""Tables that hold only what is in hand."""
MOST_TIMERS = 1_500
MOST_FRAMES = 1_100
MOST_WAITERS = 1_100
"""Dead ones, whose questions were lost on the way; the living have their answers."""


class Leftovers:
    """Looks at a node that has come to rest.

    Args:
        world: With the node.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def look(self) -> None:
        """Blame whatever is left."""
        self._check_processes()
        for process in self._world.machine.processes.values():
            for ref in process.cell.everybody():
                self._check_actor(ref)
            if len(process.cell._timers) > MOST_TIMERS:
                self._blame("tables", f"{process.path} has {len(process.cell._timers)} timers")
            if process.spec.id.startswith("bidder-"):
                self._check_tree(process)

    def _check_processes(self) -> None:
        bidders = range(1, self._world.plan.bidders + 1)
        names = ("", "/ledger", "/inference", "/inference/inference@cpu", "/recorder", "/bidders")
        wanted = {f"node{name}" for name in names}
        wanted |= {f"node/bidders/bidder-{number}" for number in bidders}
        found = [process.path for process in self._world.machine.processes.values()]
        if set(found) != wanted or len(found) != len(wanted):
            self._blame("whole_tree", f"processes: {sorted(found)}")
        for process in self._world.machine.processes.values():
            if not process.is_ready:
                self._blame("whole_tree", f"{process.path} is not ready")

    def _check_tree(self, process: Process) -> None:
        found = sorted(ref.path for ref in process.cell.everybody())
        wanted = sorted(f"{process.path}/cell{name}" for name in LIGHT)
        if found != wanted:
            more = set(found) ^ set(wanted)
            self._blame("whole_tree", f"{process.path}: {sorted(more)}, {len(found)} in all")

    def _check_actor(self, ref: Ref) -> None:
        if ref.mailbox or ref.system or ref.starting or ref.suspended:
            self._blame("mail", f"{ref.path} has {len(ref.mailbox)} messages left")
        for table in EMPTY.get(ref.name.rpartition("/")[2], ()):
            left: Any = attrgetter(table)(ref.actor)
            if left:
                self._blame("tables", f"{ref.path} has {len(left)} left in {table}")
        waiters = ref.waiters or {}
        alive = any(each.actor is not None for each in waiters)
        if len(waiters) > MOST_WAITERS or (alive and not self._mail_was_lost()):
            self._blame("tables", f"{len(waiters)} wait for {ref.path}: {list(waiters)[:3]}")
        for peer in getattr(ref.actor, "_peers", ()):
            if len(peer.frames) > MOST_FRAMES or peer.queue:
                self._blame("tables", f"{ref.path} remembers {len(peer.frames)} frames")
        wallet = getattr(ref.actor, "_wallet", None)
        if wallet is not None and wallet.held():
            self._blame("leases", f"{ref.path} still holds {sorted(wallet.held())[:3]}")

    def _mail_was_lost(self) -> bool:
        """Whether a question may have been lost, which leaves its asker waiting without harm."""
        return any(fault.kind == "lost_mail" for fault in self._world.plan.faults)

    def nobody(self) -> None:
        """Blame whatever lives or listens after the node has stopped."""
        machine = self._world.machine
        if machine.processes:
            left = sorted(process.path for process in machine.processes.values())
            self._blame("stopped", f"still there: {left}")
        if machine.network.hub.addresses():
            self._blame("stopped", f"still listening: {machine.network.hub.addresses()}")

    def _blame(self, rule: str, what: str) -> None:
        self._world.history.blame(rule, what)
