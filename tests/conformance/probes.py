"""Children with scripted behaviour; the same in every placement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thespian.actors import WakeupMessage

from supervision import (
    STARTING,
    STOPPING,
    Exit,
    IgnoreStart,
    LightActor,
    StartError,
    Supervisor,
)
from tests.conformance.words import TOP, Outcome, reason_of

if TYPE_CHECKING:
    from tests.conformance.journal import Journal


class ExitNow:
    """To a probe: end by yourself with this reason."""

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class RaisedError(StartError):
    """The bug of a scripted child."""


class Probe(LightActor):
    """One incarnation of a scripted child."""

    def __init__(
        self, journal: Journal, path: str, outcome: Outcome, knobs: dict[str, Any]
    ) -> None:
        super().__init__()
        self.label = path
        self.is_running = False
        self._journal = journal
        self._name = journal.attempt(path)
        self._kind, self._value = outcome
        self._slow_start_ms = knobs.get("slow_start", 0)
        self._on_stop = knobs.get("on_stop", "comply") if knobs.get("traps", True) else "comply"

    def on_start(self) -> Any:
        self._journal.enter(self)
        if self._kind == "slow_fail":
            return self._wait(self._value, "fail")
        if self._slow_start_ms:
            return self._wait(self._slow_start_ms, "start")
        self._begin()
        return None

    def _wait(self, delay_ms: float, what: str) -> Any:
        self._journal.mark("pauses", self)
        self.wake_after(delay_ms / 1000, what)
        return STARTING

    def _begin(self) -> None:
        match self._kind:
            case "ignore":
                self._journal.note("ignore", self._name)
                raise IgnoreStart
            case "error" | "already_started":
                reason = self._value if self._kind == "error" else self._kind
                self._fail(StartError(reason_of(reason)))
            case "raise":
                self._fail(RaisedError(reason_of(self._value)))
            case "init_exit":
                self._fail(Exit(reason_of(self._value)))
            case _:
                self._live()

    def _live(self) -> None:
        if self._kind == "ok_then_exit":
            self._journal.mark("doomed", self)
        self._journal.note("start", self._name)
        self.is_running = True
        self.ready(self._value if self._kind == "ok_info" else None)
        if self._kind == "ok_then_exit":
            self.send(self._myRef, ExitNow(reason_of(self._value)))

    def _fail(self, error: Exception) -> None:
        self._journal.note("fail", self._name)
        raise error

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, ExitNow):
            raise Exit(message.reason)
        if isinstance(message, WakeupMessage):
            self._journal.mark("goes on", self)
            match message.payload:
                case "fail":
                    self._fail(StartError("slow_fail"))
                case "start":
                    self._begin()
                case _:
                    self.stop("shutdown")

    def on_stop(self, reason: Any) -> Any:
        if isinstance(self._on_stop, dict) and "exit" in self._on_stop:
            raise Exit(reason_of(self._on_stop["exit"]))
        if self._on_stop == "comply":
            return None
        self._journal.mark("pauses", self)
        if isinstance(self._on_stop, dict):
            self.wake_after(self._on_stop["delay"] / 1000, "stopped")
        return STOPPING

    def on_end(self) -> None:
        if self.is_running:
            self._journal.note("exit", self._name, self._myRef.exit_reason)


class ProbeSupervisor(Supervisor):
    """A supervisor that notes its own start and end; the topmost one is called ``$sup``."""

    def __init__(self, journal: Journal, path: str, flags: Any, specs: Any) -> None:
        super().__init__(flags, specs)
        self.label = path
        self.is_running = False
        self._journal = journal
        self._name = "$sup"

    def on_start(self) -> Any:
        self._journal.enter(self)
        return super().on_start()

    def ready(self, info: Any = None) -> None:
        if self.label != TOP:
            self._name = self._journal.attempt(self.label)
        self._journal.note("ready" if self.label == TOP else "start", self._name)
        self.is_running = True
        super().ready(info)

    def on_end(self) -> None:
        if self.is_running:
            self._journal.note("exit", self._name, self._myRef.exit_reason)
        elif self.label != TOP:
            self._journal.note("fail", self._journal.attempt(self.label))
