"""Run one experiment on one node: open the lab, have the toolkit play, check, judge, write down."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.chaos import lab as labs
from cli.chaos import measure
from cli.chaos.checkers import Check
from cli.chaos.errors import ToolkitMissingError
from cli.chaos.exchange import Exchange
from cli.chaos.lab import Lab
from cli.chaos.verdict import Outcome, Verdict, judge
from cli.chaos.watcher import Watcher
from cli.errors import CommandError
from cli.load import wall_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.chaos.catalogue import Experiment
    from cli.chaos.plan import Plan
    from cli.chaos.sandbox import Sandbox
    from cli.chaos.target import Target

MOST_S = 180.0
"""An exchange ends by itself after this time: no experiment takes so long."""
_WHOLE_LIMIT_S = 20.0


@dataclass(slots=True)
class Run:
    """What came of one experiment.

    Attributes:
        name: Of the experiment.
        journal: Of the toolkit; empty when it could not even begin.
        checks: What our checkers found.
        records: What was seen, for the journal.
        measured: The numbers.
        trouble: Why it could not begin, if so.
        idle: Faults that never struck, in words.
    """

    name: str
    journal: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    records: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""
    idle: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """What it shows."""
        if self.trouble:
            return Verdict(Outcome.INVALID, self.trouble)
        return judge(self.journal, self.checks, self.idle)

    @property
    def interrupted(self) -> bool:
        """Whether a person or the system cut it short."""
        return self.journal.get("status") == "interrupted"

    def as_journal(self) -> dict[str, Any]:
        """Return the toolkit's journal with all that we know of the run."""
        verdict = self.verdict
        ours = {
            "name": self.name,
            "verdict": verdict.outcome.value,
            "why": verdict.why,
            "checks": [check._asdict() for check in self.checks],
            "measured": self.measured,
            **self.records,
        }
        return {**self.journal, "bidwright": ours}

    def result(self) -> dict[str, Any]:
        """Return what the command prints of it."""
        verdict = self.verdict
        return {
            "verdict": verdict.outcome.value,
            "experiment": self.name,
            "why": verdict.why,
            **self.measured,
        }


def require_toolkit() -> None:
    """Raise a ToolkitMissingError when the library that runs experiments is not installed."""
    try:
        import chaoslib  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ToolkitMissingError("chaostoolkit-lib") from error


def run_one(
    experiment: Experiment,
    target: Target,
    sandbox: Sandbox | None,
    seed: int,
    tell: Callable[[str], None],
) -> Run:
    """Run an experiment on a running node.

    Args:
        experiment: A valid one.
        target: The node.
        sandbox: What started it; None if somebody else did.
        seed: Of every choice.
        tell: Told in words what is going on.
    """
    from cli.chaos import toolkit

    run = Run(experiment.name)
    try:
        with opened_lab(experiment.plan, target, sandbox, seed) as lab:
            run.journal = toolkit.run(experiment, lab, tell)
            examine(run, lab, tell)
    except CommandError as error:
        run.trouble = error.message
    return run


def examine(run: Run, lab: Lab, tell: Callable[[str], None]) -> None:
    """Have our checkers look at what was done, and keep what is worth keeping."""
    tell("checking answers, money and processes")
    try:
        run.checks = lab.checks()
    except CommandError as error:
        run.checks = [Check("the checks can be made", holds=False, says=error.message)]
        return
    run.records, run.measured = _records(lab), _measured(lab)
    run.idle = [
        f"{fault['kind']} {fault['says']} of {', '.join(fault['targets'])}"
        for fault in run.records["faults"]
        if fault["hits"] == 0
    ]


@contextlib.contextmanager
def opened_lab(
    plan: Plan, target: Target, sandbox: Sandbox | None, seed: int, most_s: float = MOST_S
) -> Iterator[Lab]:
    """Provide the lab of one experiment: traffic plays, the watcher looks on.

    Raises:
        CommandError: The node is not whole, or the exchange does not start.
    """
    look = target.look()
    if look is None:
        raise CommandError("the node shows no tree; `bidwright status` says why")
    home = sandbox.folder if sandbox is not None else None
    folder = Path(tempfile.mkdtemp(prefix="bw-chaos-load-", dir=home))
    exchange = Exchange(
        target, folder, rate=plan.rate, patience_s=plan.patience_s, most_s=most_s, seed=seed
    )
    watcher = Watcher(target, set(look), wall_time)
    lab = Lab(target, sandbox, plan, exchange, watcher, random.Random(seed), wall_time)
    labs.enter(lab)
    try:
        lab.open()
        yield lab
    finally:
        lab.close()
        labs.leave()
        shutil.rmtree(folder, ignore_errors=True)


def _records(lab: Lab) -> dict[str, Any]:
    money = lab.money()
    events = lab.target.events_since(lab.begun_ts)
    faults = [fault | {"hits": measure.hits(fault, events)} for fault in lab.watcher.record()]
    totals = ("settlements", "settled_micros", "unfunded_micros", "leased_micros", "budget_micros")
    return {
        "node": {"data_dir": str(lab.target.data_dir), "own": lab.target.own},
        "window": {
            "begun_ts": round(lab.begun_ts, 3),
            "method_ts": round(lab.method_ts, 3),
            "ended_ts": round(lab.ended_ts, 3),
        },
        "faults": faults,
        "timeline": lab.exchange.rows(),
        "events": events,
        "samples": [[round(ts, 3), lack] for ts, lack in lab.watcher.samples],
        "load": lab.finish(),
        "money": {
            "before": {name: money.before[name] for name in totals},
            "after": {name: money.after[name] for name in totals},
            "violations": list(money.violations),
        },
    }


def _measured(lab: Lab) -> dict[str, Any]:
    faults, rows = lab.watcher.record(), lab.exchange.rows()
    events = lab.target.events_since(lab.begun_ts)
    money = lab.money()
    return {
        **measure.numbers_of_load(lab.finish()),
        "p99_before_ms": measure.steady_p99_ms(rows, lab.method_ts),
        "p99_worst_ms": measure.worst_p99_ms(rows, lab.method_ts),
        "faults": len(faults),
        "detect_s": measure.detect_s(faults, events),
        "recover_s": measure.recover_s(faults),
        "restarts": lab.count("restarts"),
        "escalations": lab.count("escalations"),
        "rebuilds": lab.count("rebuilds"),
        "settlements": money.grown("settlements"),
        "booked_micros": money.grown("settled_micros") + money.grown("unfunded_micros"),
        "violations": len(money.violations),
        "duration_s": round(lab.ended_ts - lab.begun_ts, 1),
    }


def write_journal(journal: dict[str, Any], file: Path) -> None:
    """Write a journal whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(json.dumps(journal, default=str) + "\n", encoding="utf-8")
    draft.replace(file)
