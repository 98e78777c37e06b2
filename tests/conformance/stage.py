"""What goes on inside the processes: how they are told what to do, and how killed ones are noted.

The *stage* is the warm process that starts every supervisor under test, as its parent. Beside each
supervisor and each probe sits a *clerk* who takes the test's wishes from a socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thespian.actors import ActorAddress, ThespianWatch, WatchMessage

from supervision import Call, CallResult, ChildSpec, Down, LightActor, Start, Supervisor
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted
from supervision.processes.keeper import ProcessRecord
from tests.conformance.builder import Builder, build_supervisor
from tests.conformance.chronicle import FileJournal
from tests.conformance.probes import ExitNow, ProbeSupervisor
from tests.conformance.words import TOP, reason_of, text_of

if TYPE_CHECKING:
    from supervision import Cell, Ref

LETTER_BYTES = 1 << 18
DEATH_LIMIT_S = 2.0


def address_of(token: str, who: object) -> str:
    """Return the name of a socket that needs no file."""
    return f"\0{token}-{who}"


def open_socket(token: str, who: object) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    line.bind(address_of(token, who))
    return line


def letters(line: socket.socket) -> list[dict[str, Any]]:
    """Return all that has come."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(json.loads(line.recv(LETTER_BYTES)))
    return found


def is_dead(pid: int, within_s: float = 0.0) -> bool:
    """Tell whether a process has died, a zombie included; wait for it so long."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], within_s)[0])
    finally:
        os.close(pidfd)


# -- the clerk -------------------------------------------------------------------------------------


def attend(journal: FileJournal, actor: Any) -> None:
    """Put a clerk beside ``actor``; if it is a supervisor, overhear what it is told."""
    cell: Cell = actor.cell
    supervises = isinstance(actor, ProbeSupervisor)
    if supervises:
        assert cell.processes is not None
        cell.processes = Overheard(cell.processes, journal)
    cell.spawn(lambda: Clerk(journal, actor._myRef), name="clerk")
    journal.writer.write("born", actor.label, "supervisor" if supervises else "worker")


class Clerk(LightActor):
    """Does what the test wants done to the one actor of its process."""

    def __init__(self, journal: FileJournal, root: Ref) -> None:
        super().__init__()
        self._journal = journal
        self._builder = Builder(journal)
        self._root = root
        # Now, not when it starts: it is known as soon as this returns.
        self._line = open_socket(journal.token, os.getpid())
        self._open: list[int] = []

    def on_start(self) -> ThespianWatch:
        return ThespianWatch([self._line.fileno()])

    def receiveMessage(self, message: Any, sender: Any) -> None:
        match message:
            case WatchMessage():
                for letter in letters(self._line):
                    self._take(**letter)
            case CallResult(number, value):
                self._open.remove(number)
                self._say(number, self._builder.readable(value))
            case Down():
                for number in self._open:
                    self._say(number, "noproc")
                self._open.clear()
            case _:
                raise AssertionError(f"a clerk was told {message}")

    def _take(self, number: int, what: str, **words: Any) -> None:
        match what:
            case "call":
                question = self._builder.question(words.pop("operation"), words, self.cell)
                self._open.append(number)
                self.ask(self._root, Call(*question, number))
                return
            case "exit":
                self.send(self._root, ExitNow(reason_of(words["reason"])))
            case "suspend":
                self.cell.suspend(self._root)
            case "resume":
                self.cell.resume(self._root)
            case "message":
                self.send(self._root, {"unexpected": "message"})
            case "look":
                self._say(number, look(self._root))
                return
            case _:
                raise AssertionError(f"no clerk can {what}")
        self._say(number, "ok")

    def _say(self, number: int, answer: Any) -> None:
        words = json.dumps({"number": number, "answer": answer}, default=str)
        self._line.sendto(words.encode(), address_of(self._journal.token, "test"))


def look(root: Ref) -> dict[str, Any]:
    """Say whether a supervisor is at rest, and of whom it expects news if not."""
    supervisor: Supervisor = root.actor
    if root.suspended:
        return {"suspended": True, "busy": False, "awaited": []}
    state = supervisor.state
    bodies = supervisor.bodies
    awaited = [bodies[key].pid for key in state.pending if key in bodies]
    dead = any(is_dead(body.pid) for body in bodies.values())
    restarts = any(child.state == "restarting" for child in state.children.values())
    waits = state.awaiting is not None
    busy = dead or bool(root.system or root.mailbox)
    if waits:
        busy = busy or len(awaited) < len(state.pending)
    else:
        busy = busy or restarts or state.agenda is not None or len(supervisor._backlog) > 0
    return {"suspended": False, "busy": busy, "awaited": awaited}


# -- overhearing -----------------------------------------------------------------------------------


class Overheard:
    """A keeper as its supervisor sees it; news of children pass through an ear."""

    def __init__(self, keeper: Any, journal: FileJournal) -> None:
        self._keeper = keeper
        self._journal = journal
        self.stop_process = keeper.stop_process
        self.kill_process = keeper.kill_process

    def start_process(
        self, supervisor: Any, spec: ChildSpec, path: str, args: tuple[Any, ...] = ()
    ) -> ProcessRecord:
        ear = Ear(supervisor, self._journal)
        record: ProcessRecord = self._keeper.start_process(ear, spec, path, args)
        self._journal.records[record.pid] = record
        return record


class Ear:
    """Hears news before the supervisor does, and notes what the dead could not note themselves."""

    def __init__(self, supervisor: Ref, journal: FileJournal) -> None:
        self._supervisor = supervisor
        self._journal = journal

    def signal(self, news: Any, sender: Any = None) -> None:
        if isinstance(news, ChildExited | ChildFailed):
            record: Any = news.address
            self._journal.chronicle.refresh()
            self._bury(record.pid, text_of(news.reason))
            heard = "exit" if isinstance(news, ChildExited) else "fail"
            self._journal.writer.write("heard", heard, [record.pid, text_of(news.reason)])
        self._supervisor.signal(news, sender)

    def _bury(self, pid: int, reason: str) -> None:
        """Note the end of ``pid``, if it did not, and of all below it: they die with it."""
        living = self._journal.chronicle.living
        mine = living.pop(pid, None)
        if mine is not None:
            self._journal.writer.copy(replace(mine, kind="exit", what=reason))
        for entry in tuple(living.values()):
            if entry.parent == pid and is_dead(entry.pid, DEATH_LIMIT_S):
                self._bury(entry.pid, "killed")


def record_of_parent(cell: Cell) -> ProcessRecord:
    """Return a handle of the process above this one: it lives, and is nobody's child here."""
    pid = os.getppid()
    spec = ChildSpec("stranger", Start(Clerk), placement="process")
    nowhere = ActorAddress("nowhere")
    return ProcessRecord(0, pid, -1, None, nowhere, None, spec, "stranger", cell.clock())


# -- the stage -------------------------------------------------------------------------------------


class Stage(LightActor):
    """Parent of every supervisor under test, one after the other; lives as long as the session."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self._line = open_socket(token, "stage")
        self._journal: FileJournal | None = None
        self._top: ProcessRecord | None = None

    def on_start(self) -> ThespianWatch:
        return ThespianWatch([self._line.fileno()])

    def receiveMessage(self, message: Any, sender: Any) -> None:
        match message:
            case WatchMessage():
                for letter in letters(self._line):
                    self._take(**letter)
            case ChildStarted():
                self._tell(message, "started")
            case ChildDeclined():
                self._tell(message, "ignored")
            case ChildFailed():
                self._tell(message, "failed")
            case ChildExited():
                self._tell(message, "exited")
            case _:
                raise AssertionError(f"the stage was told {message}")

    def _tell(self, news: Any, what: str) -> None:
        if self._journal is not None and news.address is self._top:
            self._journal.writer.write(what, "top", text_of(getattr(news, "reason", None)))

    def _take(self, number: int, what: str, **words: Any) -> None:
        processes: Any = self.cell.processes
        match what:
            case "open":
                self._journal = FileJournal(words["path"], self._token)
                start = Start(build_supervisor, (self._journal, TOP, words["setup"]))
                spec = ChildSpec("sup", start, type="supervisor", placement="process")
                overheard = Overheard(processes, self._journal)
                self._top = overheard.start_process(self._myRef, spec, f"{self.path}/sup")
            case "stop":
                processes.stop_process(self._top, reason_of(words["reason"]))
            case "close":
                if self._journal is not None:
                    self._journal.close()
                self._journal = self._top = None
            case _:
                raise AssertionError(f"no stage can {what}")
        answer = json.dumps({"number": number, "answer": "ok"}).encode()
        self._line.sendto(answer, address_of(self._token, "test"))
