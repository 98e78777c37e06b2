"""The operators' door: what arrives on a node's control socket, found by name and passed on.

A request names an operation. Those that concern one actor name it as well; they go down the tree as
an order (``supervision.desk``). Others are offered by whoever can serve them, the watchdog first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision.desk import OPERATIONS
from supervision.errors import OrderError
from supervision.inspect import names_like, walk
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.trunk import Trunk

    Args = dict[str, Any]

ORDER_LIMIT_S = 2.0
ANYONE = frozenset({"kill"})
"""Orders that supervisors take, too; all others are for those who work."""


class Operators:
    """Serves the operators of one node.

    Args:
        trunk: The way into the tree.
        tree: Returns the tree as it is now.
    """

    def __init__(self, trunk: Trunk, tree: Callable[[], Args]) -> None:
        self._trunk = trunk
        self._tree = tree
        self._offers: dict[str, Callable[[Args], Any]] = {"tree": lambda _args: tree()}

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
        wanted = str(args.get("name", ""))
        tree = self._tree()
        found = names_like(tree, wanted)
        if not found:
            raise ControlError("not_found", f"no actor is called {wanted!r}; see `bidwright tree`")
        if len(found) > 1:
            raise ControlError(
                "ambiguous", f"{wanted!r} may mean {', '.join(found)}; say more of the path"
            )
        return next(node for node in walk(tree) if node["name"] == found[0])

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
        path = tuple(name.split("/")[1:])
        done = {"name": name, "operation": operation}
        if not path and operation == "kill":
            self._trunk.kill_top()
            return done
        try:
            return done | self._trunk.order(path, operation, args, ORDER_LIMIT_S)
        except OrderError as error:
            raise ControlError("failed", f"{name}: {error}") from error
