from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from supervision import ChildSpec, Start, Supervisor, SupervisorFlags
from supervision.registry import route_report
from tests.supervision.worlds import Notebook, make_cell, notebook

if TYPE_CHECKING:
    from supervision import Cell, Ref, Registry, Route

COOL_OFF_S = 0.25
STRIKES = 3


@pytest.fixture
def cell() -> Cell:
    cell = make_cell()
    cell.registry.configure(strike_limit=STRIKES, cool_off_s=COOL_OFF_S)
    return cell


@pytest.fixture
def agent(cell: Cell) -> Ref:
    ref, _ = notebook(cell)
    cell.registry.bind("profiler", ref)
    return ref


@pytest.fixture
def route(cell: Cell, agent: Ref) -> Route:
    return cell.registry.route("profiler")


def answering(route: Route) -> Ref | None:
    """Look at the route now; a function, because the type checker believes that nothing changes."""
    return route.address


def pass_time(cell: Cell, seconds: float) -> None:
    cell.run(seconds)


def test_a_role_resolves_to_its_live_agent(cell: Cell, agent: Ref) -> None:
    assert cell.registry.address("profiler") is agent


def test_a_role_that_nobody_plays_has_no_address(cell: Cell) -> None:
    assert cell.registry.address("nobody") is None


def test_the_route_of_a_role_stays_the_same_object(cell: Cell, route: Route) -> None:
    assert cell.registry.route("profiler") is route
    assert cell.registry.roles() == {"profiler": route}


def test_a_route_is_closed_while_its_agent_is_down_and_open_for_the_next(
    cell: Cell, agent: Ref, route: Route
) -> None:
    cell.kill(agent)
    assert answering(route) is None
    fresh, _ = notebook(cell)
    cell.registry.bind("profiler", fresh)
    assert answering(route) is fresh


def test_a_route_is_closed_while_its_agent_is_suspended(
    cell: Cell, agent: Ref, route: Route
) -> None:
    cell.suspend(agent)
    assert answering(route) is None
    cell.resume(agent)
    assert answering(route) is agent


def test_a_route_is_closed_while_its_agent_is_overloaded(
    cell: Cell, agent: Ref, route: Route
) -> None:
    route.queue_limit = 2
    agent.post(agent, 1)
    assert answering(route) is agent
    agent.post(agent, 2)
    assert answering(route) is None
    cell.run()
    assert answering(route) is agent


def test_fewer_late_answers_than_the_limit_leave_a_route_open(route: Route, agent: Ref) -> None:
    for _ in range(STRIKES - 1):
        route.strike()
    assert answering(route) is agent


def test_only_late_answers_in_a_row_count(route: Route, agent: Ref) -> None:
    for _ in range(STRIKES):
        route.strike()
        route.answered()
    assert answering(route) is agent


def close(route: Route) -> None:
    for _ in range(STRIKES):
        route.strike()


def test_too_many_late_answers_close_a_route_for_the_cool_off(cell: Cell, route: Route) -> None:
    close(route)
    assert answering(route) is None
    pass_time(cell, COOL_OFF_S * 0.9)
    assert answering(route) is None


def test_after_the_cool_off_one_question_is_let_through_as_a_probe(
    cell: Cell, route: Route, agent: Ref
) -> None:
    close(route)
    pass_time(cell, COOL_OFF_S)
    assert [answering(route), answering(route)] == [agent, None]


def test_an_answered_probe_opens_the_route(cell: Cell, route: Route, agent: Ref) -> None:
    close(route)
    pass_time(cell, COOL_OFF_S)
    assert answering(route) is agent
    route.answered()
    assert [answering(route), answering(route)] == [agent, agent]


def test_a_late_probe_closes_the_route_again(cell: Cell, route: Route, agent: Ref) -> None:
    close(route)
    pass_time(cell, COOL_OFF_S)
    assert answering(route) is agent
    route.strike()
    pass_time(cell, COOL_OFF_S * 0.9)
    assert answering(route) is None
    pass_time(cell, COOL_OFF_S * 0.1)
    assert answering(route) is agent


def test_a_probe_of_which_nothing_is_heard_is_followed_by_another(
    cell: Cell, route: Route, agent: Ref
) -> None:
    close(route)
    pass_time(cell, COOL_OFF_S)
    assert answering(route) is agent
    pass_time(cell, COOL_OFF_S)
    assert answering(route) is agent


def test_a_restarted_agent_starts_with_a_clean_slate(cell: Cell, route: Route) -> None:
    close(route)
    fresh, _ = notebook(cell)
    cell.registry.bind("profiler", fresh)
    assert answering(route) is fresh


def test_a_supervisor_binds_the_role_of_each_incarnation(cell: Cell) -> None:
    spec = ChildSpec("selector", Start(Notebook), role="selector")
    cell.spawn(lambda: Supervisor(SupervisorFlags(), [spec]))
    cell.run()
    first = cell.registry.address("selector")
    assert first is not None
    cell.kill(first)
    assert cell.registry.address("selector") is None
    cell.run()
    second = cell.registry.address("selector")
    assert second is not None
    assert second is not first


# -- what is told of routes ------------------------------------------------------------------------


def told_of(cell: Cell, registry: Registry) -> list[tuple[str, str | None]]:
    """Collect role and reason of each change that the registry tells."""
    told: list[tuple[str, str | None]] = []
    registry.on_change = lambda route: told.append((route.role, route.closed_for))
    return told


def test_a_fallback_is_told_when_somebody_first_takes_it_and_its_end_at_the_next_sweep(
    cell: Cell,
) -> None:
    registry, told = cell.registry, told_of(cell, cell.registry)
    ref, _ = notebook(cell)
    assert registry.address("r") is None  # nobody has ever played it: no news
    registry.bind("r", ref)
    registry.sweep()
    assert told == []
    cell.suspend(ref)
    for _ in range(5):
        assert registry.address("r") is None
    assert told == [("r", "suspended")]
    cell.resume(ref)
    assert registry.address("r") is ref
    assert told == [("r", "suspended")]
    registry.sweep()
    registry.sweep()
    assert told == [("r", "suspended"), ("r", None)]


def test_a_route_that_nobody_asks_for_is_told_of_by_the_sweep_unless_it_was_stopped(
    cell: Cell,
) -> None:
    registry, told = cell.registry, told_of(cell, cell.registry)
    crashed, stopped = notebook(cell)[0], notebook(cell)[0]
    registry.bind("crashed", crashed)
    registry.bind("stopped", stopped)
    cell.kill(crashed)
    cell.stop(stopped)
    cell.run(0.0)
    registry.sweep()
    assert told == [("crashed", "down")]
    assert registry.address("stopped") is None
    assert told[-1] == ("stopped", "down")


def test_a_sweep_does_not_take_the_probe_of_a_route_that_is_late(cell: Cell) -> None:
    registry, told = cell.registry, told_of(cell, cell.registry)
    registry.configure(strike_limit=1, cool_off_s=1.0)
    ref, _ = notebook(cell)
    registry.bind("r", ref)
    registry.route("r").strike()
    registry.sweep()
    assert told == [("r", "late")]
    cell.run(2.0)
    registry.sweep()
    assert registry.address("r") is ref, "the probe was still there"
    registry.route("r").answered()
    registry.sweep()
    assert told == [("r", "late"), ("r", None)]


def test_the_report_of_a_route_says_who_is_meant_and_why(cell: Cell) -> None:
    parent, _ = notebook(cell, name="agents")
    ref, _ = notebook(cell, parent, name="profiler")
    cell.registry.bind("user-profiler", ref)
    cell.suspend(ref)
    cell.registry.sweep()
    report = route_report(cell.registry.route("user-profiler"))
    assert (report.kind, report.reason, report.level) == ("fallback_on", "suspended", "info")
    assert report.path == "agents/profiler"
    assert report.offender == {"id": "profiler", "role": "user-profiler"}
    cell.resume(ref)
    cell.registry.sweep()
    report = route_report(cell.registry.route("user-profiler"))
    assert (report.kind, report.reason) == ("fallback_off", "open again")
