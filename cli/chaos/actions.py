"""What experiments can do to a node: the actions of their methods and rollbacks.

Each is a plain function that the Chaos Toolkit calls by name. A fault is brought about by the node
itself and has a time limit there, so it ends even if nobody is left to end it. What cannot be done
raises, and makes the run invalid.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from cli import processes
from cli.chaos import hostile, lab
from cli.chaos.errors import FaultError
from cli.chaos.watcher import Injection
from cli.patience import wait_until

if TYPE_CHECKING:
    from cli.chaos.statsd import StatsdSink

_GONE_LIMIT_S = 10.0


def fault(
    select: str,
    kind: str,
    args: dict[str, Any] | None = None,
    mode: str = "one",
    ttl_s: float = 5.0,
    deadly: bool | None = None,  # noqa: FBT001 - the arguments are those of an experiment
) -> list[str]:
    """Bring about a fault in parts of the tree; return their paths.

    Args:
        select: Pattern of the parts: ``node/ledger``, ``node/bidders/bidder-*``, ``**/links/*``.
        kind: The fault; docs/CHAOS.md lists them.
        args: Of the fault.
        mode: ``one``, ``all``, ``fixed:N`` or ``percent:P`` of the parts, chosen by the seed.
        ttl_s: It ends by itself after this time.
        deadly: Whether the parts end by it and must come back as new ones; found out by default.
    """
    return lab.current().inject(kind, select, mode, args or {}, ttl_s=ttl_s, deadly=deadly)


def kill(select: str, mode: str = "one") -> list[str]:
    """Kill parts of the tree as ``bidwright actor kill`` does; return their paths."""
    here = lab.current()
    targets = here.choose(select, mode)
    here.hurt(targets)
    injection = Injection("kill", targets, here.wall(), deadly=True)
    for path in targets:
        here.target.ask("kill", name=path)
    here.note(injection)
    return targets


def wait_for(kind: str, within_s: float = 5.0) -> dict[str, Any]:
    """Wait until the node tells of an event since the method began, and return it.

    An experiment whose fault had no effect would pass and prove nothing; with this it is invalid.

    Args:
        kind: Of the event, as ``bidwright events`` names it: ``gave_up``, ``crashed``, ...
        within_s: For so long.
    """
    here = lab.current()
    found: list[dict[str, Any]] = []

    def has_come() -> bool:
        events = here.target.events_since(here.method_ts)
        found[:] = [event for event in events if event.get("kind") == kind]
        return bool(found)

    if not wait_until(has_come, within_s):
        raise FaultError(f"no {kind!r} event within {within_s:g} s: the fault had no effect")
    return {name: found[0].get(name) for name in ("ts", "kind", "address", "reason")}


def heal() -> int:
    """Take back all faults that are in force; return how many there were."""
    return lab.current().heal()


def insult_sockets(rounds: int = 1) -> int:
    """Say hostile things to every socket of the node; return how often something was said."""
    here = lab.current()
    addresses = hostile.sockets_of(here.target)
    here.note(Injection("hostile bytes", ["node"], here.wall()))
    return sum(hostile.insult(address) for _ in range(rounds) for address in addresses)


def kill_node() -> int:
    """SIGKILL every process of the node at once, first to last; return how many there were."""
    here = lab.current()
    _own(here)
    family = here.target.family()
    here.note(Injection("kill -9 of everything", ["node"], here.wall(), deadly=True))
    processes.signal_all(family, signal.SIGKILL)
    if not wait_until(lambda: not processes.alive(family), _GONE_LIMIT_S):
        raise FaultError("some processes of the node outlived SIGKILL")
    return len(family)


def start_node() -> str:
    """Start the killed node again on the same data; nothing if it runs."""
    here = lab.current()
    sandbox = _own(here)
    if here.target.status().get("state") == "ready":
        return "it runs"
    sandbox.start()
    return "started"


def close_statsd() -> None:
    """Switch off the server that the node sends its metrics to."""
    here = lab.current()
    here.note(Injection("statsd gone", ["node"], here.wall()))
    _own(here).statsd.close()


def open_statsd() -> int:
    """Switch it on again; return how many packets it had before."""
    sink: StatsdSink = _own(lab.current()).statsd
    sink.open()
    return sink.packets


def spoil_model(name: str) -> str:
    """Flip one bit in the weights of a model of the node; return the file."""
    here = lab.current()
    weights = _own(here).weights
    if weights is None:
        raise FaultError("the experiment has no copied_weights to spoil")
    file = weights / name / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    here.note(Injection("corrupt model", ["node"], here.wall(), says=name))
    return str(file)


def mend_model(name: str) -> str:
    """Put the original weights of a model back; return the file."""
    import shutil

    from models.registry import weights_folder

    weights = _own(lab.current()).weights
    if weights is None:
        raise FaultError("the experiment has no copied_weights to mend")
    file = weights / name / "weights.safetensors"
    shutil.copyfile(weights_folder(name) / file.name, file)
    return str(file)


def _own(here: lab.Lab) -> Any:
    """Return the sandbox; what hurts more than a part is done only to a node of our own."""
    if here.sandbox is None:
        raise FaultError("this is done only to a node that was started for the experiment")
    return here.sandbox
