"""What must hold in every experiment, whatever it does: answers, money, the tree, no leftovers.

Pure functions of what was recorded. Each check says what it found, so that a broken one reads as a
sentence and a held one as a figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.chaos.plan import Allow

    Summary = Mapping[str, Any]


UNLIMITED = 10**9
"""So many of something may be: nobody counts."""


class Check(NamedTuple):
    """One thing that must hold: its name, whether it does, and what was found."""

    name: str
    holds: bool
    says: str


class Money(NamedTuple):
    """The ledger's totals before the exchange began, and its proof after the exchange ended.

    Attributes:
        before: ``settlements``, ``settled_micros`` and ``unfunded_micros`` before.
        after: The same afterwards.
        violations: Rules that the ledger's rows break, in words.
        alone: Nobody but our exchange told the node of wins meanwhile.
    """

    before: Summary
    after: Summary
    violations: Sequence[str]
    alone: bool = True

    def grown(self, name: str) -> int:
        """Return by how much a total has grown."""
        return int(self.after[name]) - int(self.before[name])


class Ending(NamedTuple):
    """How the node stood at the end.

    Attributes:
        unwhole: What the tree lacked, "" when it was whole in time.
        escalations: Supervisors that gave up.
        rebuilds: Times that the whole tree was built anew.
        faults: Faults still in force after the rollbacks.
        leftovers: Processes and sockets that belong to nobody, in words.
    """

    unwhole: str = ""
    escalations: int = 0
    rebuilds: int = 0
    faults: int = 0
    leftovers: Sequence[str] = ()


def check_answers(load: Summary, allow: Allow) -> list[Check]:
    """Check that every request was answered, once and by the rules, and every event acknowledged.

    Args:
        load: The exchange's own summary.
        allow: What the experiment says may happen.
    """
    sent, answered, unanswered = load["sent"], load["answered"], load["unanswered"]
    counted = f"{answered} of {sent} requests answered, {unanswered} not"
    lost = sum(load["event_errors"].values())
    causes = ", ".join(load["event_errors"])
    acknowledged = f"{load['events_acknowledged']} of {load['events_sent']} events acknowledged"
    return [
        Check(
            "every request is answered",
            0 < sent == answered + unanswered and unanswered <= allow.unanswered,
            counted + (f" ({allow.unanswered} may be)" if allow.unanswered else ""),
        ),
        Check("every answer keeps the rules", not load["faults"], _faults(load)),
        Check(
            "every event is acknowledged",
            lost <= allow.event_errors,
            acknowledged + (f"; the others: {causes}" if causes else ""),
        ),
    ]


def _faults(load: Summary) -> str:
    named = ", ".join(f"{name} {count}" for name, count in load["faults"].items())
    return f"answers that break a rule: {named or 'none'}"


def check_money(load: Summary, money: Money) -> list[Check]:
    """Check that what was won is what was booked, and that the ledger's own proof holds."""
    lost = sum(load["event_errors"].values())
    settled, wins = money.grown("settlements"), load["wins"]
    booked = money.grown("settled_micros") + money.grown("unfunded_micros")
    spent = load["spend_micros"]
    # A win that was not acknowledged may have been booked or not: nobody may ask for more.
    few = settled < wins - lost
    many = money.alone and settled > wins
    same = booked == spent if money.alone and not lost else True
    return [
        Check(
            "every win is booked once",
            not few and not many,
            f"{settled} settlements for {wins} wins",
        ),
        Check(
            "booked at its price", same, f"{booked} micros booked, {spent} micros is what was won"
        ),
        Check(
            "nothing is overspent",
            not money.violations,
            "; ".join(money.violations) or "the ledger's rows prove it",
        ),
    ]


def _of(allowed: int) -> str:
    return f" ({allowed} allowed)" if allowed < UNLIMITED else ""


def check_ending(ending: Ending, allow: Allow) -> list[Check]:
    """Check that the node is whole again and that nothing is left of the experiment."""
    return [
        Check(
            "the tree is whole again",
            not ending.unwhole,
            ending.unwhole or "all parts run",
        ),
        Check(
            "restarts keep their allowance",
            ending.escalations <= allow.escalations and ending.rebuilds <= allow.rebuilds,
            f"{ending.escalations} supervisors gave up{_of(allow.escalations)}, "
            f"the tree was rebuilt {ending.rebuilds} times{_of(allow.rebuilds)}",
        ),
        Check("no fault stays", ending.faults == 0, f"{ending.faults} faults in force at the end"),
        Check(
            "nothing is left over",
            not ending.leftovers,
            ", ".join(ending.leftovers) or "no process and no socket is",
        ),
    ]
