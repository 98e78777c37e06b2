"""The catalogue of faults: what there is, whom it fits, what it takes, and how long it may last."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from config.fault_points import POINTS
from supervision.errors import FaultRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_S: Final = 60.0
DEFAULT_S: Final = 10.0
FOREVER: Final = 10**9
Scope = Literal["actor", "link", "inside", "process"]
"""``actor``: one actor's messages; ``link``: its sockets; ``inside``: something in a working
process that all its actors share; ``process``: the process itself."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number from ``least`` to ``most``; one without a default must be given."""

    least: float
    most: float
    default: float | None = None
    whole: bool = False

    def read(self, value: Any) -> float | int:
        """Return the value if it fits.

        Raises:
            ValueError: It does not; the text says what would.
        """
        kind = "a whole number" if self.whole else "a number"
        text = f"must be {kind} from {self.least:g} to {self.most:g}"
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise ValueError(text)
        if not self.least <= value <= self.most or (self.whole and value != int(value)):
            raise ValueError(text)
        return int(value) if self.whole else float(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these words; without a default one must be given."""

    words: tuple[str, ...]
    default: str | None = None

    def read(self, value: Any) -> str:
        """Return the value if it fits.

        Raises:
            ValueError: It does not; the text says what would.
        """
        if value not in self.words:
            raise ValueError(f"must be one of {', '.join(self.words)}")
        return str(value)


@dataclass(frozen=True, slots=True)
class YesOrNo:
    """True or false."""

    default: bool

    def read(self, value: Any) -> bool:
        """Return the value if it fits.

        Raises:
            ValueError: It does not.
        """
        if not isinstance(value, bool):
            raise ValueError("must be true or false")  # noqa: TRY004 - the same for all kinds
        return value


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        scope: Whom it fits.
        meaning: What it does, in a few words.
        args: What it takes, by name.
    """

    scope: Scope
    meaning: str
    args: Mapping[str, Number | OneOf | YesOrNo] = field(default_factory=dict)


_SHARE: Final = Number(0, 1, 0.0)
_DELAY_MS: Final = Number(0, 1000 * LONGEST_S, 0.0)

KINDS: Final[dict[str, Kind]] = {
    "crash": Kind(
        "actor",
        "its next messages raise an exception",
        {"count": Number(1, FOREVER, 1, whole=True), "share": Number(0, 1, 1.0)},
    ),
    "crash_on_start": Kind(
        "actor",
        "it ends, if now is true, and no start of it succeeds",
        {"now": YesOrNo(True)},
    ),
    "slow": Kind(
        "actor",
        "messages reach it so much later, in order",
        {"delay_ms": Number(0, 1000 * LONGEST_S), "jitter_ms": _DELAY_MS},
    ),
    "drop": Kind("actor", "a share of the messages of others is lost", {"share": Number(0, 1)}),
    "duplicate": Kind(
        "actor", "a share of the messages of others comes twice", {"share": Number(0, 1)}
    ),
    "flood": Kind(
        "actor",
        "its mailbox is filled with copies of the next message",
        {"count": Number(1, 1_000_000, 10_000, whole=True)},
    ),
    "hang": Kind(
        "actor",
        "it blocks its process at its next message",
        {"for_s": Number(0, LONGEST_S, LONGEST_S)},
    ),
    "link": Kind(
        "link",
        "frames of its sockets are lost, doubled, spoilt or late",
        {
            "drop": _SHARE,
            "duplicate": _SHARE,
            "corrupt": _SHARE,
            "delay_ms": _DELAY_MS,
            "jitter_ms": _DELAY_MS,
            "direction": OneOf(("in", "out", "both"), "both"),
        },
    ),
    "point": Kind(
        "inside",
        "the error that a disk, a device or a process meets at a place in the code",
        {
            "point": OneOf(tuple(POINTS)),
            "action": OneOf(("kill", "enospc", "oom", "raise")),
            "count": Number(0, FOREVER, 0, whole=True),
            "share": Number(0, 1, 1.0),
        },
    ),
    "clock": Kind("inside", "its wall clock jumps", {"by_s": Number(-(10.0**9), 10.0**9)}),
    "signal": Kind(
        "process",
        "it gets a signal; a stopped one goes on at the end",
        {"signal": OneOf(("STOP", "KILL", "TERM"))},
    ),
}


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """A fault that was asked for and makes sense; plain data, so that it can travel.

    Attributes:
        id: Unique in its node.
        kind: A key of ``KINDS``.
        args: Complete, of the right types.
        ttl_s: It ends by itself after so many seconds.
        seed: Of its chances.
    """

    id: str
    kind: str
    args: dict[str, Any]
    ttl_s: float
    seed: int

    @property
    def scope(self) -> Scope:
        """Whom it fits."""
        return KINDS[self.kind].scope


def read_request(identity: str, asked: Mapping[str, Any], default_seed: int) -> FaultRequest:
    """Make a request of what an operator asked for.

    Args:
        identity: Its id.
        asked: ``kind``, ``args``, ``ttl_s`` and, if chance should be repeatable, ``seed``.
        default_seed: Used if there is none.

    Raises:
        FaultRefusedError: It makes no sense; the text says why.
    """
    name = asked.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(name, str):
        raise FaultRefusedError(f"no fault is called {name!r}; there are {', '.join(KINDS)}")
    args = _read_args(name, kind, asked.get("args") or {})
    ttl_s = _read(name, "ttl_s", Number(0.05, LONGEST_S), asked.get("ttl_s", DEFAULT_S))
    seed = _read(name, "seed", Number(0, 2**63, whole=True), asked.get("seed", default_seed))
    _check_point(name, args)
    return FaultRequest(identity, name, args, float(ttl_s), int(seed))


def _read_args(name: str, kind: Kind, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise FaultRefusedError(f"{name}: args must be a table of names and values")
    unknown = sorted(set(map(str, given)) - set(kind.args))
    if unknown:
        known = ", ".join(kind.args) or "nothing"
        raise FaultRefusedError(f"{name} takes no {', '.join(unknown)}; it takes {known}")
    return {
        arg: _read(name, arg, rule, given.get(arg, rule.default)) for arg, rule in kind.args.items()
    }


def _read(name: str, arg: str, rule: Number | OneOf | YesOrNo, value: Any) -> Any:
    try:
        return rule.read(value)
    except ValueError as error:
        got = "it is missing" if value is None else f"got {value!r}"
        raise FaultRefusedError(f"{name}: {arg} {error}; {got}") from error


def _check_point(name: str, args: dict[str, Any]) -> None:
    if name == "point" and args["action"] not in POINTS[args["point"]]:
        possible = ", ".join(POINTS[args["point"]])
        raise FaultRefusedError(f"point: at {args['point']} the action must be one of {possible}")
