"""What a supervisor is told: child specifications and flags, as data, checked before any start.

The vocabulary and the defaults are those of Erlang/OTP's ``supervisor`` (stdlib reference manual,
"Child specification" and "Supervisor flags"), so that what is known about OTP trees holds here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from supervision.errors import SpecError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Restart = Literal["permanent", "transient", "temporary"]
Shutdown = int | Literal["brutal_kill", "infinity"]
ChildType = Literal["worker", "supervisor"]
Placement = Literal["light", "process"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

WORKER_SHUTDOWN_MS = 5000


@dataclass(frozen=True, slots=True)
class Start:
    """How a child is made: ``factory(*args, **kwargs)`` returns a fresh actor.

    For a child in its own process the factory and its arguments travel to that process, so they
    must be picklable.
    """

    factory: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def build(self, extra: tuple[Any, ...] = ()) -> Any:
        """Make the actor; ``extra`` arguments (of a dynamic child) follow the fixed ones."""
        return self.factory(*self.args, *extra, **self.kwargs)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child of a supervisor.

    Attributes:
        id: Unique among its siblings; the last part of the child's path.
        start: How to make it.
        restart: ``permanent`` always comes back, ``transient`` only after an abnormal end,
            ``temporary`` never.
        shutdown: Milliseconds it may take to stop, ``brutal_kill`` or ``infinity``. ``None`` means
            the default: 5000 for a worker, ``infinity`` for a supervisor.
        type: ``worker`` or ``supervisor``.
        significant: Its end may end the supervisor (``auto_shutdown``).
        placement: ``light`` (in the supervisor's cell) or ``process`` (an operating-system process
            of its own).
        role: The name under which other actors of the cell find it in the registry.
        mailbox_limit: Messages that may wait for it; more are refused.
        linger_s: For a process: how long its loop stays with its own sockets before it looks at its
            supervisor.
    """

    id: str
    start: Start
    restart: Restart = "permanent"
    shutdown: Shutdown | None = None
    type: ChildType = "worker"
    significant: bool = False
    placement: Placement = "light"
    role: str | None = None
    mailbox_limit: int = 4096
    linger_s: float = 0.0

    def once_started(self) -> ChildSpec:
        """Return what is to be kept of it: of one that is never started again, no arguments."""
        return (
            self if self.restart != "temporary" else replace(self, start=Start(self.start.factory))
        )

    def as_offender(self, incarnation: int, pid: int | None, count: int = 1) -> dict[str, Any]:
        """Describe the child, or the first of ``count`` children, for a report: plain data."""
        factory = self.start.factory
        return {
            "id": self.id,
            "pid": pid,
            "start": getattr(factory, "__qualname__", type(factory).__qualname__),
            "incarnation": incarnation,
            "restart": self.restart,
            "significant": self.significant,
            "shutdown": self.stop_within,
            "type": self.type,
            "placement": self.placement,
            "count": count,
        }

    @property
    def stop_within(self) -> Shutdown:
        """The shutdown value in force, defaults applied."""
        if self.shutdown is not None:
            return self.shutdown
        return "infinity" if self.type == "supervisor" else WORKER_SHUTDOWN_MS


@dataclass(frozen=True, slots=True)
class SupervisorFlags:
    """How a supervisor reacts.

    Attributes:
        strategy: Whom the failure of one child takes along.
        intensity: So many restarts are allowed ...
        period_s: ... within so many (whole) seconds; one more and the supervisor gives up.
        auto_shutdown: Whether the end of significant children ends the supervisor.
    """

    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period_s: int = 5
    auto_shutdown: AutoShutdown = "never"


def check_flags(flags: object) -> None:
    """Refuse flags that make no sense.

    Raises:
        SpecError: ``invalid_type``, ``invalid_<field>`` or ``bad_combination`` with the value.
    """
    if not isinstance(flags, SupervisorFlags):
        raise SpecError("invalid_type", flags)
    _one_of("strategy", flags.strategy, get_args(Strategy))
    _natural("intensity", flags.intensity, least=0)
    _natural("period", flags.period_s, least=1)
    _one_of("auto_shutdown", flags.auto_shutdown, get_args(AutoShutdown))
    if flags.strategy == "simple_one_for_one" and flags.auto_shutdown != "never":
        combination = f"auto_shutdown={flags.auto_shutdown}+strategy=simple_one_for_one"
        raise SpecError("bad_combination", combination)


def check_spec(spec: object, auto_shutdown: AutoShutdown = "never") -> None:
    """Refuse a child specification that makes no sense, alone or under ``auto_shutdown``.

    Raises:
        SpecError: ``invalid_child_spec``, ``missing_id``, ``missing_start``, ``invalid_<field>`` or
            ``bad_combination`` with the offending value.
    """
    if not isinstance(spec, ChildSpec):
        raise SpecError("invalid_child_spec", spec)
    if spec.id is None:
        raise SpecError("missing_id", repr(spec.start))
    if spec.start is None:
        raise SpecError("missing_start", spec.id)
    if not callable(getattr(spec.start, "factory", None)):
        raise SpecError("invalid_start", spec.start)
    _one_of("restart_type", spec.restart, get_args(Restart))
    _check_shutdown(spec.shutdown)
    _one_of("child_type", spec.type, get_args(ChildType))
    _one_of("placement", spec.placement, get_args(Placement))
    if not isinstance(spec.significant, bool):
        raise SpecError("invalid_significant", spec.significant)
    if spec.significant and spec.restart == "permanent":
        raise SpecError("bad_combination", "restart=permanent+significant=true")
    if spec.significant and auto_shutdown == "never":
        raise SpecError("bad_combination", "auto_shutdown=never+significant=true")


def check_specs(specs: Sequence[object], auto_shutdown: AutoShutdown = "never") -> None:
    """Refuse a list of specifications if one is wrong or an id stands twice.

    Raises:
        SpecError: as :func:`check_spec`, ``duplicate_child_name``, or ``badarg`` if it is no list.
    """
    if not isinstance(specs, list | tuple):
        raise SpecError("badarg", specs)
    seen: set[str] = set()
    for spec in specs:
        check_spec(spec, auto_shutdown)
        assert isinstance(spec, ChildSpec)
        if spec.id in seen:
            raise SpecError("duplicate_child_name", spec.id)
        seen.add(spec.id)


def check_start(flags: object, specs: Sequence[object]) -> None:
    """Refuse what a supervisor cannot be started with, or changed to.

    Raises:
        SpecError: as :func:`check_flags` and :func:`check_specs`, or ``bad_start_spec`` if a
            dynamic supervisor is not given exactly one template.
    """
    check_flags(flags)
    assert isinstance(flags, SupervisorFlags)
    check_specs(specs, flags.auto_shutdown)
    if flags.strategy == "simple_one_for_one" and len(specs) != 1:
        raise SpecError("bad_start_spec", f"{len(specs)} templates instead of one")


def refuse_faults(flags: SupervisorFlags, specs: Sequence[object]) -> None:
    """Refuse, in OTP's words, what no supervisor can be started with.

    Raises:
        StartError: ``supervisor_data``, ``start_spec`` or ``bad_start_spec``, with code and value.
    """
    try:
        check_flags(flags)
    except SpecError as error:
        raise StartError(("supervisor_data", error.code, error.value)) from error
    try:
        check_specs(specs, flags.auto_shutdown)
    except SpecError as error:
        raise StartError(("start_spec", error.code, error.value)) from error
    try:
        check_start(flags, specs)
    except SpecError as error:
        raise StartError((error.code, error.value)) from error


def _check_shutdown(shutdown: object) -> None:
    if shutdown is None or shutdown in ("brutal_kill", "infinity"):
        return
    if isinstance(shutdown, bool) or not isinstance(shutdown, int) or shutdown < 0:
        raise SpecError("invalid_shutdown", shutdown)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecError(f"invalid_{name}", value)


def _natural(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecError(f"invalid_{name}", value)
