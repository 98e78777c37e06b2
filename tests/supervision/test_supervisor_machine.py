"""Our supervisor beside the reference model: random programs, step by step the same.

Each step is done to a real ``Supervisor`` in a cell in virtual time and to the model of plain lists
(``reference``). What they return, all events and reports, the tree, the counts, the allowance that
is left and who lives must be equal after every step, and every start must have had one end when all
is over. With ``BIDWRIGHT_SOAK`` set to a number, so many thousand other programs are tried,
and one that fails is made as short as can be, which takes minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from supervision import Supervisor
from tests.conformance.light import LightWorld
from tests.conformance.words import text_of
from tests.supervision.reference import Reference

if TYPE_CHECKING:
    from supervision import Ref, Report

SOAK = int(os.environ.get("BIDWRIGHT_SOAK") or 0)
OTP_CONTEXTS = ("start_error", "child_terminated", "shutdown_error", "shutdown")
QUIET_MS = 700
"""Longer than any child of these programs takes for one start or stop."""

STATIC = ("one_for_one", "one_for_all", "rest_for_one")
DYNAMIC = "simple_one_for_one"

# -- what programs are made of ---------------------------------------------------------------------

reasons: st.SearchStrategy[Any] = st.sampled_from(
    ["crash", "normal", "shutdown", {"shutdown": "idle"}]
)
failing = st.sampled_from(
    [
        *("ok", "ok", "ignore", {"ok_info": "x"}, {"error": "boom"}, {"raise": "bug"}),
        *({"init_exit": "bye"}, {"returns": "junk"}, {"slow_fail": 110}),
    ]
)
sudden = st.one_of(
    st.sampled_from(["ok", "ignore", {"ok_info": "x"}]),
    reasons.map(lambda reason: {"ok_then_exit": reason}),
)
kinds = st.sampled_from(["permanent", "transient", "temporary"])
reactions = st.sampled_from(
    ["comply", "comply", {"exit": "odd"}, {"exit": "normal"}, {"delay": 90}, {"delay": 500}]
)
INTENSITIES = (0, 1, 2, 3, 6, 6, 6, 12)
LONG_S, SHORT_S, SUDDEN_S = (3600,), (1, 3), (2, 4)
"""Periods of three kinds of programs.

In long ones starts may fail for ever. In the short ones they succeed at last: what is slow to stop
would go on for ever there. In sudden ones children end as soon as they have started, and none fails
to start: which of the two is looked at first is left open by OTP.
"""


def plans(
    periods_s: tuple[int, ...], entries: st.SearchStrategy[Any] = failing
) -> st.SearchStrategy[list[Any]]:
    some = st.lists(entries, min_size=1, max_size=3)
    return some if periods_s == LONG_S else some.map(lambda plan: [*plan, "ok"])


@st.composite
def workers(
    draw: st.DrawFn, name: str, periods_s: tuple[int, ...], auto: str = "never"
) -> dict[str, Any]:
    spec: dict[str, Any] = {"id": name}
    optional = {
        "restart": kinds,
        "shutdown": st.sampled_from(["brutal_kill", 200, "infinity"]),
        "plan": plans(periods_s, sudden if periods_s == SUDDEN_S else failing).map(
            lambda plan: ["ok", *plan]
        ),
        "on_stop": reactions,
        "slow_start": st.just(70),
        "traps": st.just(False),
    }
    for word, values in optional.items():
        if draw(st.integers(0, 2)) == 0:
            spec[word] = draw(values)
    if "ok_then_exit" in repr(spec):
        # Slow to start and gone at once: whether a stop comes in between is left open by OTP.
        spec.pop("slow_start", None)
    if auto != "never" and spec.get("restart", "permanent") != "permanent":
        spec["significant"] = draw(st.booleans())
    return spec


@st.composite
def flags(
    draw: st.DrawFn, strategies: tuple[str, ...], periods_s: tuple[int, ...]
) -> dict[str, Any]:
    return {
        "strategy": draw(st.sampled_from(strategies)),
        "intensity": draw(st.sampled_from(INTENSITIES)),
        "period": draw(st.sampled_from(periods_s)),
    }


@st.composite
def nested(draw: st.DrawFn, name: str, periods_s: tuple[int, ...]) -> dict[str, Any]:
    """A supervisor below the one under test, with quick children."""
    names = draw(st.permutations(["x", "y", "z"]))[: draw(st.integers(0, 3))]
    entries = st.sampled_from(["ok", "ignore"]) if periods_s == SUDDEN_S else failing
    return {
        "id": name,
        "sup": draw(flags(STATIC, periods_s)),
        "children": [
            {"id": each, "restart": draw(kinds), "plan": ["ok", *draw(plans(periods_s, entries))]}
            for each in names
        ],
        "restart": draw(kinds),
        "shutdown": draw(st.sampled_from(["infinity", "brutal_kill"])),
    }


@st.composite
def static_setups(draw: st.DrawFn, periods_s: tuple[int, ...], least: int = 1) -> dict[str, Any]:
    sup = draw(flags(STATIC, periods_s))
    sup["auto_shutdown"] = draw(st.sampled_from(["never", "any_significant", "all_significant"]))
    names = "abcde"[: draw(st.integers(least, 5))]
    children = [
        draw(
            nested(name, periods_s)
            if draw(st.integers(0, 3)) == 0
            else workers(name, periods_s, sup["auto_shutdown"])
        )
        for name in names
    ]
    return {"sup": sup, "children": children}


@st.composite
def dynamic_setups(draw: st.DrawFn, periods_s: tuple[int, ...]) -> dict[str, Any]:
    template = draw(workers("w", periods_s))
    return {"sup": draw(flags((DYNAMIC,), periods_s)), "children": [template]}


@st.composite
def setups(draw: st.DrawFn) -> dict[str, Any]:
    periods_s: tuple[int, ...] = draw(st.sampled_from([LONG_S, SHORT_S, SUDDEN_S]))
    if draw(st.integers(0, 3)) == 0:
        return draw(dynamic_setups(periods_s))
    return draw(static_setups(periods_s))


# -- the machine -----------------------------------------------------------------------------------


class SupervisorMachine(RuleBasedStateMachine):
    """Both worlds, and one program done to both."""

    def __init__(self) -> None:
        super().__init__()
        self.open()

    def open(self) -> None:
        self.reports: list[Report] = []
        self.real = LightWorld()
        self.real.cell.reporter = self.reports.append
        # All delays are whole milliseconds: half of one keeps every sum away from a whole second,
        # where rounding would decide which second it is.
        self.real.sleep(0.0005)
        self.model = Reference()
        self.auto = "never"
        self.periods_s: tuple[int, ...] = LONG_S
        self.is_dynamic = False
        self.is_suspended = False
        self.number = 0

    # -- doing and comparing --------------------------------------------------------------------

    def compare(self, where: str, answer: Any, expected: Any) -> None:
        self.real.settle(QUIET_MS)
        model, real, dynamic = self.model, self.real, self.is_dynamic
        pairs: dict[str, tuple[Any, Any]] = {
            "what it returned": (answer, expected),
            "the events": in_order(real.events(), model.events, dynamic=dynamic),
            "the reports": (self.told(), sorted(model.reports)),
            "the state of the supervisor": (real.supervisor_state(), model.supervisor_state()),
            "the trees": in_order(real.tree(), model.tree(), dynamic=dynamic),
            "who lives": (sorted(self.bodies()), sorted(model.living())),
        }
        if not self.is_suspended:
            pairs["the counts"] = real.counts(), model.counts()
            pairs["the allowance left"] = self.allowances()
        for what, (seen, wanted) in pairs.items():
            assert seen == wanted, f"{where}: {what} differ\n  ours  {seen}\n  model {wanted}"

    def told(self) -> list[tuple[str, str, str, int]]:
        return sorted(
            (
                report.context,
                text_of(report.reason),
                report.offender["id"],
                report.offender["count"],
            )
            for report in self.reports
            if report.context in OTP_CONTEXTS
        )

    def bodies(self, ref: Ref | None = None) -> list[str]:
        """Return the paths of all actors of the cell below the supervisor under test."""
        ref = ref or self.real.top
        assert ref is not None
        found: list[str] = []
        for child in ref.children or ():
            found += [child.actor.label, *self.bodies(child)]
        return found

    def allowances(self) -> tuple[int, int]:
        if self.model.supervisor_state() != "alive":
            return 0, 0
        assert self.real.top is not None
        supervisor = self.real.top.actor
        assert isinstance(supervisor, Supervisor)
        self.model.now_ms = self.real.clock() * 1000
        return supervisor.allowance_left(), self.model.allowance_left()

    def do(self, **step: Any) -> None:
        self.model.now_ms = self.real.clock() * 1000
        answer = self.real.perform(step)
        self.compare(str(step), answer, self.model.perform(step))

    # -- whom to do it to -----------------------------------------------------------------------

    def child(self, data: st.DataObject) -> str:
        """Draw a child of the supervisor under test, or one that is not there."""
        top = self.model.top
        names = [row.name for row in top.rows] if top is not None else []
        return data.draw(st.sampled_from([*names, "nobody"]))

    def workers_alive(self) -> list[str]:
        """Return who can end by itself: supervisors are only killed."""
        living = self.model.living()
        return [path for path in living if not self.real.supervises(path)]

    def own_workers(self) -> list[str]:
        return [path for path in self.workers_alive() if "/" not in path]

    def is_alive(self) -> bool:
        return self.model.supervisor_state() == "alive" and not self.is_suspended

    def is_static(self) -> bool:
        return self.is_alive() and not self.is_dynamic

    # -- the rules ------------------------------------------------------------------------------

    @initialize(setup=setups())
    def start(self, setup: dict[str, Any]) -> None:
        self.auto = setup["sup"].get("auto_shutdown", "never")
        period_s = setup["sup"]["period"]
        self.periods_s = next(some for some in (LONG_S, SHORT_S, SUDDEN_S) if period_s in some)
        self.is_dynamic = setup["sup"]["strategy"] == DYNAMIC
        answer = self.real.start(setup)
        expected = self.model.start(setup)
        if self.model.top is None:
            assert answer == expected
            assert sorted(self.real.events()) == sorted(self.model.events)
        else:
            self.compare(f"start {setup}", answer, expected)

    @precondition(lambda self: self.model.supervisor_state() != "alive")
    @rule(setup=setups())
    def start_another(self, setup: dict[str, Any]) -> None:
        """What has ended is checked and left; the next program begins."""
        self.finish()
        self.open()
        self.start(setup)

    @precondition(is_static)
    @rule(data=st.data())
    def start_child(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from("abcdefgh"))
        auto = data.draw(st.sampled_from([self.auto, self.auto, "any_significant"]))
        spec = data.draw(
            st.one_of(workers(name, self.periods_s, auto), nested(name, self.periods_s))
        )
        if "sup" not in spec and self.periods_s != SUDDEN_S and data.draw(st.booleans()):
            spec["plan"] = data.draw(plans(self.periods_s))
        self.do(op="start_child", spec=spec)

    @precondition(lambda self: self.is_alive() and self.is_dynamic)
    @rule()
    def start_dynamic_child(self) -> None:
        self.number += 1
        self.do(op="start_child", args=f"h{self.number}")

    @precondition(is_alive)
    @rule(
        operation=st.sampled_from(
            ["terminate_child", "terminate_child", "restart_child", "delete_child", "get_childspec"]
        ),
        data=st.data(),
    )
    def ask_about_child(self, operation: str, data: st.DataObject) -> None:
        name = self.child(data)
        by_handle = self.is_dynamic and name != "nobody" and operation in BY_HANDLE
        self.do(op=operation, child={"pid": name} if by_handle else name)

    @precondition(lambda self: bool(self.workers_alive()))
    @rule(reason=reasons, data=st.data())
    def end(self, reason: Any, data: st.DataObject) -> None:
        self.do(op="exit", child=data.draw(st.sampled_from(self.workers_alive())), reason=reason)

    @precondition(lambda self: len(self.own_workers()) > 1)
    @rule(reason=reasons, data=st.data())
    def end_several_at_once(self, reason: Any, data: st.DataObject) -> None:
        """Several children of the supervisor under test: what two supervisors do has no order."""
        chosen = data.draw(st.lists(st.sampled_from(self.own_workers()), min_size=2, unique=True))
        self.do(op="exit_async", child=chosen, reason=reason)

    @precondition(lambda self: bool(self.model.living()) and not self.is_suspended)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        self.do(op="kill", child=data.draw(st.sampled_from(self.model.living())))

    @precondition(lambda self: self.is_static() and bool(self.own_workers()))
    @precondition(lambda self: self.periods_s != SUDDEN_S)
    @rule(data=st.data())
    def change_plan(self, data: st.DataObject) -> None:
        child = data.draw(st.sampled_from(self.own_workers()))
        self.do(op="set_plan", child=child, plan=data.draw(plans(self.periods_s)))

    @precondition(is_static)
    @rule(data=st.data())
    def change_specs(self, data: st.DataObject) -> None:
        setup = data.draw(static_setups(self.periods_s, least=0))
        self.auto = setup["sup"]["auto_shutdown"]
        self.do(op="upgrade", setup=setup)

    @precondition(is_alive)
    @rule(ms=st.sampled_from([300, 1000, 2000, 4000]))
    def pass_time(self, ms: int) -> None:
        self.do(op="sleep", ms=ms)

    @precondition(is_alive)
    @rule()
    def suspend(self) -> None:
        """Children of nested supervisors live on as before."""
        self.is_suspended = True
        self.do(op="suspend")

    @precondition(lambda self: self.is_suspended)
    @rule()
    def resume(self) -> None:
        self.is_suspended = False
        self.do(op="resume")

    @precondition(is_alive)
    @rule(reason=st.sampled_from(["shutdown", "shutdown", "kill"]), sure=st.integers(0, 9))
    def stop(self, reason: str, sure: int) -> None:
        if sure == 9:
            self.do(op="stop", reason=reason)

    # -- the end --------------------------------------------------------------------------------

    def finish(self) -> None:
        """Every start has had one end, and no actor is left."""
        starts, ends = Counter[str](), Counter[str]()
        for line in self.real.events():
            kind, label, *_ = line.split()
            starts[label] += kind == "start"
            ends[label] += kind == "exit" and label != "$sup"
        assert +starts == +ends
        assert list(self.real.cell.primaries) == [self.real.parent]
        assert not self.real.parent.children
        self.real.close()

    def teardown(self) -> None:
        if self.model.top is None:
            return
        if self.is_suspended:
            self.resume()
        if self.is_alive():
            self.do(op="stop")
        self.finish()


BY_HANDLE = ("terminate_child", "get_childspec")


def in_order(seen: Any, wanted: Any, *, dynamic: bool) -> tuple[Any, Any]:
    """Dynamic children stop all at once: there is no order among them."""
    if dynamic and isinstance(seen, list) and isinstance(wanted, list):
        return sorted(seen, key=repr), sorted(wanted, key=repr)
    return seen, wanted


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 60)
def test_random_programs_go_as_the_reference_model_says() -> None:
    effort = settings(
        max_examples=1000 * SOAK or 60,
        derandomize=not SOAK,
        phases=(Phase.generate, Phase.shrink) if SOAK else (Phase.generate,),
        report_multiple_bugs=False,
        stateful_step_count=25,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(SupervisorMachine, settings=effort)
