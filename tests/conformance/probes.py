"""Children with scripted behaviour, and the log of what happened to them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from thespian.actors import WakeupMessage

from supervision import (
    STARTING,
    STOPPING,
    Exit,
    IgnoreStart,
    LightActor,
    Ref,
    StartError,
    Supervisor,
)

Outcome = tuple[str, Any]


def text_of(reason: Any) -> str:
    """Write a reason as the tables do: parts joined by colons."""
    if isinstance(reason, tuple | list):
        parts = reason[:-1] if reason and "missing_start" in reason else reason
        return ":".join(text_of(part) for part in parts)
    return str(reason)


def reason_of(value: Any) -> Any:
    """Read a reason as the tables write it."""
    if isinstance(value, dict):
        (kind, detail), *_ = value.items()
        return (kind, detail)
    return value


class Plan:
    """The outcomes of the next starts; the last one repeats."""

    def __init__(self, entries: list[Any] | None) -> None:
        self._entries = list(entries or ["ok"])

    def next_outcome(self) -> Outcome:
        entry = self._entries.pop(0) if len(self._entries) > 1 else self._entries[0]
        if isinstance(entry, dict):
            ((kind, value),) = entry.items()
            return kind, value
        return entry, None


@dataclass
class Log:
    """What happened, who lives, and plans that were changed on the way."""

    events: list[str] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    plans: dict[str, Plan] = field(default_factory=dict)
    handles: dict[str, Ref] = field(default_factory=dict)

    def attempt(self, path: str) -> str:
        self.attempts[path] += 1
        return f"{path}#{self.attempts[path]}"

    def note(self, kind: str, label: str, reason: Any = None) -> None:
        self.events.append(f"{kind} {label}" + (f" {text_of(reason)}" if kind == "exit" else ""))


class ExitNow:
    """To a probe: end by yourself with this reason."""

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class RaisedError(StartError):
    """The bug of a scripted child."""


class Probe(LightActor):
    """One incarnation of a scripted child."""

    def __init__(self, log: Log, path: str, outcome: Outcome, knobs: dict[str, Any]) -> None:
        super().__init__()
        self.label = path
        self.is_running = False
        self._log = log
        self._name = log.attempt(path)
        self._kind, self._value = outcome
        self._slow_start_ms = knobs.get("slow_start", 0)
        self._on_stop = knobs.get("on_stop", "comply") if knobs.get("traps", True) else "comply"

    def on_start(self) -> Any:
        self._log.handles[self.label] = self._myRef
        if self._kind == "slow_fail":
            self.wake_after(self._value / 1000, "fail")
            return STARTING
        if self._slow_start_ms:
            self.wake_after(self._slow_start_ms / 1000, "start")
            return STARTING
        self._begin()
        return None

    def _begin(self) -> None:
        match self._kind:
            case "ignore":
                self._log.note("ignore", self._name)
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
        self._log.note("start", self._name)
        self.is_running = True
        self.ready(self._value if self._kind == "ok_info" else None)
        if self._kind == "ok_then_exit":
            self.send(self._myRef, ExitNow(reason_of(self._value)))

    def _fail(self, error: Exception) -> None:
        self._log.note("fail", self._name)
        raise error

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, ExitNow):
            raise Exit(message.reason)
        if isinstance(message, WakeupMessage):
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
        if isinstance(self._on_stop, dict):
            self.wake_after(self._on_stop["delay"] / 1000, "stopped")
        return None if self._on_stop == "comply" else STOPPING

    def on_end(self) -> None:
        if self.is_running:
            self._log.note("exit", self._name, self._myRef.exit_reason)


class ProbeSupervisor(Supervisor):
    """A supervisor that notes its own start and end; the topmost one is called ``$sup``."""

    def __init__(self, log: Log, path: str, flags: Any, specs: Any) -> None:
        super().__init__(flags, specs)
        self.label = path
        self.is_running = False
        self._log = log
        self._name = ""

    def ready(self, info: Any = None) -> None:
        self._name = "$sup"
        if self.label:
            self._name = self._log.attempt(self.label)
            self._log.handles[self.label] = self._myRef
            self._log.note("start", self._name)
        self.is_running = True
        super().ready(info)

    def on_end(self) -> None:
        if self.is_running:
            self._log.note("exit", self._name, self._myRef.exit_reason)
        elif self.label:
            self._log.note("fail", self._log.attempt(self.label))


class Stranger(LightActor):
    """A live actor that no supervisor knows."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        pass
