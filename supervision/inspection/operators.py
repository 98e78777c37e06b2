"""The operators' door: what arrives on a node's control socket, found by name and passed on.

A request names an operation. Those that concern one actor name it as well; they go down the tree as
an order (``supervision.inspection.desk``). Others are offered by whoever can serve them, the
watchdog first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision.errors import OrderError
from supervision.inspection.desk import OPERATIONS
from supervision.inspection.tree import names_like, names_near, walk
from supervision.messages import Report
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.processes.trunk import Trunk

    Args = dict[str, Any]

ORDER_LIMIT_S = 2.0
ANYONE = frozenset({"kill"})
"""Orders that supervisors take, too; all others are for those who work."""


AUDITED = {"kill": "killed", "suspend": "suspended", "resume": "resumed"}
"""Orders that stand in the file of events, and as what."""


def order_report(context: str, node: Args, asker: object) -> Report:
    """Return the report that somebody had something done to ``node``."""
    offender = {"id": node["id"], "pid": node["pid"]}
    reason = f"by {asker}" if asker is not None else "by an operator"
    return Report("operator", context, reason, offender, level="info", about=node["name"])


class Operators:
    """Serves the operators of one node.

    Args:
        trunk: The way into the tree.
        tree: Returns the tree as it is now.
        node: The node's name, with which addresses begin.
        audit: Takes the report of each order that was carried out.
        asker: Says whose request is being handled.
    """

    def __init__(
        self,
        trunk: Trunk,
        tree: Callable[[], Args],
        node: str,
        audit: Callable[[Report], None],
        asker: Callable[[], object],
    ) -> None:
        self._trunk = trunk
        self.tree = tree
        self.node = node
        self._audit = audit
        self._asker = asker
        self._offers: dict[str, Callable[[Args], Any]] = {
            "tree": lambda _args: tree(),
            "restart": self.restart,
        }

    def offer(self, **operations: Callable[[Args], Any]) -> None:
        """Serve these operations, too; each takes the request's arguments."""
        self._offers.update(operations)

    def handle(self, operation: str, args: Args) -> Any:
        """Serve one request.

        Raises:
            ControlError: What is asked cannot be done; the message says why.
        """
        if operation in self._offers:
            return self._offers[operation](args)
        if operation in OPERATIONS:
            return self.order(operation, args)
        raise ControlError("unknown_operation", f"a node knows no operation {operation!r}")

    def find(self, args: Args) -> Args:
        """Return the one node of the tree that ``args["name"]`` means.

        Raises:
            ControlError: There is none, or more than one.
        """
        return self.locate(args)[-1]

    def locate(self, args: Args) -> list[Args]:
        """Return the nodes of the tree from its root down to the one that ``args["name"]`` means.

        A name may begin with this node's, as in ``node-1:edge``.

        Raises:
            ControlError: as :meth:`find`.
        """
        wanted = str(args.get("name", ""))
        tree = self.tree()
        node, colon, path = wanted.partition(":")
        found = names_like(tree, path if colon and node == self.node else wanted)
        if not found:
            raise ControlError("not_found", self._no_such(wanted, tree))
        if len(found) > 1:
            raise ControlError(
                "ambiguous", f"{wanted!r} may mean {', '.join(found)}; say more of the path"
            )
        return [part for part in walk(tree) if f"{found[0]}/".startswith(f"{part['name']}/")]

    def _no_such(self, wanted: str, tree: Args) -> str:
        """Say that nobody has that name, and who has one like it."""
        node, colon, path = wanted.partition(":")
        if colon and node != self.node and "/" not in node:
            return f"this is the node {self.node!r}, not {node!r}; ask that one, by its --data-dir"
        near = names_near(tree, path if colon else wanted)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"no actor is called {wanted!r}{hint} (see `bidwright tree`)"

    def order(self, operation: str, args: Args) -> Args:
        """Have ``operation`` done to the actor that ``args`` name.

        Raises:
            ControlError: It was not done; the message says why.
        """
        node = self.find(args)
        name = node["name"]
        if node["children"] and operation not in ANYONE:
            raise ControlError(
                "refused", f"{name} supervises others; {operation} one of those: it has no work"
            )
        done = {"name": name, "operation": operation}
        if "/" not in name and operation == "kill":
            self._trunk.kill_top()
        else:
            done |= self.pass_on(name, operation, args)
        if operation in AUDITED:
            self._audit(order_report(AUDITED[operation], node, self._asker()))
        return done

    def restart(self, args: Args) -> Args:
        """Have an actor ended politely and started anew by its supervisor, as after any end.

        Raises:
            ControlError: It was not done; the message says why.
        """
        line = self.locate(args)
        # The cell of a process that hosts one is that process's root: they live and die together.
        if len(line) > 1 and line[-2]["kind"] == "worker":
            line.pop()
        if len(line) == 1:
            raise ControlError(
                "refused", f"{line[0]['name']} is the whole node; use `bidwright down`"
            )
        asker = self._asker() or "an operator"
        order = {"child": line[-1]["id"], "reason": f"restarted by {asker}"}
        self.pass_on(line[-2]["name"], "restart_child", order)
        return {"name": line[-1]["name"], "operation": "restart"}

    def pass_on(
        self, name: str, operation: str, args: Args, limit_s: float = ORDER_LIMIT_S
    ) -> Args:
        """Have ``operation`` done to the actor of that full name, whatever it is.

        Raises:
            ControlError: It was not done; the message says why.
        """
        try:
            path = tuple(name.split("/")[1:])
            return self._trunk.order(path, operation, args, limit_s)
        except OrderError as error:
            raise ControlError("failed", f"{name}: {error}") from error

    def home_of(self, name: str) -> str:
        """Return the name of the process in which the actor of that full name lives."""
        processes = [node["name"] for node in walk(self.tree()) if node["placement"] == "process"]
        around = [each for each in processes if name == each or name.startswith(f"{each}/")]
        return str(max(around, key=len, default=name))
