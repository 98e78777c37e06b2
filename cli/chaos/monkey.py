"""The monkey: hurts whatever it finds, again and again, while an exchange plays.

It needs no experiment and no toolkit. What it does is random from a seed, weighted, and heedless of
what is still recovering; only one rule holds it back: a node whose whole tree falls too often in a
minute ends by choice, so near that bound the top and what can bring it down are left alone.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.chaos import engine, measure
from cli.chaos.checkers import UNLIMITED, Check
from cli.chaos.engine import Run
from cli.chaos.errors import FaultError
from cli.chaos.lab import pause
from cli.chaos.plan import Allow, Plan
from cli.chaos.sandbox import Sandbox
from cli.chaos.selectors import matching
from cli.chaos.watcher import Injection
from cli.errors import CommandError
from cli.output import print_facts, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cli.chaos.lab import Lab
    from cli.chaos.target import Look, Target
    from cli.exits import Exit
    from cli.node import Node

_PATIENCE_S = 30.0
_WHOLE_LIMIT_S = 45.0
_AFTERMATH_S = 240.0
_MINUTE_S = 60.0
MOST_FALLS = 12
"""Falls of the top within a minute; a node ends at more than twenty."""
_LEAST_WAIT_S = 0.02
_SPELL_S = 10.0
_GROWTH = 1.2
_ROOM_BYTES = 48 << 20
_OPENED = 1.5
"""A process inherits descriptors of those that its parent forked before it; so one that is forked
anew while all others live has some more than it had at first, but no more than that."""
_MORE_DESCRIPTORS = 64
_MIB = 1 << 20
CRASHED = "light actor crashed"


class Wishes(NamedTuple):
    """What the person asked for; the fields are the options of the command."""

    for_s: float
    every_s: float
    kills: int | None
    spare: tuple[str, ...]
    rate: float
    bidders: int
    seed: int


@dataclass(slots=True)
class Monkey:
    """One spell of destruction.

    Attributes:
        lab: The node and all about it.
        wishes: How long, how often, whom not.
        done: How often it did what.
        kills: How many parts it ended.
        missed: How often what it wanted to hurt was gone already.
    """

    lab: Lab
    wishes: Wishes
    done: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    missed: int = 0
    _falls: deque[float] = field(default_factory=deque)
    _rebuilds: int = 0

    def rage(self, tell: Callable[[str], None]) -> None:
        """Hurt the node until time is over or enough has been killed."""
        rng, wishes = self.lab.rng, self.wishes
        begun_ts = told_ts = self.lab.wall()
        self._rebuilds = int(self.lab.target.status().get("rebuilds", 0))
        while not self._is_over(begun_ts):
            way = rng.choices(list(WAYS), weights=list(WAYS.values()))[0]
            try:
                way(self)
            except (
                CommandError,
                FaultError,
                IndexError,
            ):  # it is gone already, or there is no tree
                self.missed += 1
            if self.lab.wall() - told_ts >= _SPELL_S:
                told_ts = self.lab.wall()
                tell(f"{self.kills} kills in {told_ts - begun_ts:.0f} s")
            pause(max(_LEAST_WAIT_S, rng.expovariate(1 / wishes.every_s)))

    def _is_over(self, begun_ts: float) -> bool:
        enough = self.wishes.kills is not None and self.kills >= self.wishes.kills
        return enough or self.lab.wall() - begun_ts >= self.wishes.for_s

    # -- whom

    def _parts(self, placement: str) -> list[str]:
        look = self.lab.target.look() or {}
        names = [name for name in look if look[name].get("placement") == placement]
        spared = {name for pattern in self.wishes.spare for name in matching(names, pattern)}
        if self._falls_lately() >= MOST_FALLS:
            spared |= {name for name in names if name.count("/") <= 1}
        return sorted(set(names) - spared)

    def _falls_lately(self) -> int:
        """Return how often the whole tree fell within the last minute."""
        now_ts = self.lab.wall()
        rebuilds = int(self.lab.target.status().get("rebuilds", self._rebuilds))
        self._falls.extend([now_ts] * (rebuilds - self._rebuilds))
        self._rebuilds = rebuilds
        while self._falls and self._falls[0] < now_ts - _MINUTE_S:
            self._falls.popleft()
        return len(self._falls)

    def _some(self, placement: str, number: int = 1) -> list[str]:
        parts = self._parts(placement)
        return self.lab.rng.sample(parts, min(number, len(parts)))

    # -- ways to hurt

    def _signal(self, path: str, word: str, ttl_s: float = 1.0) -> None:
        self.lab.inject("signal", path, "one", {"signal": word}, ttl_s=ttl_s)

    def _ended(self, what: str) -> None:
        self.kills += 1
        self.done[what] += 1

    def kill_a_process(self) -> None:
        """SIGKILL one process."""
        for path in self._some("process"):
            self._signal(path, "KILL")
            self._ended("SIGKILL")

    def kill_several_processes(self) -> None:
        """SIGKILL some processes at about the same moment."""
        for path in self._some("process", self.lab.rng.randint(2, 4)):
            with contextlib.suppress(CommandError, FaultError):  # died with the one before
                self._signal(path, "KILL")
                self._ended("SIGKILL, several at once")

    def terminate_a_process(self) -> None:
        """SIGTERM one process."""
        for path in self._some("process"):
            self._signal(path, "TERM")
            self._ended("SIGTERM")

    def stop_for_a_moment(self) -> None:
        """SIGSTOP one process, too short to be found hung."""
        for path in self._some("process"):
            self._signal(path, "STOP", self.lab.rng.uniform(0.1, 0.9))
            self.done["SIGSTOP for a moment"] += 1

    def stop_for_good(self) -> None:
        """SIGSTOP one process until it is killed for it."""
        for path in self._some("process"):
            self._signal(path, "STOP", 15.0)
            self._ended("SIGSTOP until killed")

    def kill_a_light_actor(self) -> None:
        """Kill one light actor."""
        for path in self._some("light"):
            injection = Injection("kill", [path], self.lab.wall(), deadly=True)
            self.lab.target.ask("kill", name=path)
            self.lab.note(injection)
            self._ended("light actor killed")

    def crash_a_light_actor(self) -> None:
        """Have one light actor raise at its next message."""
        look: Look = self.lab.target.look() or {}
        light = [
            name for name in self._parts("light") if look.get(name, {}).get("kind") == "worker"
        ]
        path = self.lab.rng.choice(light)
        self.lab.inject("crash", path, "one", {"count": 1}, ttl_s=3.0, deadly=False)
        self._ended(CRASHED)

    def discount(self, run: Run) -> None:
        """Count crashes that never came, because there was no message to crash at, as missed.

        An experiment would prove nothing by them; the monkey aims at whom it happens to meet.
        """
        self.missed += len(run.idle)
        self.kills -= len(run.idle)
        self.done[CRASHED] -= len(run.idle)
        run.idle = []


WAYS: Mapping[Callable[[Monkey], None], int] = {
    Monkey.kill_a_process: 30,
    Monkey.kill_several_processes: 8,
    Monkey.terminate_a_process: 8,
    Monkey.stop_for_a_moment: 6,
    Monkey.stop_for_good: 4,
    Monkey.kill_a_light_actor: 24,
    Monkey.crash_a_light_actor: 20,
}
"""What it does, and how often beside the others."""


def play(
    node: Node,
    target: Target | None,
    assignments: Mapping[str, object],
    wishes: Wishes,
    file: Path,
) -> tuple[dict[str, Any], Exit]:
    """Let the monkey loose; return its result and the exit code. The journal goes to ``file``.

    Raises:
        CommandError: There is no node to hurt, or no traffic.
    """
    allow = Allow(escalations=UNLIMITED, rebuilds=UNLIMITED, whole_within_s=_WHOLE_LIMIT_S)
    plan = Plan(
        bidders=wishes.bidders,
        rate=wishes.rate,
        patience_s=_PATIENCE_S,
        blast_radius=UNLIMITED,
        allow=allow,
    )
    sandbox = None
    if target is None:
        say("starting a node")
        sandbox = Sandbox(plan, assignments, node.config)
    run, left = Run("monkey"), []
    try:
        if sandbox is not None:
            sandbox.start()
        here = sandbox.target if sandbox is not None else target
        assert here is not None, "one of the two is given"
        with engine.opened_lab(
            plan, here, sandbox, wishes.seed, wishes.for_s + _AFTERMATH_S
        ) as lab:
            rampage(run, lab, wishes)
    finally:
        left = sandbox.stop() if sandbox is not None else []
    run.checks.append(
        Check("nothing is left over at the end", not left, ", ".join(left) or "nothing is")
    )
    engine.write_journal(run.as_journal(), file)
    return {**run.result(), "journal": str(file)}, run.verdict.outcome.exit_code


def rampage(run: Run, lab: Lab, wishes: Wishes) -> None:
    """Hurt, let recover, look: fill ``run`` with what came of it."""
    monkey = Monkey(lab, wishes)
    before = sizes(lab.target)
    sockets = socket_files(lab.target)
    lab.begin_method()
    monkey.rage(say)
    lab.end_method()
    with contextlib.suppress(CommandError):  # what it can't take back ends by itself
        lab.heal()
    engine.examine(run, lab, say)
    monkey.discount(run)
    after = sizes(lab.target)
    extra = sorted(socket_files(lab.target) - sockets)
    run.checks += [check_memory(before, after), check_sockets(extra)]
    title = f"monkey with seed {wishes.seed} for {wishes.for_s:g} s"
    run.journal = {"experiment": {"title": title}, "status": "completed"}
    run.measured |= {
        "detect_s": None,  # so many at a time cannot be told apart
        "kills": monkey.kills,
        "hurts": dict(monkey.done.most_common()),
        "missed": monkey.missed,
        "mttr": mttr_by_level(lab),
        "rss_before_bytes": before["rss"],
        "rss_after_bytes": after["rss"],
        "descriptors_before": before["fds"],
        "descriptors_after": after["fds"],
        "watchdog_rss_before_bytes": before["watchdog_rss"],
        "watchdog_rss_after_bytes": after["watchdog_rss"],
    }


def sizes(target: Target) -> dict[str, int]:
    """Return what all processes of a node hold: ``rss`` in bytes, ``fds``; and its first alone."""
    import psutil

    found = {"rss": 0, "fds": 0, "watchdog_rss": 0}
    for index, process in enumerate(target.family()):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            facts = psutil.Process(process.pid)
            rss = int(facts.memory_info().rss)
            found["rss"] += rss
            found["fds"] += int(facts.num_fds())
            found["watchdog_rss"] = rss if index == 0 else found["watchdog_rss"]
    return found


def socket_files(target: Target) -> set[str]:
    """Return the socket files of a node."""
    return {path.name for path in target.paths.runtime_dir.glob("*.sock")}


def check_memory(before: Mapping[str, int], after: Mapping[str, int]) -> Check:
    """Check that memory and descriptors are what they were, but for some slack."""
    grown = after["rss"] > before["rss"] * _GROWTH + _ROOM_BYTES
    opened = after["fds"] > before["fds"] * _OPENED + _MORE_DESCRIPTORS
    says = (
        f"{before['rss'] // _MIB} MiB and {before['fds']} descriptors before, "
        f"{after['rss'] // _MIB} MiB and {after['fds']} after"
    )
    return Check("memory is flat", not grown and not opened and after["rss"] > 0, says)


def check_sockets(extra: list[str]) -> Check:
    """Check that there are no more socket files than before."""
    return Check("no socket file is left", not extra, ", ".join(extra) or "none is")


def mttr_by_level(lab: Lab) -> dict[str, dict[str, float | int]]:
    """Return the time from a hurt to the restart, by level: how many, median, 95th percentile."""
    events = lab.target.events_since(lab.begun_ts)
    look = lab.target.look() or {}
    times: dict[str, list[float]] = {}
    for injection, record in zip(lab.watcher.injections, lab.watcher.record(), strict=True):
        took_s = measure.mttr_s(record, events)
        if took_s is not None and not (record["says"] == "STOP" and injection.ttl_s < 1):
            level = _level(look, record)
            times.setdefault(level, []).append(took_s)
    return {level: measure.spread(found) for level, found in sorted(times.items())}


def _level(look: Look, record: Mapping[str, Any]) -> str:
    path = record["targets"][0]
    if record["says"] == "STOP":
        return "hung process"
    if path == "node":
        return "top"
    node = look.get(path, {})
    if node.get("placement") == "light":
        return "light"
    return "supervisor" if node.get("kind") == "supervisor" else "process"


def print_result(result: Mapping[str, Any]) -> None:
    """Print what the monkey did and what came of it."""
    if "hurts" not in result:
        click.echo(f"{result['verdict']}: {result['why']}")
        return
    print_table(("what it did", "times"), list(result["hurts"].items()))
    rows = [
        (
            level,
            each["number"],
            f"{each['median_s'] * 1000:.1f} ms",
            f"{each['p95_s'] * 1000:.1f} ms",
        )
        for level, each in result["mttr"].items()
    ]
    print_table(("back after a kill", "times", "median", "p95"), rows)
    memory = f"{result['rss_before_bytes'] // _MIB} MiB, then {result['rss_after_bytes'] // _MIB}"
    print_facts(
        [
            ("verdict", result["verdict"]),
            ("why", result["why"]),
            ("kills", result["kills"]),
            ("requests", f"{result['requests']:,}, {result['unanswered']} unanswered"),
            ("late", f"{result['late']:,} ({result['late_share']:.1%})"),
            ("wins", f"{result['wins']:,}, {result['settlements']:,} settlements"),
            ("broken rules", result["violations"]),
            ("restarts", f"{result['restarts']:,}, {result['rebuilds']} of the whole tree"),
            ("gave up", result["escalations"]),
            ("memory", memory),
        ]
    )
