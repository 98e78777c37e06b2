"""Planted faults: the product made wrong on purpose, in ways that its authors feared.

Each takes pytest's ``monkeypatch``; afterwards the simulation has to find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.budget.wallet import Reservation, Wallet
from actors.decision.orchestrator import Orchestrator
from actors.events.desk import EventDesk
from actors.gateway.actor import Gateway
from actors.gateway.answer_memory import AnswerMemory
from actors.gateway.answers import Answers
from actors.ledger import books
from actors.ledger.actor import LedgerActor
from actors.ledger.clerk import Clerk
from actors.ledger.rows import Rows
from actors.profiler.agent import UserProfiler
from config.trade import MoneySettings
from supervision import decision
from supervision.decision import Draft
from supervision.events import End
from supervision.state import StartTask, StopTask
from tests.simulation.machine import Machine
from transport.messages import EventAck

if TYPE_CHECKING:
    import pytest

    from supervision.ref import Ref
    from transport.money import Settle, SettleAck


# --- money ---------------------------------------------------------------------------------------


def ledger_books_a_win_twice(patch: pytest.MonkeyPatch) -> None:
    """A settlement that comes again is charged again."""
    settle = Clerk._settle

    def twice(self: Clerk, win: Settle) -> SettleAck:
        ack = settle(self, win)
        campaign = self.campaigns.get(win.campaign_id)
        if ack.repeated and campaign is not None:
            again = campaign.settled_micros + ack.booked_micros
            changed = msgspec.structs.replace(campaign, settled_micros=again)
            self._rows.campaigns[campaign.campaign_id] = changed
            self._rows._changed.add(campaign.campaign_id)
        return ack

    patch.setattr(Clerk, "_settle", twice)


def ledger_answers_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    """Answers leave first; what is killed in between was promised and is lost."""
    write, answer = LedgerActor._write, LedgerActor._answer
    late: dict[LedgerActor, Any] = {}

    def hold(self: LedgerActor, changes: Any) -> None:
        late[self] = changes

    def say(self: LedgerActor, header: bytes, replies: list[Any]) -> None:
        answer(self, header, replies)
        if self in late and self.cell.random.random() < 0.8:
            write(self, late.pop(self))

    patch.setattr(LedgerActor, "_write", hold)
    patch.setattr(LedgerActor, "_answer", say)


def ledger_frees_leases_at_their_end(patch: pytest.MonkeyPatch) -> None:
    """The win window is forgotten: what a dead bidder had promised is promised again."""
    remember = Rows.remember

    def short(self: Rows, lease: Any, now_s: float) -> None:
        remember(self, lease, now_s - MoneySettings().win_window_s)

    patch.setattr(Rows, "remember", short)


def ledger_charges_what_is_claimed(patch: pytest.MonkeyPatch) -> None:
    """Whatever an exchange says is paid, above the bid, too."""
    settle = books.settle

    def gullible(campaign: Any, lease: Any, win: Settle, day: Any) -> Any:
        return settle(campaign, lease, msgspec.structs.replace(win, bid_micros=0), day)

    patch.setattr(books, "settle", gullible)


def wallet_promises_more_than_it_has(patch: pytest.MonkeyPatch) -> None:
    """A reservation is made of whichever lease lives, free money or not."""
    reserve = Wallet.reserve

    def generous(self: Wallet, key: str, campaign_id: str, micros: int, now_s: float) -> Any:
        line = self._line(campaign_id)
        line.end_leases(now_s)
        if not line.live:
            return reserve(self, key, campaign_id, micros, now_s)
        return Reservation(ok=True, lease_id=line.live[0].lease_id)

    patch.setattr(Wallet, "reserve", generous)


def budget_managers_share_a_name(patch: pytest.MonkeyPatch) -> None:
    """A restarted budget manager is given the leases of the one before."""
    patch.setattr(Machine, "fresh_id", lambda _self: "everybody")


def desk_confirms_before_the_ledger(patch: pytest.MonkeyPatch) -> None:
    """A bill is confirmed when it is on its way."""
    settle = EventDesk._settle

    def hasty(self: EventDesk, waiting: Any) -> None:
        settle(self, waiting)
        for queue in self._waiting.values():
            for each in queue:
                self._confirm(each.header, EventAck(ok=True), as_json=True)
        self._waiting.clear()

    patch.setattr(EventDesk, "_settle", hasty)


# --- answers -------------------------------------------------------------------------------------


def gateway_forgets_an_answer(patch: pytest.MonkeyPatch) -> None:
    """One of a hundred is never sent."""
    flush = Answers.flush

    def careless(self: Answers) -> None:
        if self._done and self._owner.cell.random.random() < 0.03:
            for pending, _answer in self._done:
                self._leaving(pending, None)
            self._done.clear()
        flush(self)

    patch.setattr(Answers, "flush", careless)


def gateway_does_not_hear_of_deaths(patch: pytest.MonkeyPatch) -> None:
    """An orchestrator that dies is waited for, and its place is never freed."""
    patch.setattr(Gateway, "_on_down", lambda _self, _down: None)
    patch.setattr(Gateway, "_sweep", lambda _self: None)


def gateway_answers_again_after_a_death(patch: pytest.MonkeyPatch) -> None:
    """A request whose orchestrator died late is answered a second time."""
    flush = Answers.flush

    def talkative(self: Answers) -> None:
        done = list(self._done)
        flush(self)
        for pending, answer in done:
            if pending.reasons:
                self._server.reply(pending.headers[0], answer)

    patch.setattr(Answers, "flush", talkative)


def gateway_remembers_nothing(patch: pytest.MonkeyPatch) -> None:
    """A request that comes again is decided again."""
    patch.setattr(AnswerMemory, "find", lambda _self, _body: None)


def gateway_lets_go_before_it_answers(patch: pytest.MonkeyPatch) -> None:
    """A request is out of hand when it is decided, and not remembered before it is logged."""
    complete = Gateway._complete

    def early(self: Gateway, pending: Any) -> None:
        complete(self, pending)
        assert self._intake is not None
        self._intake._in_hand.pop(pending.name, None)

    patch.setattr(Gateway, "_complete", early)


def gateway_waits_for_the_late(patch: pytest.MonkeyPatch) -> None:
    """Deadlines are guarded half a second too late, and orchestrators know no deadline."""
    guard, start = Gateway._guard, Orchestrator.on_start

    def patient(self: Gateway, at_s: float, now_s: float) -> None:
        guard(self, at_s + 0.5, now_s)

    def timeless(self: Orchestrator) -> None:
        self._job.deadline_s += 10.0
        start(self)

    patch.setattr(Gateway, "_guard", patient)
    patch.setattr(Orchestrator, "on_start", timeless)


def gateway_keeps_no_record(patch: pytest.MonkeyPatch) -> None:
    """Bids leave without having been written down."""
    patch.setattr(Answers, "_write", lambda _self, _done: True)


def orchestrators_do_not_end(patch: pytest.MonkeyPatch) -> None:
    """Who has answered stays."""
    patch.setattr(Orchestrator, "stop", lambda _self, _reason="normal": None)


def profiler_waits_for_what_was_lost(patch: pytest.MonkeyPatch) -> None:
    """A vector whose answer was lost is waited for by one asker after the other."""

    def trusting(self: UserProfiler, user: Any) -> Any:
        return self._by_user.get(id(user)) if user.asked else None

    patch.setattr(UserProfiler, "_on_its_way", trusting)


# --- supervision ---------------------------------------------------------------------------------


def supervisor_stops_in_start_order(patch: pytest.MonkeyPatch) -> None:
    """The first started is the first stopped."""

    def forward(self: Draft, reason: Any) -> None:
        stops = [StopTask((child.key,)) for child in self.state.in_order()]
        self.change(agenda=None, ending=True)
        self.add(*stops, End(reason))

    patch.setattr(Draft, "terminate", forward)


def supervisor_restarts_only_the_dead(patch: pytest.MonkeyPatch) -> None:
    """``rest_for_one`` leaves those alone that rest on the dead."""
    patch.setattr(decision, "taken_along", lambda _flags, _in_order, dead: [dead])


def supervisor_restarts_the_group_backwards(patch: pytest.MonkeyPatch) -> None:
    """The last of a group is started first."""
    add = Draft.add

    def backwards(self: Draft, *tasks: Any) -> None:
        starts = [task for task in tasks if isinstance(task, StartTask)]
        others = [task for task in tasks if not isinstance(task, StartTask)]
        is_group = len(starts) > 1 and starts[0].purpose == "restart"
        add(self, *(others + starts[::-1] if is_group else tasks))

    patch.setattr(Draft, "add", backwards)


def supervisor_never_gives_up(patch: pytest.MonkeyPatch) -> None:
    """The restart intensity is not looked at."""
    record = decision.record_restart
    patch.setattr(decision, "record_restart", lambda *args: (record(*args)[0], True))


def supervisor_gives_up_too_early(patch: pytest.MonkeyPatch) -> None:
    """One restart less than was allowed."""
    record = decision.record_restart

    def impatient(restarts: Any, now_s: float, flags: Any) -> Any:
        recent, _ = record(restarts, now_s, flags)
        return recent, len(recent) < flags.intensity

    patch.setattr(decision, "record_restart", impatient)


def supervisor_restarts_nobody(patch: pytest.MonkeyPatch) -> None:
    """Who dies stays dead."""
    patch.setattr(decision, "must_restart", lambda _spec, _reason: False)


def supervisor_keeps_the_old_one(patch: pytest.MonkeyPatch) -> None:
    """A child whose stop takes long is taken for stopped and started again beside itself."""
    from supervision.supervisor import Supervisor

    halt = Supervisor._halt

    def hasty(self: Supervisor, child: Any) -> None:
        body = self.bodies.get(child.key)
        if body is None or not child.spec.id.startswith(("gateway", "events")):
            halt(self, child)
            return
        ref: Ref = body.handle  # type: ignore[assignment]
        self._exited(_gone(ref))

    patch.setattr(Supervisor, "_halt", hasty)


def _gone(ref: Ref) -> Any:
    from supervision.messages import ChildExited

    return ChildExited(ref, "shutdown")
