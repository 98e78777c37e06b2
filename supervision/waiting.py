"""What a cell waits for: timers and descriptors, both handed on to actors as messages."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from thespian.actors import WakeupMessage

from supervision.clock import VirtualClock
from supervision.ref import Timer

if TYPE_CHECKING:
    from collections import deque
    from datetime import timedelta

    from supervision.clock import Clock
    from supervision.poller import EpollPoller
    from supervision.ref import Ref

FEW_TIMERS = 1024
"""Below this many timers, cancelled ones are not worth clearing away."""


class Waiting:
    """The timers and watched descriptors of one cell.

    Attributes:
        clock: Monotonic seconds.
        ready: Actors that are to be served, in order.
        cancelled: Timers that were cancelled and still lie in the heap.
        awake_s: Since when the loop has not rested. Whatever comes in now came later than this.
    """

    ready: deque[Ref]

    def __init__(self, clock: Clock, poller: EpollPoller) -> None:
        self.clock = clock
        self.poller = poller
        self.cancelled = 0
        self.awake_s = clock()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count(1)
        self._watchers: dict[int, Ref] = {}

    # -- timers ---------------------------------------------------------------------------------

    def wake_after(
        self, ref: Ref, delay_s: float, payload: object, period: timedelta | float | None = None
    ) -> Timer:
        """Send ``ref`` a ``WakeupMessage`` after ``delay_s`` seconds.

        Args:
            ref: Who is woken.
            delay_s: Seconds from now.
            payload: Comes back in the message.
            period: The delay as its asker wrote it, for the message; ``delay_s`` if absent.
        """
        timers = self._timers
        if self.cancelled > FEW_TIMERS and self.cancelled > len(timers) // 2:
            timers[:] = [entry for entry in timers if entry[2].ref is not None]
            heapq.heapify(timers)
            self.cancelled = 0
        due_s = self.clock() + delay_s
        timer = Timer(ref, due_s, payload, delay_s if period is None else period)
        heapq.heappush(timers, (due_s, next(self._numbers), timer))
        return timer

    def next_due_s(self) -> float | None:
        """Say when the cell next wants its turn: now with work left, or at the next live timer."""
        if self.ready:
            return self.clock()
        timers = self._timers
        while timers and not timers[0][2].is_live:
            self._pop_timer()
        return timers[0][0] if timers else None

    def _pop_timer(self) -> Timer:
        timer = heapq.heappop(self._timers)[2]
        if timer.ref is None:
            self.cancelled -= 1
        return timer

    def _fire_timers(self) -> None:
        timers = self._timers
        if not timers or timers[0][0] > (now_s := self.clock()):
            return
        while timers and timers[0][0] <= now_s:
            timer = self._pop_timer()
            ref, timer.ref = timer.ref, None
            if ref is not None and ref.actor is not None:
                # A wake-up is one's own doing, so the mailbox's bound does not refuse it.
                ref.mailbox.append((WakeupMessage(timer.period, timer.payload), ref))
                ref.schedule()

    # -- descriptors ----------------------------------------------------------------------------

    def _set_watch(self, ref: Ref, filenos: frozenset[int]) -> None:
        for fd in ref.watched - filenos:
            if self._watchers.get(fd) is ref:
                del self._watchers[fd]
                self.poller.unwatch(fd)
        for fd in filenos:
            # Also what was watched before: closed and opened again, it has only the number.
            self._watchers[fd] = ref
            self.poller.watch(fd)
        ref.watched = filenos

    def pause_watch(self, ref: Ref) -> None:
        """Look at no descriptor of one that will not read: it would keep the loop awake."""
        for fd in ref.watched:
            self.poller.unwatch(fd)

    def resume_watch(self, ref: Ref) -> None:
        """Look at its descriptors again."""
        for fd in ref.watched:
            self.poller.watch(fd)

    def _poll(self, timeout_s: float | None) -> bool:
        """Wake the watchers of readable descriptors."""
        fds = self.poller.poll(timeout_s)
        for fd in fds:
            ref = self._watchers.get(fd)
            if ref is None:
                self.poller.unwatch(fd)
            elif ref.ready_fds is None:
                ref.ready_fds = [fd]
                ref.schedule()
            elif fd not in ref.ready_fds:
                ref.ready_fds.append(fd)
        return bool(fds)

    def poke(self, fd: int) -> None:
        """Have whoever watches ``fd`` look at it, as if it had become readable."""
        ref = self._watchers.get(fd)
        if ref is not None and fd not in (ref.ready_fds or ()):
            ref.ready_fds = [*(ref.ready_fds or ()), fd]
            ref.schedule()

    # -- waiting --------------------------------------------------------------------------------

    def _wait_s(self, deadline_s: float | None, idle_s: float) -> float | None:
        """Say how long to wait: 0 with work left, ``None`` when nothing can ever happen."""
        if self.ready:
            return 0.0
        due_s = self.next_due_s()
        if due_s is None and deadline_s is None:
            if not self._watchers:
                return None
            if isinstance(self.clock, VirtualClock):
                return 0.0 if self._poll(0) else None
            return idle_s
        moments = [moment for moment in (due_s, deadline_s) if moment is not None]
        return max(0.0, min(moments) - self.clock())

    def _wait(self, wait_s: float) -> bool:
        """Wait for a descriptor; in virtual time, jump over the wait if none is ready."""
        if not isinstance(self.clock, VirtualClock):
            busy = self._poll(wait_s)
        else:
            busy = bool(self._watchers) and self._poll(0)
            if not busy and not self.ready:
                self.clock.advance(wait_s)
        if wait_s > 0.0:
            self._woke()
        return busy

    def _woke(self) -> None:
        """Note that the loop has rested: at the latest until its first timer was due.

        A timer that is overdue tells that the process was kept from running meanwhile.
        """
        due_s, now_s = self.next_due_s(), self.clock()
        self.awake_s = now_s if due_s is None else min(now_s, due_s)

    def _is_late(self, deadline_s: float | None) -> bool:
        """Tell whether time is up. Virtual time stands still until all that is due is done."""
        if deadline_s is None or self.clock() < deadline_s:
            return False
        if not isinstance(self.clock, VirtualClock):
            return True
        due_s = self.next_due_s()
        return due_s is None or due_s > self.clock()
