"""The planted faults: small changes of the runtime, each of which some test must notice.

Each replaces one place in one file of ``supervision/``. Among them are the bugs that OTP's own
supervisor has had (``otp`` names the ticket and the release that mended it).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One planted fault.

    Attributes:
        name: What is wrong with it, as an identifier.
        file: The file in ``supervision/``.
        old: What stands there, exactly once.
        new: What is put in its place.
        caught_by: The test file that notices it quickest.
        otp: The bug of OTP's that it is.
    """

    name: str
    file: str
    old: str
    new: str
    caught_by: str = "supervision/test_decision.py"
    otp: str = ""


CASES = "conformance/test_cases.py"
TRACES = "conformance/test_traces.py"
SPACE = "supervision/test_decision_space.py"
MACHINE = "supervision/test_supervisor_machine.py"
SHELL = "supervision/test_supervisor.py"
REPORTS = "supervision/test_reports.py"
CELL = "supervision/test_cell.py"
KEEPER = "supervision/test_keeper.py"
REGISTRY = "supervision/test_registry.py"
WAITING = "supervision/test_waiting.py"
SCALE = "supervision/test_scale.py"
PLAIN = "supervision/test_plain_actors.py"

DECISION_FAULTS = (
    Fault(
        "permanent_children_stay_down_after_a_clean_end",
        "decision.py",
        """    if spec.restart == "permanent":
        return True
    return""",
        """    if spec.restart == "permanent":
        return not is_clean(reason)
    return""",
    ),
    Fault(
        "transient_children_always_come_back",
        "decision.py",
        'return spec.restart == "transient" and not is_clean(reason)',
        'return spec.restart == "transient"',
    ),
    Fault(
        "the_end_of_the_period_does_not_count",
        "decision.py",
        "if moment >= now - flags.period_s",
        "if moment > now - flags.period_s",
    ),
    Fault(
        "one_restart_too_few_is_allowed",
        "decision.py",
        "len(recent) <= flags.intensity",
        "len(recent) < flags.intensity",
    ),
    Fault(
        "restarts_are_not_remembered",
        "decision.py",
        "        self.change(restarts=recent)\n",
        "",
    ),
    Fault(
        "rest_for_one_takes_only_the_younger",
        "decision.py",
        "if child.order >= dead.order",
        "if child.order > dead.order",
    ),
    Fault(
        "one_for_all_is_rest_for_one",
        "decision.py",
        """    if flags.strategy == "one_for_all":
        return list(in_order)
    if flags.strategy == "rest_for_one":""",
        """    if flags.strategy in ("one_for_all", "rest_for_one"):""",
    ),
    Fault(
        "a_group_stops_in_start_order",
        "decision.py",
        "for each in reversed(group) if each.state",
        "for each in group if each.state",
        SPACE,
    ),
    Fault(
        "a_supervisor_stops_in_start_order",
        "decision.py",
        "for child in reversed(self.state.in_order())",
        "for child in self.state.in_order()",
    ),
    Fault(
        "a_group_goes_on_after_a_start_that_failed",
        "decision.py",
        "                self.change(agenda=None)  # the rest",
        "                pass  # the rest",
        SPACE,
    ),
    Fault(
        "a_restart_that_failed_is_not_tried_again",
        "decision.py",
        "                self.commands.append(Retry(child.key))\n",
        "",
        otp="OTP-13618 (3.0): a retry could jam",
    ),
    Fault(
        "a_restart_that_fails_is_tried_again_in_a_loop",
        "decision.py",
        "                self.commands.append(Retry(child.key))\n",
        "                self.retry(child.key)\n",
        SPACE,
        otp="OTP-9549 (1.18.1): a restart that kept failing never gave control back",
    ),
    Fault(
        "a_retry_restarts_whoever_it_finds",
        "decision.py",
        'child is not None and child.state == "restarting" and not',
        "child is not None and not",
    ),
    Fault(
        "giving_up_is_not_told",
        "decision.py",
        '            self.tell("shutdown", "reached_max_restart_intensity", child)\n',
        "",
        SPACE,
    ),
    Fault(
        "giving_up_ends_for_another_reason",
        "decision.py",
        """            self.drop(child)
            self.terminate("shutdown")
            return""",
        """            self.drop(child)
            self.terminate("reached_max_restart_intensity")
            return""",
    ),
    Fault(
        "an_end_of_an_earlier_incarnation_counts",
        "decision.py",
        "child.incarnation != news.incarnation or child.state",
        "child.state",
    ),
    Fault(
        "a_significant_end_is_ignored",
        "decision.py",
        """            self.drop(child)
            self.auto_shutdown(child)""",
        "            self.drop(child)",
        SPACE,
    ),
    Fault(
        "a_significant_child_that_restarts_counts_as_gone",
        "decision.py",
        'other.spec.significant and other.state in ("running", "restarting")',
        'other.spec.significant and other.state == "running"',
    ),
    Fault(
        "dynamic_children_are_stopped_one_by_one",
        "decision.py",
        "stops = [StopTask(tuple(keys))] if at_once else",
        "stops = [StopTask((key,)) for key in keys] if at_once else",
    ),
    Fault(
        "a_declined_dynamic_child_is_kept",
        "decision.py",
        'if child.spec.restart == "temporary" or self.state.template is not None:',
        'if child.spec.restart == "temporary":',
        SPACE,
        otp="OTP-12793 (2.5), and 6.0: a dynamic child that declined was kept and crashed it later",
    ),
    Fault(
        "a_declined_temporary_child_keeps_its_spec",
        "decision.py",
        'if child.spec.restart == "temporary" or self.state.template is not None:',
        "if self.state.template is not None:",
        SPACE,
        otp="OTP-9782 (1.18.1)",
    ),
    Fault(
        "every_end_during_a_stop_is_an_error",
        "decision.py",
        "        if not is_expected(child.spec, reason):\n",
        "        if True:\n",
        SPACE,
        otp="OTP-17767 (3.17): wrong reports for ends during a stop",
    ),
    Fault(
        "no_end_during_a_stop_is_an_error",
        "decision.py",
        '    return is_clean(reason) and spec.restart != "permanent"',
        "    return True",
        SPACE,
        otp="OTP-17767 (3.17): wrong reports for ends during a stop",
    ),
    Fault(
        "a_group_revives_temporary_children_that_stand_stopped",
        "decision.py",
        '            if each.spec.restart == "temporary" and each.state == "stopped":',
        "            if False:",
    ),
    Fault(
        "arguments_of_temporary_children_are_kept",
        "decision.py",
        "replace(_kept(child), state=",
        "replace(child, state=",
        SCALE,
        otp="OTP-16804 (3.13.1): start arguments of temporary children were kept",
    ),
    Fault(
        "one_death_sorts_all_siblings",
        "decision.py",
        "siblings = self.state.in_order() if is_group else [child]",
        "siblings = self.state.in_order()",
        SCALE,
        otp="OTP-14586 (3.5): work that grows with the square of the children",
    ),
    Fault(
        "a_failed_first_start_ends_without_stopping_the_others",
        "decision.py",
        """self.terminate(("shutdown", ("failed_to_start_child", child.key, reason)))""",
        """self.change(agenda=None, ending=True)
                self.add(End(("shutdown", ("failed_to_start_child", child.key, reason))))""",
        SPACE,
    ),
)

OPERATION_FAULTS = (
    Fault(
        "a_retry_survives_a_termination",
        "operations.py",
        """    if child.state != "running":
        draft.drop(child)""",
        """    if child.state not in ("running", "restarting"):
        draft.drop(child)""",
    ),
    Fault(
        "a_temporary_child_that_stands_stopped_is_kept",
        "operations.py",
        """    if child.state != "running":
        draft.drop(child)""",
        """    if child.state == "restarting":
        draft.drop(child)""",
    ),
    Fault(
        "a_running_child_can_be_deleted",
        "operations.py",
        """    if child.state == "stopped":
        draft.delete(child.key)""",
        """    if child.state != "starting":
        draft.delete(child.key)""",
        SPACE,
    ),
    Fault(
        "a_running_child_can_be_started_again",
        "operations.py",
        '''    if child.state == "stopped":
        draft.add(StartTask(child.key, "restart_child"''',
        '''    if child.state != "starting":
        draft.add(StartTask(child.key, "restart_child"''',
        SPACE,
    ),
    Fault(
        "who_is_there_already_is_said_to_run",
        "operations.py",
        'return "already_started" if present.state == "running" else "already_present"',
        'return "already_started"',
        CASES,
    ),
    Fault(
        "numbers_begin_anew_after_a_change_of_specs",
        "operations.py",
        "numbers = max(draft.state.numbers, len(children))",
        "numbers = draft.state.numbers",
    ),
    Fault(
        "a_change_of_specs_forgets_the_unmentioned",
        "operations.py",
        "for order, (child, spec) in enumerate((*listed, *rest))",
        "for order, (child, spec) in enumerate(listed)",
    ),
    Fault(
        "an_immediate_stop_is_refused",
        "specs.py",
        "not isinstance(shutdown, int) or shutdown < 0",
        "not isinstance(shutdown, int) or shutdown <= 0",
        CASES,
        otp="OTP-17364 (3.15): the shutdown value 0 was rejected",
    ),
    Fault(
        "dynamic_supervisors_may_shut_down_by_themselves",
        "specs.py",
        'if flags.strategy == "simple_one_for_one" and flags.auto_shutdown != "never":',
        "if False:",
        otp="6.0 (OTP 27.0): auto_shutdown was allowed on dynamic supervisors",
    ),
    Fault(
        "news_of_another_incarnation_is_taken_for_the_awaited",
        "state.py",
        "and self.pending.get(event.key) == event.incarnation",
        "and event.key in self.pending",
    ),
)

SHELL_FAULTS = (
    Fault(
        "an_end_that_came_before_it_was_awaited_is_not_found",
        "supervisor.py",
        "            self._found.extend(self._backlog.of(self.state.pending.items()))\n",
        "",
        CASES,
        otp="OTP-19256 (6.1.1): a child ended by itself while the supervisor shut it down",
    ),
    Fault(
        "news_of_several_comes_out_in_any_order",
        "backlog.py",
        "numbers = sorted(",
        "numbers = list(",
    ),
    Fault(
        "a_child_is_given_no_limit_to_stop",
        "supervisor.py",
        "            body.deadline = self.wake_after(within / 1000, body)\n",
        "            pass\n",
        SHELL,
    ),
    Fault(
        "brutal_kill_is_polite",
        "supervisor.py",
        """        if within == "brutal_kill":
            body.kill(self.cell)
            return
        body.stop(self.cell)
        if within != "infinity":""",
        """        body.stop(self.cell)
        if isinstance(within, int):""",
        CASES,
    ),
    Fault(
        "a_deadline_outlives_the_stop",
        "supervisor.py",
        """        if body.deadline is not None:
            body.deadline.cancel()
""",
        "",
        SHELL,
    ),
    Fault(
        "what_declined_keeps_its_body",
        "supervisor.py",
        """            self._forget(body)
            self._take(events.Declined""",
        """            self._take(events.Declined""",
        SHELL,
    ),
    Fault(
        "traces_of_dynamic_children_pile_up",
        "past.py",
        "        self.starts.pop(key, None)\n",
        "",
        SHELL,
        otp="OTP-16804 (3.13.1): memory grew with temporary children",
    ),
    Fault(
        "a_fast_child_that_is_stopped_is_never_missed",
        "fastlane.py",
        "        ref.quiet = False  # now its end matters, clean or not\n",
        "",
        SHELL,
    ),
    Fault(
        "the_fast_lane_stays_open_during_a_stop",
        "fastlane.py",
        "        self.closed = True\n",
        "",
        SHELL,
    ),
    Fault(
        "nobody_hears_that_a_fast_child_died",
        "fastlane.py",
        "        ref.waiters = {sender: 1}\n",
        "",
        SHELL,
    ),
    Fault(
        "children_outlive_a_killed_supervisor",
        "cell.py",
        """            for child in tuple(ref.children):
                self.end(child, "killed")""",
        "            pass",
        CELL,
        otp="OTP-17649 (3.16.1): a child was orphaned when its supervisor died",
    ),
    Fault(
        "a_quiet_actor_is_quiet_when_it_crashes_too",
        "cell.py",
        "if ref.quiet and is_clean(reason):",
        "if ref.quiet:",
        SHELL,
    ),
    Fault(
        "work_is_served_before_news",
        "cell.py",
        "while left and mailbox and not ref.system:",
        "while left and mailbox:",
        CELL,
    ),
    Fault(
        "a_suspended_actor_hears_news",
        "cell.py",
        "            elif ref.suspended:\n                kept.append",
        "            elif False:\n                kept.append",
        CELL,
    ),
    Fault(
        "a_suspended_actors_news_is_turned_round",
        "cell.py",
        "system.extendleft(reversed(kept))",
        "system.extendleft(kept)",
        CELL,
    ),
    Fault(
        "an_asker_of_the_dead_is_not_told",
        "cell.py",
        """        if ref.waiters:
            self.tell_waiters(ref, reason)
""",
        "",
        CELL,
    ),
    Fault(
        "two_questions_are_answered_by_one_answer",
        "ref.py",
        "waiters[self] = waiters.get(self, 0) + 1",
        "waiters[self] = 1",
        CELL,
    ),
    Fault(
        "a_full_mailbox_takes_one_more",
        "ref.py",
        "if len(mailbox) >= target.limit:",
        "if len(mailbox) > target.limit:",
        CELL,
    ),
    Fault(
        "a_cancelled_timer_still_fires",
        "ref.py",
        "            self.ref = self.payload = None\n",
        "            pass\n",
        WAITING,
    ),
    Fault(
        "a_late_agent_is_probed_by_everybody",
        "registry.py",
        "        self._closed_until_s = now_s + self.cool_off_s\n        return True",
        "        return True",
        REGISTRY,
    ),
    Fault(
        "a_fresh_agent_inherits_its_predecessors_strikes",
        "registry.py",
        "        self.ref = ref\n        self.answered()",
        "        self.ref = ref",
        REGISTRY,
    ),
    Fault(
        "progress_by_a_call_is_told_as_loudly_as_the_rest",
        "inspection/progress.py",
        'return Progress("started", purpose, child, "debug")',
        'return Progress("started", purpose, child, "info")',
        REPORTS,
    ),
)

PROCESS_FAULTS = (
    Fault(
        "a_start_has_no_time_limit",
        "processes/keeper.py",
        'self.kill_process(payload, "start_timeout")',
        "pass",
        KEEPER,
    ),
    Fault(
        "a_hung_process_lives_on",
        "processes/keeper.py",
        'self.kill_process(record, "hung")',
        "pass",
        KEEPER,
    ),
    Fault(
        "a_keeper_that_slept_judges_the_others",
        "processes/keeper.py",
        "            if not was_awake:\n                record.heard_s = now_s\n",
        "",
        KEEPER,
    ),
    Fault(
        "the_hung_are_asked_at_every_beat",
        "processes/keeper.py",
        "return record.asked_s is None or now_s - record.asked_s >= self._settings.hang_s / 2",
        "return True",
        KEEPER,
    ),
    Fault(
        "last_words_are_not_believed",
        "processes/keeper.py",
        "final = words.reason if words is not None else reason",
        "final = reason",
        KEEPER,
    ),
    Fault(
        "last_words_are_not_waited_for",
        "processes/keeper.py",
        "if record.last_words is not None or not in_good_order:",
        "if True:",
        KEEPER,
    ),
    Fault(
        "an_end_is_told_twice",
        "processes/keeper.py",
        "        if self.records.pop(record.number, None) is None:\n            return\n",
        "        self.records.pop(record.number, None)\n",
        KEEPER,
    ),
    Fault(
        "the_dead_can_be_killed_again",
        "processes/keeper.py",
        """        if child.number not in self.records:
            return
        if child.verdict""",
        "        if child.verdict",
        KEEPER,
    ),
    Fault(
        "a_descriptor_of_each_dead_process_stays_open",
        "processes/keeper.py",
        "                os.close(message.pidfd)\n",
        "                pass\n",
        KEEPER,
    ),
    Fault(
        "who_dies_before_it_is_ready_has_exited",
        "processes/keeper.py",
        "        if record.booted:\n            return ChildExited",
        "        if True:\n            return ChildExited",
        KEEPER,
    ),
    Fault(
        "a_grandchild_of_the_dead_is_spared",
        "processes/process.py",
        "        doomed += children_of(pid)\n",
        "",
        KEEPER,
    ),
    Fault(
        "a_signal_is_an_exit_code",
        "processes/process.py",
        "    if code is None or code == -signal.SIGKILL:",
        "    if code is None:",
        KEEPER,
    ),
)

FAULTS = (*DECISION_FAULTS, *OPERATION_FAULTS, *SHELL_FAULTS, *PROCESS_FAULTS)
