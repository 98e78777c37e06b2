"""The Chaos Toolkit's library: the one place that imports it, and no more of it than is needed.

Rollbacks are always played. What the library says of the outcome is not used (see ``verdict``).
"""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.run import RunEventHandler
from chaoslib.types import Schedule, Strategy

from cli.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.chaos.catalogue import Experiment
    from cli.chaos.lab import Lab

_SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}
_LOOK_EVERY_S = 1.0


def validate(experiment: Experiment) -> None:
    """Refuse what the toolkit itself would refuse.

    Raises:
        InvalidInputError: The experiment is not valid; says why.
    """
    _be_quiet()
    try:
        ensure_experiment_is_valid(copy.deepcopy(experiment.content))
    except ChaosException as error:
        raise InvalidInputError(f"{experiment.path}: {error}") from error


class _Course(RunEventHandler):  # type: ignore[misc]
    """Tells the lab, and whoever watches, how far the run is."""

    def __init__(self, lab: Lab, tell: Callable[[str], None]) -> None:
        self._lab = lab
        self._tell = tell

    def start_hypothesis_before(self, experiment: Any) -> None:
        """Be told that the first look begins."""
        del experiment
        self._tell("steady state before")

    def start_method(self, experiment: Any) -> None:
        """Be told that the method begins."""
        del experiment
        self._lab.begin_method()

    def start_activity(self, activity: Any) -> None:
        """Be told of each activity."""
        if activity.get("type") == "action":
            self._tell(str(activity.get("name")))

    def start_hypothesis_after(self, experiment: Any) -> None:
        """Be told that the last look begins."""
        del experiment
        self._lab.end_method()
        self._tell("steady state after")


def run(experiment: Experiment, lab: Lab, tell: Callable[[str], None]) -> dict[str, Any]:
    """Have the toolkit play an experiment; return its journal.

    Args:
        experiment: A valid one.
        lab: Told of the phases.
        tell: Told in words what is going on.

    Raises:
        InvalidInputError: Its configuration can't be loaded.
    """
    _be_quiet()
    continuous = experiment.plan.hypothesis == "continuously"
    try:
        journal = run_experiment(
            copy.deepcopy(experiment.content),
            settings=_SETTINGS,
            strategy=Strategy.CONTINUOUS if continuous else Strategy.DEFAULT,
            schedule=Schedule(continuous_hypothesis_frequency=_LOOK_EVERY_S),
            event_handlers=[_Course(lab, tell)],
        )
    except ChaosException as error:
        raise InvalidInputError(f"{experiment.path}: {error}") from error
    return dict(journal)


def _be_quiet() -> None:
    """Keep the library's log off the terminal: what counts of it stands in the journal."""
    log = logging.getLogger("chaostoolkit")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
