"""What can go wrong: every kind of fault by name, and how it begins and ends.

Principle: a fault chooses its victim when it strikes, from what lives then, by its own source of
chance. ``KINDS[name](world, rng, for_s)`` begins it and returns what ends it, if it does not end by
itself. Nothing here knows what the product should do about it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, TypeVar

from thespian.actors import WakeupMessage, WatchMessage

from supervision import Down, Supervisor
from supervision.taps import ignore_births, put_on, take_off, watch_births
from tests.simulation.machine import Killed
from tests.simulation.network import Trouble, owner_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from supervision.ref import Ref
    from tests.simulation.machine import Process
    from tests.simulation.world import World
    from transport.wire import FrameKind, Pipe

    T = TypeVar("T")
    End = Callable[[], None] | None
    Kind = Callable[[World, random.Random, float], End]

_SOON = (1, 2, 3, 5, 10, 30)
FLOOD = 5_000
"""Messages of a flood; more than a mailbox holds."""


class OnPurpose(Exception):  # noqa: N818 - nothing is wrong
    """What a crash on purpose raises."""


# --- whom it can hit -----------------------------------------------------------------------------


def processes(world: World, *names: str) -> list[Process]:
    """Return the living processes, or those whose name begins with one of ``names``."""
    alive = [each for each in world.machine.processes.values() if each.root is not None]
    if not names:
        return alive
    return [each for each in alive if each.spec.id.startswith(names)]


def light_actors(world: World, *parts: str) -> list[Ref]:
    """Return the light actors of all bidders that nothing is wrong with, by path."""
    found = []
    for process in processes(world, "bidder-"):
        for ref in process.cell.everybody():
            is_lasting = ref.parent is not None and not ref.quiet and ref is not process.root
            if is_lasting and ref.actor is not None and ref not in world.held:
                found.append(ref)
    if parts:
        found = [ref for ref in found if any(part in ref.path for part in parts)]
    return sorted(found, key=lambda ref: ref.path)


def _one(rng: random.Random, among: Sequence[T]) -> T | None:
    return among[int(rng.random() * len(among))] if among else None


# --- processes -----------------------------------------------------------------------------------


def kill_process(world: World, rng: random.Random, for_s: float) -> End:
    """SIGKILL one process, whichever."""
    victim = _one(rng, processes(world))
    if victim is not None:
        victim.die("killed")
    return None


def kill_bidder(world: World, rng: random.Random, for_s: float) -> End:
    """SIGKILL a bidder."""
    victim = _one(rng, processes(world, "bidder-"))
    if victim is not None:
        victim.die("killed")
    return None


def kill_ledger(world: World, rng: random.Random, for_s: float) -> End:
    """SIGKILL the ledger."""
    victim = _one(rng, processes(world, "ledger"))
    if victim is not None:
        victim.die("killed")
    return None


def kill_together(world: World, rng: random.Random, for_s: float) -> End:
    """SIGKILL several processes at one instant."""
    for _ in range(rng.randint(2, 4)):
        kill_process(world, rng, for_s)
    return None


def hang_process(world: World, rng: random.Random, for_s: float) -> End:
    """SIGSTOP one process; it may be found hung and killed before SIGCONT."""
    victim = _one(rng, processes(world))
    if victim is None:
        return None
    victim.hang()
    return victim.wake


def slow_process(world: World, rng: random.Random, for_s: float) -> End:
    """Give a process its turn only now and then."""
    victim = _one(rng, processes(world))
    if victim is None:
        return None
    victim.slow(rng.choice((0.002, 0.02, 0.08)))
    return lambda: victim.slow(0.0)


def stop_process(world: World, rng: random.Random, for_s: float) -> End:
    """SIGTERM one process, which ends in good order."""
    victim = _one(rng, processes(world))
    if victim is not None:
        victim.hear(lambda: victim.stop("shutdown"))
    return None


def die_at_operation(world: World, rng: random.Random, for_s: float) -> End:
    """Kill a process just before one of its next frames leaves or comes."""
    victim = _one(rng, processes(world, "bidder-", "ledger", "inference@"))
    if victim is None:
        return None
    victim.dies_at = victim.operations + rng.choice(_SOON)

    def end() -> None:
        victim.dies_at = None

    return end


def crash_at_operation(world: World, rng: random.Random, for_s: float) -> End:
    """Have whatever handler sends or takes one of the next frames raise."""
    victim = _one(rng, processes(world, "bidder-", "inference@"))
    if victim is None:
        return None
    victim.raises_at = victim.operations + rng.choice(_SOON)

    def end() -> None:
        victim.raises_at = None

    return end


def failing_starts(world: World, rng: random.Random, for_s: float) -> End:
    """Let half of all new processes die before they are ready."""
    world.machine.start_share = 0.5

    def end() -> None:
        world.machine.start_share = 1.0

    return end


def slow_starts(world: World, rng: random.Random, for_s: float) -> End:
    """Let new processes take long to come to their first line."""
    world.machine.slow_start_s = rng.choice((0.05, 0.5))

    def end() -> None:
        world.machine.slow_start_s = 0.0

    return end


# --- disks and devices ---------------------------------------------------------------------------


class _Point:
    """What happens at one of the product's fault points."""

    def __init__(self, action: str, rng: random.Random, share: float) -> None:
        self._action = action
        self._rng = rng
        self._share = share

    def strike(self, point: str, out_of_memory: Callable[[], Exception]) -> None:
        if self._rng.random() >= self._share:
            return
        if self._action == "kill":
            raise Killed
        if self._action == "oom":
            raise out_of_memory()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), point)


def _arm(world: World, rng: random.Random, place: tuple[str, str], action: str) -> End:
    """Arm a point in a process of its kind: (beginning of the name, point)."""
    name, point = place
    victim = _one(rng, processes(world, name))
    if victim is None or point in victim.points:
        return None
    victim.points[point] = _Point(action, rng, rng.choice((0.2, 1.0)))
    return lambda: victim.points.pop(point, None)


_DISKS = (
    ("ledger", "ledger.write"),
    ("ledger", "ledger.commit"),
    ("bidder-", "segments.write"),
    ("recorder", "parquet.write"),
)
_DEADLY = (*_DISKS, ("inference@", "inference.batch"))


def die_at_point(world: World, rng: random.Random, for_s: float) -> End:
    """Kill a process where it hurts: in the middle of a commit, a write, a batch."""
    return _arm(world, rng, rng.choice(_DEADLY), "kill")


def disk_full(world: World, rng: random.Random, for_s: float) -> End:
    """Let a disk take nothing more."""
    return _arm(world, rng, rng.choice(_DISKS), "enospc")


def out_of_memory(world: World, rng: random.Random, for_s: float) -> End:
    """Let the device of inference have no memory left."""
    return _arm(world, rng, ("inference@", "inference.batch"), "oom")


def clock_jump(world: World, rng: random.Random, for_s: float) -> End:
    """Set the machine's wall clock."""
    by_s = rng.choice((-3600.0, -1.0, -0.01, 0.5, 86_400.0)) * (1.0 + rng.random())
    world.machine.wall_offset_s += by_s
    return None


# --- light actors --------------------------------------------------------------------------------


def kill_actor(world: World, rng: random.Random, for_s: float) -> End:
    """Kill one light actor."""
    victim = _one(rng, light_actors(world))
    if victim is not None:
        victim.cell.kill(victim)
    return None


def kill_actors(world: World, rng: random.Random, for_s: float) -> End:
    """Kill several light actors at one instant."""
    for _ in range(rng.randint(2, 6)):
        kill_actor(world, rng, for_s)
    return None


def kill_money(world: World, rng: random.Random, for_s: float) -> End:
    """Kill an actor that money depends on."""
    victim = _one(
        rng, light_actors(world, "budget-manager", "link-ledger", "events", "ledger-feed")
    )
    if victim is not None:
        victim.cell.kill(victim)
    return None


def kill_gateway(world: World, rng: random.Random, for_s: float) -> End:
    """Kill a gateway."""
    victim = _one(rng, light_actors(world, "/gateway"))
    if victim is not None:
        victim.cell.kill(victim)
    return None


def kill_orchestrators(world: World, rng: random.Random, for_s: float) -> End:
    """Let half of the impressions die: before they start, or at one of their messages."""
    cells = [process.cell for process in processes(world, "bidder-")]

    def spoil(ref: Ref) -> None:
        if ref.quiet and rng.random() < 0.5:
            _doom(ref, rng.randint(0, 7))

    def end() -> None:
        for cell in cells:
            ignore_births(cell, spoil)

    for cell in cells:
        watch_births(cell, spoil)
    return end


def _doom(ref: Ref, after: int) -> None:
    """Let an actor crash at the message after so many; at none, kill it at once."""
    left = after

    def tap(receive: Any, message: Any, sender: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise OnPurpose(f"at {type(message).__name__}")
        return receive(message, sender)

    if after:
        put_on(ref, tap)
    else:
        ref.cell.kill(ref)


def crash_actor(world: World, rng: random.Random, for_s: float) -> End:
    """Let the next message that an actor handles be its last."""
    victim = _one(rng, light_actors(world))
    if victim is None:
        return None

    def tap(receive: Any, message: Any, sender: Any) -> Any:
        raise OnPurpose(f"at {type(message).__name__}")

    put_on(victim, tap)
    return lambda: take_off(victim, tap)


def crash_loop(world: World, rng: random.Random, for_s: float) -> End:
    """Kill whoever lives at one path, again and again: its supervisor gives up."""
    victim = _one(rng, light_actors(world))
    if victim is None:
        return None
    path = victim.path

    def strike() -> None:
        for ref in light_actors(world):
            if ref.path == path:
                ref.cell.kill(ref)
        world.machine.touch_all()

    every_s = rng.choice((0.001, 0.01, 0.1))
    for number in range(rng.randint(2, 14)):
        world.machine.after(number * every_s, strike)
    return None


def suspend_actor(world: World, rng: random.Random, for_s: float) -> End:
    """Suspend an actor, as an operator does."""
    victim = _one(rng, light_actors(world))
    if victim is None:
        return None
    world.hold(victim)
    victim.cell.suspend(victim)

    def end() -> None:
        world.release(victim)
        if victim.actor is not None:
            victim.cell.resume(victim)

    return end


def stall_actor(world: World, rng: random.Random, for_s: float) -> End:
    """Give an actor no turn for a while, as if its last one took long."""
    victim = _one(rng, light_actors(world))
    if victim is None:
        return None
    return world.stall(victim)


def slow_agent(world: World, rng: random.Random, for_s: float) -> End:
    """Give an agent a turn only every few milliseconds."""
    victim = _one(rng, light_actors(world, "/agents/", "link-"))
    if victim is None or isinstance(victim.actor, Supervisor):
        return None
    every_s = rng.choice((0.003, 0.02, 0.05))
    is_over = False

    def stall() -> None:
        if is_over or victim.actor is None or victim in world.held:
            return
        wake = world.stall(victim)

        def go_on() -> None:
            wake()
            world.machine.after(0.0001, stall)

        world.machine.after(every_s, go_on)

    def end() -> None:
        nonlocal is_over
        is_over = True

    stall()
    return end


def flood_actor(world: World, rng: random.Random, for_s: float) -> End:
    """Fill the mailbox of an actor that has no turn for a while."""
    victim = _one(rng, light_actors(world))
    if victim is None:
        return None
    end = world.stall(victim)
    for number in range(FLOOD):
        victim.cell.outside.post(victim, ("junk", number))
    return end


def lost_mail(world: World, rng: random.Random, for_s: float) -> End:
    """Lose a share of the messages to an actor, as its full mailbox would."""
    victim = _one(rng, [r for r in light_actors(world) if not isinstance(r.actor, Supervisor)])
    if victim is None:
        return None
    share = rng.choice((0.1, 0.5, 1.0))

    def tap(receive: Any, message: Any, sender: Any) -> Any:
        its_own = sender is victim or isinstance(message, WakeupMessage | WatchMessage | Down)
        if not its_own and rng.random() < share:
            return None
        return receive(message, sender)

    put_on(victim, tap)
    return lambda: take_off(victim, tap)


# --- the network ---------------------------------------------------------------------------------


_ALL: tuple[FrameKind, ...] = ("request", "reply", "published")
_DIRECTIONS: tuple[tuple[FrameKind, ...], ...] = (_ALL, _ALL, ("request",), ("reply",))


def _touches(world: World, rng: random.Random) -> Callable[[Pipe, FrameKind], bool]:
    """Choose connections: all, those of one process, those to one address; and directions."""
    kinds = rng.choice(_DIRECTIONS)
    pipes = world.machine.network.hub.pipes()
    scope, victim = rng.random(), _one(rng, pipes)
    if scope < 0.3 or victim is None:
        return lambda _pipe, kind: kind in kinds
    if scope < 0.6:
        url = victim.url
        return lambda pipe, kind: pipe.url == url and kind in kinds
    name = owner_of(victim.dialer)
    return lambda pipe, kind: (
        kind in kinds and name in (owner_of(pipe.dialer), owner_of(pipe.listener))
    )


def _trouble(world: World, rng: random.Random, **what: Any) -> End:
    network = world.machine.network
    trouble = Trouble(rng, _touches(world, rng), **what)
    network.begin(trouble)
    return lambda: network.end(trouble)


def lossy_network(world: World, rng: random.Random, for_s: float) -> End:
    """Lose frames."""
    return _trouble(world, rng, loss=rng.choice((0.05, 0.3, 1.0)))


def doubling_network(world: World, rng: random.Random, for_s: float) -> End:
    """Deliver frames twice."""
    return _trouble(world, rng, doubling=rng.choice((0.2, 1.0)))


def slow_network(world: World, rng: random.Random, for_s: float) -> End:
    """Deliver frames late."""
    return _trouble(world, rng, delay_s=rng.choice((0.005, 0.03, 0.3)))


def reordering_network(world: World, rng: random.Random, for_s: float) -> End:
    """Let frames overtake each other."""
    return _trouble(world, rng, jitter_s=rng.choice((0.002, 0.05, 1.5)))


def bad_network(world: World, rng: random.Random, for_s: float) -> End:
    """Lose, double, delay and reorder, all at once."""
    return _trouble(world, rng, loss=0.15, doubling=0.15, delay_s=0.001, jitter_s=0.02)


def held_network(world: World, rng: random.Random, for_s: float) -> End:
    """Let nothing through for a while, then everything."""
    return _trouble(world, rng, is_held=True)


def cut_network(world: World, rng: random.Random, for_s: float) -> End:
    """Break connections, and let none be made for a while."""
    return _trouble(world, rng, is_cut=True)


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        kill_process,
        kill_bidder,
        kill_ledger,
        kill_together,
        hang_process,
        slow_process,
        stop_process,
        die_at_operation,
        crash_at_operation,
        failing_starts,
        slow_starts,
        die_at_point,
        disk_full,
        out_of_memory,
        clock_jump,
        kill_actor,
        kill_actors,
        kill_money,
        kill_gateway,
        kill_orchestrators,
        crash_actor,
        crash_loop,
        suspend_actor,
        stall_actor,
        slow_agent,
        flood_actor,
        lost_mail,
        lossy_network,
        doubling_network,
        slow_network,
        reordering_network,
        bad_network,
        held_network,
        cut_network,
    )
}

WAITING = frozenset(
    {
        "die_at_operation",
        "crash_at_operation",
        "die_at_point",
        "disk_full",
        "out_of_memory",
        "crash_actor",
        "kill_orchestrators",
        "failing_starts",
        "slow_starts",
    }
)
"""Kinds that wait for an occasion, and so must last a while."""
