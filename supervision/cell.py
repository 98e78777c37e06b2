"""The cell: an in-process Thespian system base that runs thousands of light actors in one loop.

Hand it to ``ActorSystem(systemBase=Cell(...), transientUnique=True)`` or drive it with
:meth:`Cell.run`. One loop serves mailboxes, timers and descriptors. Order of service: an actor's
system lane before its work; a crash ends the actor, tells its parent the reason and everybody who
waits for its answer that there will be none. Clock, randomness and poller are handed in; with a
:class:`~supervision.clock.VirtualClock` the loop jumps from timer to timer and one seed replays a
run. What is promised and what not stands in docs/SEMANTICS.md.
"""

from __future__ import annotations

import random
import secrets
import traceback
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from thespian.actors import Actor, ThespianWatch, WatchMessage

from supervision.actor import STARTING, STOPPING, LightActor
from supervision.clock import Clock, monotonic_clock
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
from supervision.ref import Ref
from supervision.registry import Registry
from supervision.topics import Topics
from supervision.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.faults.book import Faults
    from supervision.processes.ports import ProcessPort

BURST = 64
"""Messages that one actor handles before the next gets its turn."""
TURN = 2048
"""Actors served before the loop looks at timers and descriptors again."""
DEFAULT_MAILBOX_LIMIT = 4096
IDLE_WAIT_S = 60.0
REASON_LENGTH = 500
"""Characters of an exception's text that travel in an exit reason."""


class Cell(Waiting, ExternalCalls):
    """One event loop full of light actors.

    Attributes:
        clock: Monotonic seconds.
        random: The only source of chance for the actors of this cell.
        registry: Roles and their fallback routes.
        topics: Publish and subscribe.
        processes: How a supervisor here starts children in processes of their own; ``None`` where
            that is impossible.
        reporter: Takes supervisors' reports (structured logs).
        dead_letters: Messages that were sent to the dead.
        birth_watchers: Who is called with each new actor; see ``supervision.taps``.
        faults: The faults that somebody made on purpose; made when first needed.
    """

    birth_watchers: tuple[Callable[[Ref], None], ...] = ()
    faults: Faults | None = None

    def __init__(
        self,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        *,
        poller: EpollPoller | None = None,
        reporter: Callable[[Report], None] | None = None,
    ) -> None:
        Waiting.__init__(self, clock or monotonic_clock(), poller or EpollPoller())
        self.random = rng or random.Random()
        self.reporter = reporter or (lambda _report: None)
        self.registry = Registry(self.clock)
        self.topics = Topics()
        self.processes: ProcessPort | None = None
        self.ready: deque[Ref] = deque()
        self.dead_letters = 0
        ExternalCalls.__init__(self)

    # -- making actors --------------------------------------------------------------------------

    def spawn(
        self,
        build: Callable[..., Any],
        args: tuple[Any, ...] = (),
        *,
        parent: Ref | None = None,
        name: str | None = None,
        limit: int = DEFAULT_MAILBOX_LIMIT,
        quiet: bool = False,
    ) -> Ref:
        """Make an actor; its ``on_start`` runs in its own turn.

        Its parent hears ``ChildStarted``, or why not. (A parent that is a plain Thespian actor
        hears what Thespian would tell it: ``ChildActorExited`` and no more.)

        Args:
            build: Returns the actor when called with ``args``. What it raises, and what it returns
                that is no actor, counts as a failed start.
            args: Arguments of ``build``.
            parent: Who hears of its start and end.
            name: Its name among its siblings; made up if absent.
            limit: Bound of its mailbox.
            quiet: Tell the parent of abnormal ends only (for the many short-lived).
        """
        ref = Ref(self, name or f"{next(self._numbers)}", parent, limit)
        try:
            actor = build(*args)
            if not isinstance(actor, LightActor):
                _check_plain(actor)
                ref.plain = True
        except Exception as error:  # noqa: BLE001 - any bug in a constructor is a failed start
            ref.starting = True
            ref.exit_reason = failure_reason(error)
            if parent is not None:
                reason = error if isinstance(error, IgnoreStart) else ref.exit_reason
                self._tell_parent(parent, ref, reason, traceback.format_exc())
            return ref
        self._install(ref, actor, quiet=quiet)
        return ref

    def _install(self, ref: Ref, actor: Any, *, quiet: bool) -> None:
        actor._myRef = ref  # noqa: SLF001 - Thespian's own link between actor and system
        ref.actor = actor
        ref.starting = True
        if quiet:
            ref.quiet = True
        if ref.plain:
            ref.receive = partial(self.receive_plain, ref)
        else:
            actor.cell = self
            actor.send = ref.post
            ref.receive = actor.receiveMessage
        parent = ref.parent
        if parent is None:
            self.primaries[ref] = None
        elif parent.children is None:
            parent.children = {ref: None}
        else:
            parent.children[ref] = None
        ref.scheduled = True
        self.ready.append(ref)

    def fresh_id(self) -> str:
        """Return a name that nobody else has, not even a predecessor with the same seed."""
        return secrets.token_hex(6)

    # -- life and death -------------------------------------------------------------------------

    def started(self, ref: Ref, info: Any = None) -> None:
        """Tell the parent that ``ref`` is ready."""
        if ref.starting:
            ref.starting = False
            if ref.parent is not None and not ref.quiet and not ref.parent.plain:
                ref.parent.signal(ChildStarted(ref, info), ref)

    def stop(self, ref: Ref, reason: Reason = "shutdown") -> None:
        """Ask ``ref`` to end politely."""
        ref.signal(StopRequest(reason))

    def kill(self, ref: Ref, reason: Reason = "killed") -> None:
        """End ``ref`` at once; none of its code but ``on_end`` runs."""
        self.end(ref, reason)

    def suspend(self, ref: Ref) -> None:
        """Keep all that comes for it waiting; only a request to stop, or a kill, is still heard."""
        if not ref.suspended:
            ref.suspended = True
            self.pause_watch(ref)

    def resume(self, ref: Ref) -> None:
        """Serve what has been waiting."""
        if ref.suspended:
            ref.suspended = False
            self.resume_watch(ref)
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
        if not ref.plain and type(actor).on_end is not LightActor.on_end:
            self._last_rites(ref, actor, reason)
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
        if ref.globalName:
            self.global_names.pop(ref.globalName, None)

    def _last_rites(self, ref: Ref, actor: LightActor, reason: Reason) -> None:
        """Run ``on_end``; a bug in it must not hurt whoever ends the actor."""
        try:
            actor.on_end()
        except Exception:  # noqa: BLE001 - see above
            self.reporter(Report(ref.path, "on_end", reason, detail=traceback.format_exc()))

    @staticmethod
    def tell_waiters(ref: Ref, reason: Reason) -> None:
        """Tell all that wait for an answer of ``ref`` that none will come."""
        waiters, ref.waiters = ref.waiters, None
        for waiter in waiters or ():
            waiter.signal(Down(ref, reason), ref)

    @staticmethod
    def _tell_parent(parent: Ref, ref: Ref, reason: Reason, detail: str) -> None:
        if ref.quiet and is_clean(reason):
            return
        news: Any
        if parent.plain or not ref.starting or ref.quiet:
            news = ChildExited(ref, reason, detail)
        elif isinstance(reason, IgnoreStart):
            news = ChildDeclined(ref)
        else:
            news = ChildFailed(ref, reason, detail)
        parent.signal(news, ref)

    def crash(self, ref: Ref, error: Exception) -> None:
        """End ``ref`` for the exception that its code let through."""
        if isinstance(error, Exit):
            self.end(ref, error.reason)
        elif isinstance(error, IgnoreStart) and ref.starting:
            self.end(ref, error)
        else:
            self.end(ref, failure_reason(error), traceback.format_exc())

    # -- the loop -------------------------------------------------------------------------------

    def run(self, max_s: float | None = None, until: Callable[[], bool] | None = None) -> bool:
        """Serve actors until there is a reason to stop.

        Args:
            max_s: Return after so many seconds, however much work is left; 0 looks once at
                everything. In virtual time all that is due at the last moment is done first.
            until: Return as soon as this holds; looked at after each round.

        Returns:
            Whether anything at all was done. Without ``max_s`` the call returns when nothing can
            ever happen any more.
        """
        deadline_s = None if max_s is None else self.clock() + max_s
        busy = False
        if not self.ready:
            self._woke()
        while True:
            self._fire_timers()
            busy = self._run_ready() or busy
            if until is not None and until():
                return busy
            wait_s = self._wait_s(deadline_s, IDLE_WAIT_S)
            if wait_s is None:
                return busy
            busy = self._wait(wait_s) or busy
            if self._is_late(deadline_s):
                self._fire_timers()
                return self._run_ready() or busy

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
            except Exception as error:  # noqa: BLE001 - any bug ends this actor, and only it
                self.crash(ref, error)
        return True

    def _serve(self, ref: Ref) -> None:
        """Give ``ref`` its turn: its start, its system lane, its descriptors, a burst of work.

        Of the waiting messages it gets at most a burst, and none before a system message.
        """
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
        left = burst = min(len(mailbox), BURST)
        while left and mailbox and not ref.system:  # the dead have neither
            left -= 1
            result = receive(*mailbox.popleft())
            if result is not None:
                self._after(ref, result)
        ref.handled += burst - left
        if mailbox or ref.system:
            ref.schedule()

    def hand(self, ref: Ref, receive: Callable[[Any, Any], Any], message: Any, sender: Any) -> None:
        """Have ``ref`` handle one message out of its turn, as if in its turn."""
        try:
            self._after(ref, receive(message, sender))
        except Exception as error:  # noqa: BLE001 - any bug ends this actor, and only it
            self.crash(ref, error)

    def _begin(self, ref: Ref) -> bool:
        """Run ``on_start`` once; false while the actor is not to be served any further."""
        actor = ref.actor
        if actor is None:
            return False
        if ref.begun:
            return True  # still STARTING: it may receive what it waits for
        ref.begun = True
        if ref.plain:
            self.started(ref)
            return True
        result = actor.on_start()
        if result is not STARTING:
            if result is not None:
                self._after(ref, result)
            self.started(ref)
        return ref.actor is not None

    def _serve_system(self, ref: Ref) -> None:
        """Serve the whole system lane; of a suspended actor's only requests to stop."""
        system, kept = ref.system, []
        while system and ref.actor is not None:
            message, sender = system.popleft()
            if isinstance(message, StopRequest):
                self._polite_stop(ref, message.reason, sender)
            elif ref.suspended:
                kept.append((message, sender))
            else:
                assert ref.receive is not None
                self._after(ref, ref.receive(message, sender))
        if kept and system is not None:
            system.extendleft(reversed(kept))

    def _polite_stop(self, ref: Ref, reason: Reason, sender: Ref | None = None) -> None:
        actor = ref.actor
        if ref.plain:
            self.exit_plain(ref, reason, sender)
        elif actor is not None and actor.on_stop(reason) is not STOPPING:
            self.end(ref, reason)

    def _after(self, ref: Ref, result: Any) -> None:
        """A returned ``ThespianWatch`` is in force until the next one."""
        if isinstance(result, ThespianWatch) and ref.actor is not None:
            self._set_watch(ref, frozenset(result.filenos))


def _check_plain(actor: object) -> None:
    """Refuse what a factory returned if it is not even a plain Thespian actor."""
    if not isinstance(actor, Actor):
        raise StartError(actor if isinstance(actor, str | tuple) else repr(actor))


def failure_reason(error: Exception) -> Reason:
    """Return the exit reason that stands for ``error``."""
    if isinstance(error, StartError | Exit):
        return error.reason
    return f"{type(error).__name__}: {error}"[:REASON_LENGTH]
