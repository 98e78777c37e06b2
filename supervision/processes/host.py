"""The host: a Thespian process actor that gives its process to one cell.

Every process of the tree is a host; what differs is the actor that it boots: a supervisor whose
children are processes or light actors, or a single worker. The host brings the two loops together:
Thespian waits on the cell's descriptor among its own, and each message or wake-up gives the cell a
turn. A busy cell may linger with its own sockets for a few milliseconds before Thespian gets to
look at its own again, so the hot path does not pay for the control plane.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from thespian.actors import Actor, ActorAddress, ThespianWatch, WatchMessage

from supervision.cell import Cell, failure_reason
from supervision.errors import IgnoreStart, OrderError
from supervision.inspection.desk import serve
from supervision.inspection.stacks import offer_stack
from supervision.inspection.tree import find, tree_of
from supervision.messages import ChildDeclined, ChildFailed, ChildStarted
from supervision.processes.alarm import Alarm
from supervision.processes.keeper import Keeper, ProcessRecord, end_the_tree
from supervision.processes.process import (
    Boot,
    Booted,
    BootFailed,
    Born,
    Ended,
    Halt,
    Order,
    OrderDone,
    Ping,
    Pong,
    become_subreaper,
    guard_process,
)
from supervision.ref import Ref
from supervision.registry import route_report
from supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from supervision.messages import Reason
    from supervision.processes.keeper import ProcessHandle

DRAIN_LIMIT_S = 1
INNER = "cell"
"""Name of the supervisor inside a worker process, as the tree shows it."""
GC_YOUNG = 50_000
"""Collections are rare: reference counts free actors and addresses, cycles are the exception."""


class Host(Actor):
    """One process of the tree. Its first message is :class:`Boot`."""

    _myRef: Any  # noqa: N815 - Thespian's name

    def __init__(self) -> None:
        super().__init__()
        guard_process()
        offer_stack()
        signal.signal(signal.SIGTERM, self._terminated)
        self._boot: Boot | None = None
        self._parent: ActorAddress | None = None
        self._cell: Cell | None = None
        self._root: Ref | None = None
        self._keeper: Keeper | None = None
        self._since_s = 0.0
        self._alarm = Alarm()

    # -- Thespian's side

    def receiveMessage(self, message: Any, sender: ActorAddress) -> Any:
        """Take a control message, then give the cell a turn; a bug here ends the process."""
        try:
            self._take(message, sender)
            return self._turn()
        except Exception as error:  # noqa: BLE001 - Thespian would deliver the message again
            self._finish(f"{type(error).__name__}: {error}", traceback.format_exc())
            return None

    def _take(self, message: Any, sender: ActorAddress) -> None:
        match message:
            case Boot():
                self._be(message, sender)
            case Ping(number):
                assert self._root is not None
                assert self._cell is not None
                self._cell.registry.sweep()
                self.send(sender, Pong(number, tree_of(self._root, self._since_s)))
            case Halt(number, reason):
                assert self._boot is not None
                if number == self._boot.number:  # a port may have been a dead sibling's before
                    self._stop(reason)
            case Order():
                self._order(message, message.reply_to or sender)
            case WatchMessage():
                pass  # the cell's turn is all it wants
            case _:
                if self._keeper is not None:
                    self._keeper.deliver(message)

    # -- booting

    def _be(self, boot: Boot, parent: ActorAddress) -> None:
        self._boot, self._parent = boot, parent
        spec = boot.spec
        if boot.watchdog_pid is not None:
            self.send(parent, Born(boot.number, os.getpid()))
        reporter = boot.reporter(boot.path) if boot.reporter is not None else None
        self._cell = cell = Cell(rng=random.Random(), reporter=reporter)
        cell.registry.on_change = lambda route: cell.reporter(route_report(route))
        self._keep_children(cell, boot)
        try:
            actor = spec.start.build(boot.args)
        except Exception as error:  # noqa: BLE001 - any bug in a constructor is a failed start
            declined = isinstance(error, IgnoreStart)
            words = (failure_reason(error), traceback.format_exc(), declined)
            self._say_and_exit(BootFailed(boot.number, *words), 0 if declined else 1)
        nested = isinstance(actor, Supervisor) and spec.type == "worker"
        # The root's news come to the outside of the cell, where this host reads them.
        self._root = cell.spawn(
            lambda: actor,
            parent=cell.outside,
            name=f"{boot.path}/{INNER}" if nested else boot.path,
            limit=spec.mailbox_limit,
        )
        self._since_s = cell.clock()
        gc.freeze()
        gc.set_threshold(GC_YOUNG, 50, 50)

    def _keep_children(self, cell: Cell, boot: Boot) -> None:
        supervises = boot.spec.type == "supervisor"
        if supervises:
            become_subreaper()
        try:
            keeper = Keeper(
                self, boot.settings, boot.reporter, boot.watchdog_pid, reaps_orphans=supervises
            )
        except ProcessLookupError:
            end_the_tree()  # the watchdog has died meanwhile
            raise
        # The keeper's end is this process's end: nobody could watch over the children.
        cell.spawn(lambda: keeper, parent=cell.outside, name="keeper")
        cell.processes = self._keeper = keeper

    def fork(self) -> tuple[ActorAddress, ProcessHandle]:
        """Make a process; return its address and its handle.

        Raises:
            OSError: Thespian got no process from the system.
        """
        address = self.createActor(Host)
        # Thespian's own record of the child: its pid is needed before it can have died unseen.
        made = getattr(self._myRef, "_child_procs", ())[-1:]
        if not made or made[0].childAddr is not address:
            raise OSError("the system refused to fork; is there memory left, and room for a pid?")
        return address, made[0].childProc

    def tell(self, address: ActorAddress, message: Any) -> None:
        """Send by Thespian's transport."""
        self.send(address, message)

    # -- the cell's turn

    def _turn(self) -> ThespianWatch | None:
        if self._cell is None or self._boot is None:
            return None
        self._cell.run(self._boot.spec.linger_s)
        self._root_news()
        # A timer that rang would keep ringing, and a bystander's turn may have served it already.
        self._alarm.hush()
        self._alarm.set(self._cell.next_due_s())
        return ThespianWatch([self._cell.poller.fileno(), self._alarm.fileno()])

    def _root_news(self) -> None:
        """Pass on what the root's life means for the parent: ready, failed, ended."""
        assert self._cell is not None
        assert self._boot is not None
        number = self._boot.number
        news = self._cell.outside.system
        while news:
            message, _ = news.popleft()
            match message:
                case ChildStarted(address, info):
                    if isinstance(address, Ref) and address is self._root:
                        inside = tree_of(address, self._since_s)
                        self.send(self._parent, Booted(number, os.getpid(), inside, info))
                case ChildFailed(_, reason, detail):
                    self._say_and_exit(BootFailed(number, reason, detail), 1)
                case ChildDeclined():
                    self._say_and_exit(BootFailed(number, "ignore", declined=True), 0)
                case _:
                    self._finish(message.reason, message.detail)

    # -- the end

    def _terminated(self, _number: int, _frame: object) -> None:
        """SIGTERM: end politely, at the latest with the next heartbeat's turn."""
        if self._root is None:
            os._exit(1)
        self._stop("shutdown")

    def _stop(self, reason: Reason) -> None:
        assert self._cell is not None
        assert self._root is not None
        self._cell.stop(self._root, reason)

    def _finish(self, reason: Reason, detail: str = "") -> None:
        number = self._boot.number if self._boot is not None else 0
        self._say_and_exit(
            Ended(number, reason, detail), 0 if reason in ("normal", "shutdown") else 1
        )

    def _say_and_exit(self, words: Any, code: int) -> NoReturn:
        """Send the last words and leave; children that are left die with this process.

        A parent that is held up hears them later, from its socket: this process leaves in good
        order all the same, because an end by a signal would stand for another reason.
        """
        signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
        signal.alarm(DRAIN_LIMIT_S)
        with contextlib.suppress(Exception):
            if self._parent is not None:
                self.send(self._parent, words)
                self._myRef.drainTransmits()
        os._exit(code)

    # -- looking in and operating

    def _order(self, order: Order, asker: ActorAddress) -> None:
        assert self._root is not None
        assert self._cell is not None
        if self._cell.clock() > order.expires_s:
            return  # this process was stopped meanwhile, and whoever asked has been told so
        target, rest = find(self._root, order.path)
        if isinstance(target, ProcessRecord) and (rest or order.operation != "kill"):
            nested = rest[1:] if rest[:1] == (INNER,) else rest
            self.send(target.address, replace(order, path=nested, reply_to=asker))
            return
        self.send(asker, self._obey(target, order))

    def _obey(self, target: Ref | ProcessRecord | None, order: Order) -> OrderDone:
        assert self._cell is not None
        assert self._keeper is not None
        if target is None:
            return OrderDone(order.number, f"nothing lives at {'/'.join(order.path)}")
        if isinstance(target, ProcessRecord):
            self._keeper.kill_process(target)
            return OrderDone(order.number)
        try:
            result = serve(self._cell, target, order.operation, order.args)
        except OrderError as error:
            return OrderDone(order.number, str(error))
        return OrderDone(order.number, result=result)
