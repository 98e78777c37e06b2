"""One look at everything that ``top`` shows: what it asks of the node, and what it makes of it.

A node that is away, busy or older than this program leaves gaps, never an error: what could not be
had stays as it was, and the view says what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from cli.looking import with_rates
from config.paths import NodePaths
from transport.control import ControlClient
from transport.errors import ControlError, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cli.looking import TreeNode

TIMEOUT_S: Final = 2.0
GONE: Final = "node is not running, waiting"
UNKNOWN: Final = "unknown_operation"


class Line:
    """The way to the node of a data folder, whichever process serves it at the moment.

    Args:
        data_dir: The node's folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def ask(self, op: str, **args: object) -> dict[str, Any]:
        """Ask the node.

        Raises:
            ControlError: It refused, or did not answer in time; ``code`` says which.
            NotRunningError: Nobody answers.
        """
        # A node that is started again may have other sockets.
        socket = NodePaths.of_node(self._data_dir).control_socket
        return ControlClient(socket).call(op, TIMEOUT_S, **args)


@dataclass(frozen=True)
class View:
    """What is known of the node after a look.

    Attributes:
        status: Its answer to ``status``.
        tree: The tree with rates; None before the first.
        processes: By path of the process; None where the node can't tell.
        cpu: Cores used by each process since the look before, by path.
        dead: Who died last, newest last; None where the node can't tell.
        trouble: Why this look brought nothing new; "" if there is nothing wrong.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    tree: TreeNode | None = None
    processes: Mapping[str, Mapping[str, Any]] | None = None
    cpu: Mapping[str, float] = field(default_factory=dict)
    dead: Sequence[Mapping[str, Any]] | None = None
    trouble: str = "looking ..."


class Poller:
    """Looks at a node again and again; for one thread at a time.

    Args:
        ask: Asks the node for an operation, as :meth:`Line.ask`.
        clock: Monotonic seconds.
    """

    def __init__(self, ask: Callable[..., dict[str, Any]], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._seen_s = 0.0
        self._missing: set[str] = set()
        self._view = View()

    def look(self) -> View:
        """Return what is known now; never raises for anything the node does or leaves."""
        try:
            self._view = self._news()
        except NotRunningError:
            self._view = replace(self._view, trouble=GONE)
        except ControlError as error:
            self._view = replace(self._view, trouble=str(error))
        return self._view

    def _news(self) -> View:
        old = self._view
        status = self._ask("status")
        if status.get("pid") != old.status.get("pid"):
            self._missing.clear()  # another node, maybe of another version
        tree = self._ask("tree")
        now_s = self._clock()
        elapsed_s, self._seen_s = now_s - self._seen_s, now_s
        processes = self._extra("processes", old.processes)
        return View(
            status,
            with_rates(old.tree, tree, elapsed_s),
            processes,
            _cores(old.processes or {}, processes or {}, elapsed_s),
            self._extra("dead", old.dead),
            "",
        )

    def _extra(self, op: str, before: Any) -> Any:
        """Ask for what not every node can tell; keep what was if it can't just now."""
        if op in self._missing:
            return None
        try:
            return self._ask(op)[op]
        except NotRunningError:
            raise
        except (ControlError, KeyError) as error:
            if getattr(error, "code", None) != UNKNOWN:
                return before
            self._missing.add(op)
            return None


def _cores(
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
    elapsed_s: float,
) -> dict[str, float]:
    """Return the processor time used a second by each process that lived at both looks."""
    if elapsed_s <= 0:
        return {}
    return {
        path: max(0.0, (now["cpu_s"] - then["cpu_s"]) / elapsed_s)
        for path, now in after.items()
        if (then := before.get(path)) is not None and then.get("pid") == now.get("pid")
    }
