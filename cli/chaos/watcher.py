"""Looks at the node all the time, and knows when each fault was over.

It is a thread of its own, because the toolkit blocks in actions and pauses.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.chaos.target import lacks
from cli.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.chaos.target import Look, Target

EVERY_S = 0.2
_MARGIN_S = 0.05


@dataclass(slots=True)
class Injection:
    """One fault, as it was brought about.

    Attributes:
        kind: What kind of fault.
        targets: Paths of the parts it hit.
        at_ts: Unix time when.
        ttl_s: It ends by itself after so long; 0 for what is over at once, like a kill.
        says: Its arguments in words.
        deadly: Its targets end and have to be started anew.
        struck_ts: When the node had brought it about; looks before that tell nothing of it.
        recovered_ts: When the tree was whole again, with new incarnations of what had ended.
        healed_ts: When it was taken back, if it was.
    """

    kind: str
    targets: list[str]
    at_ts: float
    ttl_s: float = 0.0
    says: str = ""
    deadly: bool = False
    struck_ts: float = 0.0
    recovered_ts: float | None = None
    healed_ts: float | None = None

    @property
    def until_ts(self) -> float:
        """When the fault itself was over, whatever it had done."""
        ends_ts = self.at_ts + self.ttl_s
        return ends_ts if self.healed_ts is None else min(ends_ts, self.healed_ts)

    @property
    def ends_ts(self) -> float:
        """When it was over with all its consequences, as far as is known."""
        is_harm = self.deadly or self.kind == "signal"
        return self.recovered_ts if is_harm and self.recovered_ts is not None else self.until_ts

    def is_over(self, look: Look, now_ts: float) -> bool:
        """Tell whether a whole tree, looked at at ``now_ts``, shows nothing of it any more."""
        if now_ts < self.struck_ts:
            return False
        if not self.deadly:
            return True
        since_s = now_ts - self.at_ts + _MARGIN_S
        return all(float(look[path].get("uptime_s") or 0) < since_s for path in self.targets)


@dataclass(slots=True)
class Watcher:
    """Samples a node until it is closed.

    Attributes:
        target: The node.
        names: The parts of the whole tree.
        wall: Unix time in seconds.
        samples: ``(ts, what the tree lacked)``, "" for a whole tree.
        injections: The faults so far, in order.
    """

    target: Target
    names: set[str]
    wall: Callable[[], float]
    samples: list[tuple[float, str]] = field(default_factory=list)
    injections: list[Injection] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(EVERY_S):
            self.sample()

    def sample(self) -> str:
        """Look once; return what the tree lacks, "" when it is whole."""
        now_ts = self.wall()
        look = self.target.look()
        lack = lacks(look, self.names)
        self.samples.append((now_ts, lack))
        if look is not None and not lack:
            for injection in self.injections:
                if injection.recovered_ts is None and injection.is_over(look, now_ts):
                    injection.recovered_ts = now_ts
        return lack

    @property
    def lack(self) -> str:
        """What the tree lacks now, in words: what is missing, or what has not come back."""
        if self.samples and self.samples[-1][1]:
            return self.samples[-1][1]
        open_ = [each for each in self.injections if each.recovered_ts is None]
        return f"{', '.join(open_[0].targets)} has not come back" if open_ else ""

    def wait_whole(self, limit_s: float) -> str:
        """Wait until nothing is lacking; return what still is after the limit, "" for nothing."""
        begun = len(self.samples)
        wait_until(lambda: len(self.samples) > begun and not self.lack, limit_s)
        return self.lack

    def record(self) -> list[dict[str, Any]]:
        """Return the faults as plain data for a journal."""
        return [
            {
                "kind": each.kind,
                "targets": each.targets,
                "says": each.says,
                "at_ts": round(each.at_ts, 3),
                "ends_ts": round(each.ends_ts, 3),
                "recovered_ts": each.recovered_ts and round(each.recovered_ts, 3),
            }
            for each in self.injections
        ]
