"""Run experiments one after another, each on a node that it may be run on.

Without a running node each gets one of its own, and those that want the same kind of node share it
as long as nothing went wrong on it. A node that somebody else started is used only on demand.
"""

from __future__ import annotations

import contextlib
import fcntl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.chaos import engine
from cli.chaos.checkers import Check
from cli.chaos.engine import Run
from cli.chaos.errors import NeedsApprovalError
from cli.chaos.sandbox import Sandbox
from cli.chaos.target import Target
from cli.chaos.verdict import Outcome, was_unsteady
from cli.errors import CommandError
from cli.launch import state_of
from cli.load import wall_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cli.chaos.catalogue import Experiment
    from cli.chaos.plan import Plan
    from cli.node import Node

MOST_JOURNALS = 200
"""In the default folder; older ones are removed."""
ATTEMPTS = 3
"""A busy machine may be too slow for a steady state; nothing has been done then, so try again."""


@dataclass(slots=True)
class Series:
    """A series of runs.

    Attributes:
        node: What the command line says of the node.
        assignments: Settings for the nodes that are started.
        seed: Of every choice.
        journals: Folder of the journals, or the file of the only one.
        tell: Told in words what is going on.
        foreign: The node that somebody else started, if that is to be used.
    """

    node: Node
    assignments: Mapping[str, object]
    seed: int
    journals: Path
    tell: Callable[[str], None]
    foreign: Target | None = None
    _sandbox: Sandbox | None = None
    _kind: object = field(default=None)

    def run(self, experiments: Sequence[Experiment]) -> Iterator[tuple[Run, Path]]:
        """Run all, those that can share a node together; yield each with its journal's file."""
        queue = together(experiments)
        try:
            for index, experiment in enumerate(queue):
                following = queue[index + 1] if index + 1 < len(queue) else None
                run = self._run_one(experiment)
                if following is None or run.verdict.outcome is not Outcome.PASS or run.interrupted:
                    following = None
                if following is None or kind_of(following.plan) != self._kind:
                    self._drop(run)
                file = self._file(experiment.name, single=len(queue) == 1)
                engine.write_journal(run.as_journal(), file)
                yield run, file
                if run.interrupted:
                    return
        finally:
            self._drop(None)

    def _run_one(self, experiment: Experiment) -> Run:
        try:
            target = self._target(experiment.plan)
        except CommandError as error:
            return Run(experiment.name, trouble=error.message)
        for _ in range(ATTEMPTS - 1):
            run = engine.run_one(experiment, target, self._sandbox, self.seed, self.tell)
            if run.interrupted or not was_unsteady(run.journal):
                return run
            self.tell("the node was not steady before anything was done to it: once more")
        return engine.run_one(experiment, target, self._sandbox, self.seed, self.tell)

    def _target(self, plan: Plan) -> Target:
        if self.foreign is not None:
            if plan.own_node:
                raise CommandError(
                    "this experiment is done only to a node of its own: give --data-dir of a "
                    "folder on which no node runs"
                )
            return self.foreign
        if self._sandbox is None:
            self.tell("starting a node")
            self._sandbox = Sandbox(plan, self.assignments, self.node.config)
            self._sandbox.start()
            self._kind = kind_of(plan)
        return self._sandbox.target

    def _drop(self, run: Run | None) -> None:
        """Take the node of our own down; what it leaves behind counts against the last run."""
        sandbox, self._sandbox, self._kind = self._sandbox, None, None
        if sandbox is None:
            return
        left = sandbox.stop()
        if run is not None and not run.trouble:
            says = ", ".join(left) or "no process and no socket is, and the node has stopped"
            run.checks.append(Check("nothing is left over at the end", not left, says))

    def _file(self, name: str, *, single: bool) -> Path:
        if single and self.journals.suffix == ".json":
            return self.journals
        return self.journals / f"{name}-{int(wall_time())}.json"


def kind_of(plan: Plan) -> object:
    """Return what two plans must have in common to share a node; nothing is common to fresh."""
    if plan.fresh:
        return object()
    settings = tuple(sorted((key, str(value)) for key, value in plan.settings.items()))
    return (plan.bidders, settings, plan.copied_weights)


def together(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Put those that can share a node next to each other, in the order in which they come."""
    groups: dict[object, list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault(kind_of(experiment.plan), []).append(experiment)
    return [experiment for group in groups.values() for experiment in group]


def foreign_node(node: Node, assignments: Mapping[str, object], *, yes: bool) -> Target | None:
    """Return the node that runs on the data folder, if one does and hurting it is meant.

    Raises:
        NeedsApprovalError: One runs there, and nobody said that it may be hurt.
        CommandError: Settings are given for a node that runs already.
    """
    paths = node.paths()
    if not state_of(paths):
        return None
    if not yes:
        raise NeedsApprovalError(
            f"a node runs on {paths.data_dir} that this command did not start; --yes hurts it all "
            "the same, --data-dir of a folder without one makes a node for the experiment"
        )
    if assignments:
        raise CommandError(
            f"--set is for the node that an experiment starts; one runs on {paths.data_dir} already"
        )
    return Target(paths.data_dir, own=False)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder: one experiment at a time.

    Raises:
        CommandError: Another one runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"another experiment runs ({folder / 'lock'} is held): wait for its end"
            ) from error
        yield


def prune(folder: Path, most: int = MOST_JOURNALS) -> None:
    """Remove the oldest journals of a folder but for so many."""
    journals = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in journals[: max(0, len(journals) - most)]:
        file.unlink(missing_ok=True)


def as_list(results: Sequence[dict[str, Any]], outcome: Outcome) -> dict[str, Any]:
    """Return the results of several runs with the verdict on all of them."""
    return {"verdict": outcome.value, "experiments": list(results)}
