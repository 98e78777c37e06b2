"""The cell: an in-process Thespian system base that runs thousands of light actors in one event loop.

Hand it to ``ActorSystem(systemBase=Cell(...), transientUnique=True)`` or drive it with :meth:`Cell.run`. One loop serves
mailboxes, timers and descriptors. Order of service: an actor's system lane before its work; a crash ends the actor, tells
its parent the reason and everybody who waits for its answer that there will be none. Clock, randomness and poller are
handed in; with a :class:`~supervision.clock.VirtualClock` the loop jumps from timer to timer and one seed replays a run.
What is promised and what not stands in docs/SEMANTICS.md.
"""

from __future__ import annotations

import heapq
import random
import traceback
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage
from thespian.system.utilis import actualActorClass, withPossibleInitArgs

from supervision.actor import STARTING, STOPPING, LightActor
from supervision.clock import Clock, VirtualClock, monotonic_clock
from supervision.errors import Exit, IgnoreStart, StartError
from supervision.external import ExternalCalls
from supervision.messages import (
    ChildDeclined,
    ChildExited,
    ChildFailed,
    ChildStarted,
    Down,
    Reason,
    Report,
    StopRequest,
    is_clean,
)
from supervision.poller import EpollPoller
from supervision.ref import Ref, Timer
from supervision.registry import Registry
from supervision.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.ports import ProcessPort

BURST = 64
"""Messages that one actor handles before the next gets its turn."""
TURN = 2048
"""Actors served before the loop looks at timers and descriptors again."""
DEFAULT_MAILBOX_LIMIT = 4096
IDLE_WAIT_S = 60.0


class Cell(ExternalCalls):
    """One event loop full of light actors.

    Attributes:
        clock: Monotonic seconds.
        random: The only source of chance for the actors of this cell.
        registry: Roles and their fallback routes.
        topics: Publish and subscribe.
        processes: How a supervisor here starts children in processes of their own; ``None`` where that is impossible.
        reporter: Takes supervisors' reports (structured logs).
        dead_letters: Messages that were sent to the dead.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        *,
        poller: EpollPoller | None = None,
        reporter: Callable[[Report], None] | None = None,
    ) -> None:
        self.clock: Clock = clock or monotonic_clock()
        self.random = rng or random.Random()
        self.poller = poller or EpollPoller()
        self.reporter = reporter or (lambda _report: None)
        self.registry = Registry(self.clock)
        self.topics = Topics()
        self.processes: ProcessPort | None = None
        self.ready: deque[Ref] = deque()
        self.dead_letters = 0
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count(1)
        self._watchers: dict[int, Ref] = {}
        super().__init__()

    # -- making actors ------------------------------------------------------------------------------------------

    def spawn(  # noqa: PLR0913 - each is a property of the new actor
        self,
        build: Callable[..., Any],
        args: tuple[Any, ...] = (),
        *,
        parent: Ref | None = None,
        name: str | None = None,
        limit: int = DEFAULT_MAILBOX_LIMIT,
        quiet: bool = False,
    ) -> Ref:
        """Make an actor; its ``on_start`` runs in its own turn, and its parent hears ``ChildStarted`` or why not.

        Args:
            build: Returns the actor when called with ``args``. What it raises counts as a failed start.
            args: Arguments of ``build``.
            parent: Who hears of its start and end.
            name: Its name among its siblings; made up if absent.
            limit: Bound of its mailbox.
            quiet: Tell the parent of abnormal ends only (for the many short-lived).
        """
        ref = Ref(self, name or f"{next(self._numbers)}", parent, limit)
        try:
            actor = build(*args)
        except Exception as error:  # noqa: BLE001 - any bug in a constructor is a failed start
            ref.exit_reason = failure_reason(error)
            if parent is not None:
                parent.signal(ChildFailed(ref, ref.exit_reason, traceback.format_exc()), ref)
            return ref
        self._install(ref, actor, quiet=quiet)
        return ref

    def _install(self, ref: Ref, actor: Any, *, quiet: bool) -> None:
        actor._myRef = ref  # noqa: SLF001 - Thespian's own link between actor and system
        ref.actor = actor
        ref.receive = actor.receiveMessage
        ref.starting = True
        if quiet:
            ref.quiet = True
        if isinstance(actor, LightActor):
            actor.send = ref.post  # type: ignore[method-assign]
        parent = ref.parent
        if parent is None:
            self.primaries[ref] = None
        elif parent.children is None:
            parent.children = {ref: None}
        else:
            parent.children[ref] = None
        ref.scheduled = True
        self.ready.append(ref)

    def create(
        self, actor_class: Any, parent: Ref | None, requirements: object, global_name: str | None
    ) -> Ref:
        """Make an actor the Thespian way: from a class or its dotted name, optionally under a global name."""
        if global_name and global_name in self.global_names:
            return self.global_names[global_name]
        resolved = actualActorClass(actor_class)
        init = withPossibleInitArgs(capabilities=self.capabilities, requirements=requirements)
        ref = self.spawn(init.create, (resolved,), parent=parent)
        if global_name:
            ref.globalName = global_name
            self.global_names[global_name] = ref
        return ref

    # -- life and death -----------------------------------------------------------------------------------------

    def started(self, ref: Ref, info: Any = None) -> None:
        """Tell the parent that ``ref`` is ready."""
        if ref.starting:
            ref.starting = False
            if ref.parent is not None and not ref.quiet:
                ref.parent.signal(ChildStarted(ref, info), ref)

    def stop(self, ref: Ref, reason: Reason = "shutdown") -> None:
        """Ask ``ref`` to end politely."""
        ref.signal(StopRequest(reason))

    def kill(self, ref: Ref, reason: Reason = "killed") -> None:
        """End ``ref`` at once; none of its code but ``on_end`` runs."""
        self.end(ref, reason)

    def suspend(self, ref: Ref) -> None:
        """Keep its messages waiting; its system lane is still served."""
        ref.suspended = True

    def resume(self, ref: Ref) -> None:
        """Serve what has been waiting."""
        ref.suspended = False
        ref.schedule()

    def end(self, ref: Ref, reason: Reason, detail: str = "") -> None:
        """End ``ref`` for ``reason`` and tell everybody concerned. Its children end with it."""
        actor = ref.actor
        if actor is None:
            return
        ref.actor = ref.receive = None
        ref.exit_reason = reason
        if ref.children:
            for child in tuple(ref.children):
                self.end(child, "killed")
        self._release(ref)
        if isinstance(actor, LightActor):
            actor.on_end()
        parent = ref.parent
        siblings = self.primaries if parent is None else parent.children
        if siblings:
            siblings.pop(ref, None)
        if ref.waiters:
            self.tell_waiters(ref, reason)
        if parent is not None and parent.actor is not None:
            self._tell_parent(parent, ref, reason, detail)

    def _release(self, ref: Ref) -> None:
        self.dead_letters += len(ref.mailbox)
        ref.mailbox.clear()
        ref.system = None
        if ref.watched:
            self._set_watch(ref, frozenset())

    @staticmethod
    def tell_waiters(ref: Ref, reason: Reason) -> None:
        """Tell all that wait for an answer of ``ref`` that none will come."""
        waiters, ref.waiters = ref.waiters, None
        for waiter in waiters or ():
            waiter.signal(Down(ref, reason), ref)

    @staticmethod
    def _tell_parent(parent: Ref, ref: Ref, reason: Reason, detail: str) -> None:
        if ref.starting and not ref.quiet:
            declined = isinstance(reason, IgnoreStart)
            news = ChildDeclined(ref) if declined else ChildFailed(ref, reason, detail)
            parent.signal(news, ref)
        elif not (ref.quiet and is_clean(reason)):
            parent.signal(ChildExited(ref, reason, detail), ref)

    def _crash(self, ref: Ref, error: Exception) -> None:
        if isinstance(error, Exit):
            self.end(ref, error.reason)
        elif isinstance(error, IgnoreStart) and ref.starting:
            self.end(ref, error)
        else:
            self.end(ref, failure_reason(error), traceback.format_exc())

    # -- timers and descriptors ---------------------------------------------------------------------------------

    def wake_after(self, ref: Ref, delay_s: float, payload: object) -> Timer:
        """Send ``ref`` a ``WakeupMessage`` after ``delay_s`` seconds."""
        due_s = self.clock() + delay_s
        timer = Timer(ref, due_s, payload)
        heapq.heappush(self._timers, (due_s, next(self._numbers), timer))
        return timer

    def next_due_s(self) -> float | None:
        """When the next timer is due (cancelled ones left out), or ``None``."""
        timers = self._timers
        while timers and (timers[0][2].ref is None or timers[0][2].ref.actor is None):
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def _fire_timers(self) -> None:
        timers = self._timers
        if not timers or timers[0][0] > (now_s := self.clock()):
            return
        while timers and timers[0][0] <= now_s:
            timer = heapq.heappop(timers)[2]
            ref, timer.ref = timer.ref, None
            if ref is not None and ref.actor is not None:
                # A wake-up is one's own doing, so the mailbox's bound does not refuse it.
                ref.mailbox.append((WakeupMessage(0.0, timer.payload), ref))
                ref.schedule()

    def _set_watch(self, ref: Ref, filenos: frozenset[int]) -> None:
        if filenos == ref.watched:
            return
        for fd in ref.watched - filenos:
            if self._watchers.get(fd) is ref:
                del self._watchers[fd]
                self.poller.unwatch(fd)
        for fd in filenos - ref.watched:
            if fd in self._watchers:  # a descriptor's number came back before its old owner let go
                self.poller.unwatch(fd)
            self._watchers[fd] = ref
            self.poller.watch(fd)
        ref.watched = filenos

    def _poll(self, timeout_s: float | None) -> bool:
        """Wake the watchers of readable descriptors; a suspended one is not looked at."""
        fds = self.poller.poll(timeout_s)
        for fd in fds:
            ref = self._watchers.get(fd)
            if ref is None:
                self.poller.unwatch(fd)
            elif ref.ready_fds is None:
                ref.ready_fds = [fd]
                ref.schedule()
            else:
                ref.ready_fds.append(fd)
        return bool(fds)

    # -- the loop -----------------------------------------------------------------------------------------------

    def run(self, max_s: float | None = None, until: Callable[[], bool] | None = None) -> bool:
        """Serve actors until ``until()`` holds, ``max_s`` seconds have passed, or (virtual time) nothing is left.

        Returns:
            Whether anything at all was done.
        """
        deadline_s = None if max_s is None else self.clock() + max_s
        busy = False
        while True:
            busy = self._run_ready() or busy
            if until is not None and until():
                return busy
            wait_s = self._wait_s(deadline_s)
            if wait_s is None:
                return busy
            busy = self._wait(wait_s) or busy
            self._fire_timers()
            if deadline_s is not None and self.clock() >= deadline_s:
                # Out of time, however much work is left: a host must get to hear its own supervisor.
                return self._run_ready() or busy

    def _wait_s(self, deadline_s: float | None) -> float | None:
        """How long to wait for descriptors: 0 with work left, ``None`` when nothing can ever happen."""
        if self.ready:
            return 0.0
        due_s = self.next_due_s()
        if due_s is None and deadline_s is None:
            if isinstance(self.clock, VirtualClock) or not self._watchers:
                return None if not self._watchers or not self._poll(0) else 0.0
            return IDLE_WAIT_S
        moments = [moment for moment in (due_s, deadline_s) if moment is not None]
        return max(0.0, min(moments) - self.clock())

    def _wait(self, wait_s: float) -> bool:
        """Wait for a descriptor; in virtual time, jump over the wait if none is ready."""
        if isinstance(self.clock, VirtualClock):
            if self._poll(0):
                return True
            if not self.ready:
                self.clock.advance(wait_s)
            return False
        return self._poll(wait_s)

    def _run_ready(self) -> bool:
        ready = self.ready
        if not ready:
            return False
        served = 0
        while ready and served < TURN:
            ref = ready.popleft()
            ref.scheduled = False
            served += 1
            try:
                self._serve(ref)
            except Exception as error:  # noqa: BLE001 - let it crash: any bug ends this actor, and only it
                self._crash(ref, error)
        return True

    def _serve(self, ref: Ref) -> None:
        """Give ``ref`` its turn: start it if it is new, its system lane, its descriptors, then a burst of work."""
        if ref.starting and not self._begin(ref):
            return
        if ref.system:
            self._serve_system(ref)
        receive = ref.receive
        if receive is None or ref.suspended:
            return
        if ref.ready_fds is not None:
            fds, ref.ready_fds = ref.ready_fds, None
            self._after(ref, receive(WatchMessage(fds), ref))
        mailbox = ref.mailbox
        left = len(mailbox)
        if not left:
            return
        if left > BURST:
            left = BURST
        ref.handled += left
        while left:
            message, sender = mailbox.popleft()
            left -= 1
            result = receive(message, sender)
            if result is not None:
                self._after(ref, result)
            if ref.actor is None:
                return
            if ref.system:
                ref.handled -= left
                break
        if mailbox or ref.system:
            ref.schedule()

    def _begin(self, ref: Ref) -> bool:
        """Run ``on_start`` once; false while the actor is not to be served any further."""
        actor = ref.actor
        if actor is None:
            return False
        if ref.begun:
            return True  # still STARTING: it may receive what it waits for
        ref.begun = True
        if not isinstance(actor, LightActor):
            self.started(ref)
            return True
        result = actor.on_start()
        if result is not STARTING:
            if result is not None:
                self._after(ref, result)
            self.started(ref)
        return ref.actor is not None

    def _serve_system(self, ref: Ref) -> None:
        system = ref.system
        while system and ref.actor is not None:
            message, sender = system.popleft()
            if isinstance(message, StopRequest):
                self._polite_stop(ref, message.reason)
            else:
                assert ref.receive is not None
                self._after(ref, ref.receive(message, sender))

    def _polite_stop(self, ref: Ref, reason: Reason) -> None:
        actor = ref.actor
        if isinstance(actor, LightActor) and actor.on_stop(reason) is STOPPING:
            return
        self.end(ref, reason)

    def _after(self, ref: Ref, result: Any) -> None:
        """A returned ``ThespianWatch`` is in force until the next one."""
        if isinstance(result, ThespianWatch) and ref.actor is not None:
            self._set_watch(ref, frozenset(result.filenos))


def failure_reason(error: Exception) -> Reason:
    """Return the exit reason that stands for ``error``."""
    if isinstance(error, StartError | Exit):
        return error.reason
    return f"{type(error).__name__}: {error}"[:500]
