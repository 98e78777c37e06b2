"""What happened, as records: progress, kinds and paths, monotony, the graveyard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from supervision import (
    Call,
    Cell,
    ChildSpec,
    LightActor,
    Report,
    Start,
    Supervisor,
    SupervisorFlags,
)
from supervision.inspection.graveyard import Graveyard
from supervision.inspection.records import DETAIL_CHARACTERS, EVENT_KINDS, record_of
from supervision.processes.monotony import MOST_NAMES, Monotony
from tests.supervision.worlds import Notebook, make_cell
from transport.event_file import EventFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from supervision import Ref


class Family:
    """A supervisor in virtual time, and all that it tells."""

    def __init__(self, flags: SupervisorFlags, *specs: ChildSpec) -> None:
        self.errors: list[Report] = []
        self.progress: list[Report] = []
        self.cell = make_cell(reports=self.errors, progress=self.progress)
        self.asker = self.cell.spawn(Notebook, name="asker")
        self.ref = self.cell.spawn(lambda: Supervisor(flags, specs), name="sup")
        self.cell.run(0.0)

    def child(self, name: str) -> Ref:
        found: Ref = self.ref.actor.bodies[name].handle
        return found

    def told(self) -> list[tuple[str, ...]]:
        """Kind, who, reason and level of the progress since the last look."""
        told: list[tuple[str, ...]] = [
            (each.kind, each.path, str(each.reason), each.level) for each in self.progress
        ]
        self.progress.clear()
        return told

    def call(self, operation: str, *args: Any) -> None:
        self.asker.post(self.ref, Call(operation, args))
        self.cell.run(0.0)


@pytest.fixture
def families() -> Iterator[list[Family]]:
    made: list[Family] = []
    yield made
    for family in made:
        family.cell.poller.close()


def grow(families: list[Family], flags: SupervisorFlags, *specs: ChildSpec) -> Family:
    families.append(Family(flags, *specs))
    return families[-1]


def worker(name: str, **fields: Any) -> ChildSpec:
    return ChildSpec(name, Start(Notebook), **fields)


# -- progress --------------------------------------------------------------------------------------


def test_starts_of_the_initial_list_and_restarts_are_progress_at_level_info(
    families: list[Family],
) -> None:
    family = grow(families, SupervisorFlags(intensity=5), worker("a"), worker("b"))
    assert family.told() == [
        ("started", "sup/a", "initial", "info"),
        ("started", "sup/b", "initial", "info"),
    ]
    family.cell.kill(family.child("a"))
    family.cell.run(0.0)
    assert family.told() == [("restarted", "sup/a", "restart", "info")]
    assert [(each.kind, each.path) for each in family.errors] == [("crashed", "sup/a")]


def test_what_is_started_by_an_operation_is_progress_at_level_debug_only(
    families: list[Family],
) -> None:
    family = grow(families, SupervisorFlags(), worker("a"))
    family.told()
    family.call("start_child", worker("b"))
    family.call("terminate_child", "a")
    family.call("restart_child", "a")
    assert family.told() == [
        ("started", "sup/b", "start_child", "debug"),
        ("stopped", "sup/a", "shutdown", "info"),
        ("started", "sup/a", "restart_child", "debug"),
    ]
    assert family.errors == []


def test_a_group_restart_tells_who_was_stopped_and_who_is_back(families: list[Family]) -> None:
    family = grow(families, SupervisorFlags("rest_for_one"), *map(worker, "abc"))
    family.told()
    family.cell.kill(family.child("b"))
    family.cell.run(0.0)
    assert [(kind, path) for kind, path, _, _ in family.told()] == [
        ("stopped", "sup/c"),
        ("restarted", "sup/b"),
        ("restarted", "sup/c"),
    ]


def test_a_clean_end_is_told_as_a_stop_and_never_twice(families: list[Family]) -> None:
    family = grow(families, SupervisorFlags(), worker("p"), worker("t", restart="transient"))
    family.told()
    for name in ("t", "p"):
        family.asker.post(family.child(name), lambda actor: actor.stop("normal"))
        family.cell.run(0.0)
    assert family.told() == [
        ("stopped", "sup/t", "normal", "info"),
        ("restarted", "sup/p", "restart", "info"),
    ]
    (report,) = family.errors
    assert (report.kind, report.path, report.context) == ("stopped", "sup/p", "child_terminated")


def test_restarts_are_counted_in_what_is_told(families: list[Family]) -> None:
    family = grow(families, SupervisorFlags(intensity=5), worker("a"))
    for _ in range(2):
        family.cell.kill(family.child("a"))
        family.cell.run(0.0)
    assert [each.restarts for each in family.progress] == [0, 1, 2]
    assert [each.restarts for each in family.errors] == [0, 1]


def test_orchestrators_and_their_like_are_told_of_only_when_they_crash(
    families: list[Family],
) -> None:
    from supervision import StartChild

    template = ChildSpec("impression", Start(Short), restart="temporary")
    family = grow(families, SupervisorFlags("simple_one_for_one"), template)
    for ends in ("well", "badly", "well"):
        family.asker.post(family.ref, StartChild((ends,)))
        family.cell.run(0.0)
    assert family.told() == []
    assert [(each.kind, each.path) for each in family.errors] == [("crashed", "sup/impression")]


class Short(LightActor):
    def __init__(self, ends: str) -> None:
        super().__init__()
        self._ends = ends

    def on_start(self) -> None:
        if self._ends == "badly":
            raise ValueError("as told")
        self.stop()


# -- records ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "reason", "kind"),
    [
        ("start_error", "refused", "start_failed"),
        ("child_terminated", "killed", "crashed"),
        ("child_terminated", "normal", "stopped"),
        ("child_terminated", ("shutdown", "restarted by root"), "stopped"),
        ("shutdown_error", "killed", "shutdown_error"),
        ("shutdown", "reached_max_restart_intensity", "gave_up"),
        ("fallback_on", "late", "fallback_on"),
        ("on_end", "killed", "on_end"),
    ],
)
def test_the_kind_of_an_event_follows_from_context_and_reason(
    context: str, reason: Any, kind: str
) -> None:
    assert Report("top", context, reason, {"id": "a"}).kind == kind


def test_who_gave_up_is_the_supervisor_and_who_crashed_is_the_child() -> None:
    offender = {"id": "a"}
    assert Report("top", "shutdown", "reached_max_restart_intensity", offender).path == "top"
    assert Report("top", "child_terminated", "killed", offender).path == "top/a"
    assert Report("top", "on_end", "killed").path == "top"
    assert Report("operator", "killed", "by me", offender, about="top/b").path == "top/b"


def test_a_record_is_plain_bounded_and_says_where_on_which_node() -> None:
    offender = {"id": "a", "pid": 7}
    reason = ("shutdown", ("failed_to_start_child", "a", "no disk"))
    report = Report("top", "child_terminated", reason, offender, "x" * 99_999, restarts=2)
    record = record_of(report, "n-1", "2026-01-01T00:00:00.000Z")
    assert len(record.pop("detail")) == DETAIL_CHARACTERS
    assert record == {
        "ts": "2026-01-01T00:00:00.000Z",
        "node": "n-1",
        "kind": "stopped",
        "level": "error",
        "supervisor": "top",
        "context": "child_terminated",
        "reason": "a: no disk",
        "offender": offender,
        "address": "n-1:top/a",
        "restarts": 2,
    }
    assert record["kind"] in EVENT_KINDS


# -- monotony --------------------------------------------------------------------------------------


def test_of_what_repeats_itself_only_so_much_a_second_is_written_and_the_rest_is_counted() -> None:
    monotony = Monotony(per_second=3)
    first = [monotony.count("crashed", "a", 10.0 + n / 10) for n in range(8)]
    assert first == [0, 0, 0, None, None, None, None, None]
    assert monotony.count("crashed", "b", 10.9) == 0
    assert monotony.count("restarted", "a", 10.9) == 0
    assert monotony.count("crashed", "a", 11.0) == 5
    assert monotony.count("crashed", "a", 11.1) == 0
    assert monotony.count("crashed", "a", 99.0) == 0


def test_monotony_forgets_rather_than_grow() -> None:
    monotony = Monotony(per_second=1)
    for number in range(3 * MOST_NAMES):
        assert monotony.count("crashed", str(number), 1.0) == 0
    assert len(monotony._counts) <= MOST_NAMES + 1


# -- the graveyard ---------------------------------------------------------------------------------


def event(kind: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "ts": f"t{number}",
        "kind": kind,
        "context": "child_terminated",
        "reason": "killed",
        "address": f"n:top/{number}",
        "restarts": number,
        "offender": {"id": str(number), "pid": 70 + number, "incarnation": number},
        **more,
    }


def test_the_dead_are_the_crashed_and_failed_not_those_who_were_told_to_stop(
    tmp_path: Path,
) -> None:
    file = EventFile(tmp_path / "events")
    file.append(event("started", 1))
    file.append(event("crashed", 2, detail="Traceback"))
    file.append(event("stopped", 3, context="stopped"))
    file.append(event("stopped", 4))
    file.append(event("start_failed", 5))
    file.append(event("killed", 6))
    graves = Graveyard(tmp_path / "events").dead()
    assert [grave["address"] for grave in graves] == ["n:top/2", "n:top/4", "n:top/5"]
    assert graves[0] == {
        "ts": "t2",
        "address": "n:top/2",
        "kind": "crashed",
        "reason": "killed",
        "restarts": 2,
        "pid": 72,
        "incarnation": 2,
        "detail": "Traceback",
    }


def test_the_last_two_hundred_dead_are_remembered_by_whoever_looks_next(tmp_path: Path) -> None:
    path = tmp_path / "events"
    file = EventFile(path)
    yard = Graveyard(path)
    assert yard.dead() == []
    for number in range(150):
        file.append(event("crashed", number))
    assert len(yard.dead()) == 150
    for number in range(150, 300):
        file.append(event("crashed", number))
    assert [grave["restarts"] for grave in yard.dead()] == list(range(100, 300))
    assert Graveyard(path).dead() == yard.dead(), "a new watchdog knows them, too"


def test_a_cell_without_a_reporter_tells_nobody(cell: Cell) -> None:
    ref = cell.spawn(lambda: Supervisor(SupervisorFlags(), (worker("a"),)), name="top")
    cell.run(0.0)
    assert ref.actor.bodies["a"].handle.actor is not None
