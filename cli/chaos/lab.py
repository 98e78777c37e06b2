"""What an experiment works with: the node, the traffic, the watcher, and the record of it all.

The toolkit calls plain functions, so they find their lab here: there is one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cli.chaos.checkers import Check, Ending, Money, check_answers, check_ending, check_money
from cli.chaos.errors import FaultError
from cli.chaos.selectors import choose
from cli.chaos.target import path_of
from cli.chaos.watcher import Injection, Watcher
from cli.errors import CommandError
from cli.patience import wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from cli.chaos.exchange import Exchange, Row
    from cli.chaos.plan import Plan
    from cli.chaos.sandbox import Sandbox
    from cli.chaos.target import Target

CALM_S = 1.0
"""How long the exchange goes on once the tree is whole, so that the end is seen, too."""
LOOK_S = 2.0
"""How much of the steady state is looked at before the method."""
WARM_S = 15.0
_WARM_ROWS = 4
_WARM_LATE_SHARE = 0.1
_DEADLY_KINDS = frozenset({"crash", "hang"})
_DEADLY_SIGNALS = frozenset({"KILL", "TERM"})
_HAD: dict[str, frozenset[str]] = {
    "escalations": frozenset({"gave_up"}),
    "rebuilds": frozenset({"rebuilt"}),
    "restarts": frozenset({"restarted", "rebuilt"}),
    "crashes": frozenset({"crashed"}),
}


@dataclass(slots=True)
class Lab:
    """One experiment under way.

    Attributes:
        target: The node.
        sandbox: What started it; None for a node that somebody else started.
        plan: Our part of the experiment.
        exchange: The traffic.
        watcher: Who looks on.
        rng: Chooses among targets.
        wall: Unix time in seconds.
        phase: ``before``, ``during`` or ``after`` the method.
        begun_ts: When the exchange had become steady.
        method_ts: When the method began.
        ended_ts: When the exchange had ended.
    """

    target: Target
    sandbox: Sandbox | None
    plan: Plan
    exchange: Exchange
    watcher: Watcher
    rng: random.Random
    wall: Callable[[], float]
    phase: Literal["before", "during", "after"] = "before"
    begun_ts: float = 0.0
    method_ts: float = 0.0
    ended_ts: float = 0.0
    _before: dict[str, Any] = field(default_factory=dict)
    _summary: dict[str, Any] = field(default_factory=dict)
    _money: dict[str, Any] = field(default_factory=dict)
    _unwhole: str = ""

    # -- the course of an experiment

    def open(self) -> None:
        """Begin to play and to look on; returns when the node serves steadily, or after a while."""
        self._before = self.target.money()
        self.exchange.start()
        self.watcher.start()
        wait_until(self._is_steady, WARM_S)
        self.begun_ts = self.wall()
        pause(LOOK_S)

    def _is_steady(self) -> bool:
        rows = self.exchange.rows()[-_WARM_ROWS:]
        answered = sum(row["answered"] for row in rows)
        late = sum(row["late"] for row in rows)
        bids = sum(row["with_bid"] for row in rows)
        return len(rows) == _WARM_ROWS and bids > 0 and late <= _WARM_LATE_SHARE * answered

    def begin_method(self) -> None:
        """Note that the method begins now."""
        self.phase, self.method_ts = "during", self.wall()

    def end_method(self) -> None:
        """Note that the method has been played."""
        self.phase = "after"

    def finish(self) -> dict[str, Any]:
        """Let the exchange come to its end, once; return its summary.

        That is when the tree is whole and some calm has passed, or when patience is over.

        Raises:
            CommandError: The exchange did not end, or the ledger can't be read.
        """
        if not self._summary:
            self._unwhole = self.watcher.wait_whole(self.plan.allow.whole_within_s)
            pause(CALM_S)
            self._summary = self.exchange.end()
            self.ended_ts = self.wall()
            self._money = self.target.money()
        return self._summary

    def close(self) -> None:
        """Stop playing and looking, whatever happened."""
        self.exchange.abandon()
        self.watcher.close()

    # -- doing

    def inject(
        self,
        kind: str,
        select: str,
        mode: str,
        args: dict[str, Any],
        *,
        ttl_s: float,
        deadly: bool | None = None,
    ) -> list[str]:
        """Have the node bring about a fault in some of its parts; return their paths.

        Args:
            kind: One of the kinds of fault that a node knows.
            select: Pattern of the parts.
            mode: How many of them (see :func:`cli.chaos.selectors.choose`).
            args: Of the fault.
            ttl_s: The fault ends by itself after this time, whatever becomes of us.
            deadly: Whether the targets end by it; None: as the kind says.

        Raises:
            FaultError: Nothing matches, or more would be hurt than the plan allows.
            CommandError: The node refused.
        """
        targets = self.choose(select, mode)
        self.hurt(targets)
        ends = is_deadly(kind, args) if deadly is None else deadly
        injection = Injection(kind, targets, self.wall(), ttl_s, in_words(args), ends)
        for path in targets:
            self._strike(injection, path, args)
        self.note(injection)
        return targets

    def _strike(self, injection: Injection, path: str, args: dict[str, Any]) -> None:
        try:
            self.target.ask(
                "fault",
                name=path,
                kind=injection.kind,
                args=args,
                ttl_s=injection.ttl_s,
                seed=self.rng.getrandbits(31),
            )
        except CommandError:
            # Whoever is killed at once may take the answer along.
            if not injection.deadly or not self._has_struck(injection.at_ts, path):
                raise

    def _has_struck(self, since_ts: float, path: str) -> bool:
        events = self.target.events_since(since_ts)
        return any(
            event.get("kind") == "fault_on" and path_of(str(event.get("address"))) == path
            for event in events
        )

    def note(self, injection: Injection) -> None:
        """Keep a fault in mind that has just been brought about."""
        injection.struck_ts = self.wall()
        self.watcher.injections.append(injection)

    def choose(self, select: str, mode: str) -> list[str]:
        """Return the parts of the tree that a selector means.

        Raises:
            FaultError: There is no tree, or nothing matches.
        """
        look = self.target.look()
        if look is None:
            raise FaultError("the node shows no tree to choose from")
        return choose(look, select, mode, self.rng)

    def hurt(self, targets: list[str]) -> None:
        """Refuse to hurt more parts at one time than the plan allows.

        Raises:
            FaultError: It would be more.
        """
        now_ts = self.wall()
        hurting = {
            path
            for each in self.watcher.injections
            if each.until_ts > now_ts or each.recovered_ts is None
            for path in each.targets
        }
        wounded = hurting | set(targets)
        if len(wounded) > self.plan.blast_radius:
            raise FaultError(
                f"{len(wounded)} parts would be hurt at one time, the blast radius is "
                f"{self.plan.blast_radius}: {', '.join(sorted(wounded))}"
            )

    def heal(self) -> int:
        """Take all faults back; return how many were in force."""
        now_ts = self.wall()
        for each in self.watcher.injections:
            each.healed_ts = now_ts if each.healed_ts is None else each.healed_ts
        return int(self.target.ask("heal")["healed"])

    # -- measuring

    def rows(self) -> Iterator[Row]:
        """Yield the timeline of the phase: before the method, or from its begin on."""
        since_ts = self.begun_ts if self.phase == "before" else self.method_ts
        if self.phase == "after":
            self.finish()
        return (row for row in self.exchange.rows() if row["ts"] > since_ts)

    def total(self, name: str) -> int:
        """Return the sum of one of the timeline's counts in this phase."""
        return sum(int(row[name]) for row in self.rows())

    def unanswered(self) -> int:
        """Return how many requests were never answered; final after the method."""
        if self.phase == "after":
            return int(self.finish()["unanswered"])
        return sum(int(row["unanswered"]) for row in self.exchange.rows())

    def count(self, what: str) -> int:
        """Return how many ``escalations``, ``rebuilds``, ``restarts`` or ``crashes`` there were."""
        kinds = _HAD[what]
        events = self.target.events_since(self.begun_ts)
        return sum(event.get("kind") in kinds for event in events)

    def recovery_s(self, limit_s: float) -> float:
        """Return the longest time from a fault until the tree was whole again.

        Waits for it; what does not come within the limit counts as ``limit_s``.
        """
        lack = self.watcher.wait_whole(limit_s)
        if lack or not self.watcher.injections:
            return limit_s if lack else 0.0
        return max(
            (each.recovered_ts or each.at_ts) - each.at_ts for each in self.watcher.injections
        )

    # -- judging

    def checks(self) -> list[Check]:
        """Return what our checkers say, once all is over and the rollbacks have been played.

        Raises:
            CommandError: The exchange did not end, or the ledger can't be read.
        """
        load = self.finish()
        allow = self.plan.allow
        return [
            *check_answers(load, allow),
            *check_money(load, self.money()),
            *check_ending(self._ending(), allow),
        ]

    def money(self) -> Money:
        """Return what the ledger says, before and after."""
        violations = self._money["violations"]
        return Money(self._before, self._money, violations, alone=self.target.own)

    def _ending(self) -> Ending:
        return Ending(
            unwhole=self._unwhole or self.watcher.wait_whole(self.plan.allow.whole_within_s),
            escalations=self.count("escalations"),
            rebuilds=self.count("rebuilds"),
            faults=self.target.faults(),
            leftovers=self.sandbox.strangers() if self.sandbox is not None else (),
        )


def in_words(args: dict[str, Any]) -> str:
    """Return the arguments of a fault as people say them: words stand alone, numbers have names."""
    return " ".join(
        value if isinstance(value, str) else f"{name}={value}" for name, value in args.items()
    )


def is_deadly(kind: str, args: dict[str, Any]) -> bool:
    """Tell whether the target of such a fault ends by it."""
    if kind == "signal":
        return args.get("signal") in _DEADLY_SIGNALS
    return kind in _DEADLY_KINDS or (kind == "point" and args.get("action") == "kill")


def pause(seconds: float) -> None:
    """Let time pass."""
    wait_until(lambda: False, seconds)


_open: list[Lab] = []


def enter(lab: Lab) -> None:
    """Make this the lab that actions and probes find."""
    _open.append(lab)


def leave() -> None:
    """There is no lab any more."""
    _open.clear()


def current() -> Lab:
    """Return the lab of the experiment that runs.

    Raises:
        FaultError: None does.
    """
    if not _open:
        raise FaultError("there is no node to act on: run experiments by `bidwright chaos run`")
    return _open[-1]
