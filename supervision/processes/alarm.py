"""A timer that is a descriptor (Linux timerfd): readable from the moment it is set to.

A host waits on it together with its sockets. Thespian's own wake-ups would not do: its transport
hands out a wake-up that is due before it looks at any socket, so a busy cell, whose next timer is
always due, would never hear its supervisor.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1
_NANOSECONDS: Final = 1_000_000_000


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class Alarm:
    """One timer on the monotonic clock.

    Raises:
        OSError: The system has no timerfd.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed; this needs Linux")
        self._due_s: float | None = None

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._fd

    def set(self, due_s: float | None) -> None:
        """Ring at ``due_s`` (monotonic seconds; at once if that is past), or not at all."""
        if due_s == self._due_s:
            return
        self._due_s = due_s
        nanoseconds = 0 if due_s is None else max(1, int(due_s * _NANOSECONDS))
        value = _TimeSpec(*divmod(nanoseconds, _NANOSECONDS))
        spec = _TimerSpec(_TimeSpec(0, 0), value)
        if self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def hush(self) -> None:
        """Stop ringing; the next :meth:`set` counts, even for the same moment."""
        self._due_s = None
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
