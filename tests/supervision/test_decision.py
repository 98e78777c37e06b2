"""The decision over its whole small input space, and as properties over random histories."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import ChildSpec, SpecError, Start, SupervisorFlags, decision, events, is_clean
from supervision.backlog import Backlog
from supervision.specs import Restart, Strategy, check_flags, check_spec, check_specs
from supervision.state import Child, State

CLEAN = ("normal", "shutdown", ("shutdown", "idle"))
ABNORMAL = ("killed", "ValueError: broken", ("broken", 1), (), "Shutdown", None)
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")


def spec(name: str = "a", restart: Any = "permanent", **more: Any) -> ChildSpec:
    return ChildSpec(name, Start(object), restart=restart, **more)


# -- must it be restarted? -------------------------------------------------------------------------


@pytest.mark.parametrize("reason", CLEAN)
def test_a_clean_end_is_one_for_these_reasons(reason: Any) -> None:
    assert is_clean(reason)


@pytest.mark.parametrize("reason", ABNORMAL)
def test_every_other_reason_is_abnormal(reason: Any) -> None:
    assert not is_clean(reason)


MUST = {"permanent": (True, True), "transient": (False, True), "temporary": (False, False)}


@pytest.mark.parametrize(("restart", "reason"), list(product(get_args(Restart), CLEAN + ABNORMAL)))
def test_restart_type_and_reason_decide_whether_a_child_comes_back(
    restart: Any, reason: Any
) -> None:
    after_clean, after_abnormal = MUST[restart]
    expected = after_clean if reason in CLEAN else after_abnormal
    assert decision.must_restart(spec(restart=restart), reason) is expected


# -- may it? ---------------------------------------------------------------------------------------


@given(
    moments=st.lists(st.integers(0, 40).map(lambda quarter: quarter / 4), max_size=12),
    intensity=st.integers(0, 4),
    period_s=st.integers(1, 5),
)
def test_restarts_are_allowed_as_a_plain_count_over_all_times_says(
    moments: list[float], intensity: int, period_s: int
) -> None:
    flags = SupervisorFlags(intensity=intensity, period_s=period_s)
    restarts: tuple[int, ...] = ()
    past: list[int] = []
    for moment_s in sorted(moments):
        restarts, allowed = decision.record_restart(restarts, moment_s, flags)
        past.append(int(moment_s))
        within = [second for second in past if second >= int(moment_s) - period_s]
        assert allowed == (len(within) <= intensity)
        assert sorted(restarts) == within


def test_the_window_counts_whole_seconds_and_includes_both_ends() -> None:
    flags = SupervisorFlags(intensity=1, period_s=2)
    first, _ = decision.record_restart((), 0.9, flags)
    assert not decision.record_restart(first, 2.9, flags)[1]
    assert decision.record_restart(first, 3.0, flags)[1]


# -- whom does it take along? ----------------------------------------------------------------------

TAKEN = {
    "one_for_one": ("a", "b", "c"),
    "one_for_all": ("abc", "abc", "abc"),
    "rest_for_one": ("abc", "bc", "c"),
    "simple_one_for_one": ("a", "b", "c"),
}


@pytest.mark.parametrize(("strategy", "dead"), list(product(get_args(Strategy), range(3))))
def test_the_strategy_decides_who_is_restarted_with_the_dead(strategy: Any, dead: int) -> None:
    children = [Child(name, spec(name), order) for order, name in enumerate("abc")]
    flags = SupervisorFlags(strategy)
    taken = decision.taken_along(flags, children, children[dead])
    assert "".join(child.key for child in taken) == TAKEN[strategy][dead]


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"restart": "always"}, "invalid_restart_type"),
        ({"shutdown": -1}, "invalid_shutdown"),
        ({"shutdown": True}, "invalid_shutdown"),
        ({"shutdown": 1.5}, "invalid_shutdown"),
        ({"type": "manager"}, "invalid_child_type"),
        ({"placement": "moon"}, "invalid_placement"),
        ({"significant": 1}, "invalid_significant"),
        ({"significant": True}, "bad_combination"),
        ({"significant": True, "restart": "transient"}, "bad_combination"),
        ({"id": None}, "missing_id"),
        ({"start": None}, "missing_start"),
        ({"start": "a name"}, "invalid_start"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(SpecError) as refused:
        check_spec(ChildSpec(**{"id": "a", "start": Start(object), **fields}))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (SupervisorFlags("none_for_one"), "invalid_strategy"),  # type: ignore[arg-type]
        (SupervisorFlags(intensity=-1), "invalid_intensity"),
        (SupervisorFlags(intensity=True), "invalid_intensity"),
        (SupervisorFlags(period_s=0), "invalid_period"),
        (SupervisorFlags(auto_shutdown="maybe"), "invalid_auto_shutdown"),  # type: ignore[arg-type]
        (SupervisorFlags("simple_one_for_one", auto_shutdown="any_significant"), "bad_combination"),
        (("one_for_one", 1), "invalid_type"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: Any, code: str) -> None:
    with pytest.raises(SpecError) as refused:
        check_flags(flags)
    assert refused.value.code == code


def test_an_id_stands_once_in_a_list() -> None:
    with pytest.raises(SpecError, match="duplicate_child_name"):
        check_specs([spec("a"), spec("b"), spec("a")])


# -- the step as a whole ---------------------------------------------------------------------------


class Shell:
    """Plays the shell by hand: it knows who lives, and answers commands as told."""

    def __init__(self, flags: SupervisorFlags, specs: list[ChildSpec]) -> None:
        self.state = State(flags)
        self.live: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.exits: dict[str, int] = {}
        self.ended: Any = None
        self.retries: list[str] = []
        self.answers: list[Any] = []
        self.failing: set[str] = set()
        self.now_s = 0.0
        self.take(events.Begin(tuple(specs)))

    def is_over(self) -> bool:
        return self.ended is not None

    def take(self, event: events.Event) -> None:
        queue = [event]
        while queue and self.ended is None:
            turn = queue.pop(0)
            before = self.state
            self.state, commands = decision.step(before, turn, self.now_s)
            assert decision.step(before, turn, self.now_s) == (self.state, commands)  # pure
            for command in commands:
                queue.extend(self.carry_out(command))

    def carry_out(self, command: events.Command) -> list[events.Event]:
        match command:
            case events.Launch(child):
                return [self.launch(child)]
            case events.Halt(child):
                assert self.live[child.key] == child.incarnation
                return [self.gone(child.key, "shutdown")]
            case events.End(reason):
                assert not self.live, "it ended and left children behind"
                self.ended = reason
            case events.Retry(key):
                self.retries.append(key)
            case events.Answer(_, value):
                self.answers.append(value)
            case _:
                pass
        return []

    def launch(self, child: Child) -> events.Event:
        assert child.key not in self.live, "two incarnations at once"
        if child.key in self.failing:
            return events.LaunchFailed(child.key, child.incarnation, "boom")
        self.live[child.key] = child.incarnation
        self.starts[child.key] = self.starts.get(child.key, 0) + 1
        return events.Launched(child.key, child.incarnation)

    def gone(self, key: str, reason: Any) -> events.Event:
        self.exits[key] = self.exits.get(key, 0) + 1
        return events.Exited(key, self.live.pop(key), reason)

    def die(self, key: str, reason: Any) -> None:
        if key in self.live:
            self.take(self.gone(key, reason))

    def ask(self, operation: str, *args: Any) -> Any:
        self.take(events.Asked(operation, args, "caller"))
        return self.answers.pop()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stopping_takes_the_children_down_in_reverse_order(strategy: Any) -> None:
    state = State(SupervisorFlags(strategy))
    halted: list[str] = []
    shell = Shell(SupervisorFlags(strategy), [spec(name) for name in "abc"])
    state, commands = decision.step(shell.state, events.StopAsked("shutdown"), 0.0)
    while not isinstance(commands[-1], events.End):
        (halt,) = commands
        assert isinstance(halt, events.Halt)
        halted.append(halt.child.key)
        gone = events.Exited(halt.child.key, halt.child.incarnation, "shutdown")
        state, commands = decision.step(state, gone, 0.0)
    assert halted == ["c", "b", "a"]
    assert commands == [events.End("shutdown")]


def test_dynamic_children_are_stopped_all_at_once() -> None:
    shell = Shell(SupervisorFlags("simple_one_for_one"), [spec("w")])
    for number in range(3):
        shell.ask("start_child", number)
    _, commands = decision.step(shell.state, events.StopAsked(), 0.0)
    assert [type(command) for command in commands] == [events.Halt] * 3


def test_while_a_child_is_awaited_only_news_of_it_concern_the_supervisor() -> None:
    state, _ = decision.step(State(SupervisorFlags()), events.Begin((spec("a"), spec("b"))), 0.0)
    (incarnation,) = state.pending.values()
    assert state.concerns(events.Launched("a", incarnation))
    assert not state.concerns(events.Launched("a", incarnation + 1))
    assert not state.concerns(events.Launched("b", incarnation))
    assert not state.concerns(events.StopAsked())


def test_news_of_an_earlier_incarnation_change_nothing() -> None:
    shell = Shell(SupervisorFlags(intensity=5), [spec("a")])
    stale = events.Exited("a", shell.live["a"], "killed")
    shell.die("a", "killed")
    before = shell.state
    assert decision.step(before, stale, 0.0) == (before, [])


def test_each_failed_attempt_at_a_restart_counts_and_waits_for_its_turn() -> None:
    shell = Shell(SupervisorFlags(intensity=3), [spec("a")])
    shell.failing.add("a")
    shell.die("a", "killed")
    for _ in range(2):
        assert shell.retries.pop() == "a"
        assert shell.ended is None
        shell.take(events.RetryDue("a"))
    shell.retries.clear()
    shell.take(events.RetryDue("a"))
    assert shell.ended == "shutdown"


def test_a_retry_that_is_due_after_the_child_was_stopped_does_nothing() -> None:
    shell = Shell(SupervisorFlags(intensity=3), [spec("a")])
    shell.failing.add("a")
    shell.die("a", "killed")
    assert shell.ask("terminate_child", "a") == "ok"
    shell.failing.clear()
    shell.take(events.RetryDue("a"))
    assert shell.live == {}


@pytest.mark.parametrize(
    ("operation", "args", "problem"),
    [
        ("dance", (), ("unknown_operation", "dance")),
        ("terminate_child", (), "badarg"),
        ("restart_child", ("a", "b"), "badarg"),
        ("delete_child", (["a"],), "not_found"),
        ("change_specs", (), "badarg"),
        ("start_child", (), ("invalid_child_spec", ())),
        (
            "change_specs",
            (SupervisorFlags("simple_one_for_one"), [spec("w")]),
            ("bad_strategy_change", "one_for_one to simple_one_for_one"),
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_and_harms_nothing(
    operation: str, args: tuple[Any, ...], problem: Any
) -> None:
    shell = Shell(SupervisorFlags(), [spec("a")])
    before = shell.state
    assert shell.ask(operation, *args) == ("error", problem)
    assert shell.state == before


def test_changed_specs_keep_who_runs_add_the_new_stopped_and_keep_the_unmentioned_last() -> None:
    shell = Shell(SupervisorFlags(), [spec("old"), spec("a")])
    running = dict(shell.live)
    flags = SupervisorFlags(intensity=9)
    assert shell.ask("change_specs", flags, [spec("new"), spec("a", "transient")]) == "ok"
    assert shell.live == running
    children = shell.state.in_order()
    assert [(child.key, child.state) for child in children] == [
        ("new", "stopped"),
        ("a", "running"),
        ("old", "running"),
    ]
    assert children[1].spec.restart == "transient"
    assert shell.state.flags is flags


def test_a_temporary_dynamic_child_lives_out_its_life_when_the_template_changes() -> None:
    flags = SupervisorFlags("simple_one_for_one", intensity=9)
    shell = Shell(flags, [spec("w", "temporary")])
    shell.ask("start_child", "argument")
    assert shell.ask("change_specs", flags, [spec("w", "permanent")]) == "ok"
    (child,) = shell.state.in_order()
    assert (child.spec.restart, child.args) == ("temporary", ())
    shell.die(child.key, "killed")
    assert not shell.state.children
    shell.ask("start_child", "argument")
    (child,) = shell.state.in_order()
    assert (child.spec.restart, child.args) == ("permanent", ("argument",))


def test_a_child_added_after_a_change_is_the_last_in_order() -> None:
    shell = Shell(SupervisorFlags(), [spec("a")])
    shell.ask("change_specs", SupervisorFlags(), [spec(name) for name in "bcdefgh"])
    shell.ask("start_child", spec("late"))
    assert shell.state.in_order()[-1].key == "late"


def test_a_temporary_child_that_stands_stopped_is_forgotten_when_it_is_terminated() -> None:
    shell = Shell(SupervisorFlags(), [spec("a")])
    shell.ask("change_specs", SupervisorFlags(), [spec("a"), spec("late", "temporary")])
    assert shell.ask("terminate_child", "late") == "ok"
    assert list(shell.state.children) == ["a"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_no_group_revives_a_temporary_child_that_stands_stopped(strategy: Any) -> None:
    flags = SupervisorFlags(strategy, intensity=5)
    shell = Shell(flags, [spec("a")])
    shell.ask("change_specs", flags, [spec("a"), spec("late", "temporary")])
    shell.die("a", "killed")
    assert list(shell.live) == ["a"]
    assert list(shell.state.children) == ["a"]


def test_a_significant_child_that_is_being_restarted_still_counts_as_there() -> None:
    flags = SupervisorFlags(intensity=5, auto_shutdown="all_significant")
    shell = Shell(flags, [spec(name, "transient", significant=True) for name in "ab"])
    shell.failing.add("a")
    shell.die("a", "killed")
    shell.die("b", "normal")
    assert shell.ended is None


def test_news_in_the_backlog_are_found_by_child_in_order_of_arrival() -> None:
    backlog = Backlog()
    news = [events.Exited(key, number, "killed") for number, key in enumerate("abc")]
    heard: list[events.Event] = [events.StopAsked(), *news, events.RetryDue("a")]
    for each in heard:
        backlog.keep(each)
    assert backlog.of([("c", 2), ("a", 0), ("a", 7), ("x", 1)]) == [news[0], news[2]]
    left = [backlog.first() for _ in range(4)]
    assert left == [events.StopAsked(), news[1], events.RetryDue("a"), None]
    assert backlog.of([("b", 1)]) == []


# -- properties over random lives ------------------------------------------------------------------

KEYS = ("a", "b", "c", "d")
actions = st.one_of(
    st.tuples(st.just("die"), st.sampled_from(KEYS), st.sampled_from(("normal", "killed"))),
    st.tuples(
        st.sampled_from(("terminate_child", "restart_child", "delete_child")),
        st.sampled_from(KEYS),
    ),
    st.tuples(st.just("fail"), st.sampled_from(KEYS)),
    st.tuples(st.just("mend"), st.sampled_from(KEYS)),
    st.tuples(st.just("wait"), st.integers(0, 6)),
    st.tuples(st.just("retry")),
)


def act(shell: Shell, action: tuple[Any, ...]) -> None:
    match action:
        case ("die", key, reason):
            shell.die(key, reason)
        case ("fail", key):
            shell.failing.add(key)
        case ("mend", key):
            shell.failing.discard(key)
        case ("wait", seconds):
            shell.now_s += seconds
        case ("retry",):
            if shell.retries:
                shell.take(events.RetryDue(shell.retries.pop(0)))
        case (operation, key):
            shell.ask(operation, key)
        case _:
            raise AssertionError(action)


@given(
    strategy=st.sampled_from(STRATEGIES),
    kinds=st.lists(st.sampled_from(get_args(Restart)), min_size=4, max_size=4),
    intensity=st.integers(0, 6),
    script=st.lists(actions, max_size=30),
)
def test_whatever_happens_the_books_agree_with_the_bodies(
    strategy: Any, kinds: list[Any], intensity: int, script: list[tuple[Any, ...]]
) -> None:
    specs = [spec(key, kind) for key, kind in zip(KEYS, kinds, strict=True)]
    shell = Shell(SupervisorFlags(strategy, intensity, 5), specs)
    for action in script:
        act(shell, action)
        if shell.is_over():
            break
        running = {key for key, child in shell.state.children.items() if child.state == "running"}
        assert running == set(shell.live)
        assert shell.state.awaiting is None
        assert len(shell.state.restarts) <= intensity
        assert not any(
            child.spec.restart == "temporary" and child.state != "running"
            for child in shell.state.children.values()
        )
    if not shell.is_over():
        shell.take(events.StopAsked("shutdown"))
    assert shell.ended == "shutdown"
    assert shell.live == {}
    assert shell.starts == shell.exits
