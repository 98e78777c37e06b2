"""Who plays a role: a role resolves to its live agent, or to nobody, and then its fallback answers.

A route is closed while its agent is down, suspended or overloaded, and for a short cool-off after
too many late answers in a row. After the cool-off one question is let through as a probe, so that
recovery is noticed without an operator (the half-open state of a circuit breaker; Nygard, "Release
It!", ch. 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervision.messages import Report, is_clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.clock import Clock
    from supervision.ref import Ref

QUEUE_LIMIT = 1024
STRIKE_LIMIT = 20
COOL_OFF_S = 0.25


def _nobody_hears(_route: Route) -> None:
    """Where nobody wants to know of changes."""


class Route:
    """The way to the one actor that plays ``role``.

    Attributes:
        role: The name that others use.
        ref: The actor bound to it, dead or alive, or ``None`` before there was one.
        queue_limit: From this many waiting messages on the agent counts as overloaded.
        strike_limit: So many late answers in a row close the route.
        cool_off_s: For so long.
        strikes: Late answers in a row; 0 says that an answer in time changes nothing.
        closed_for: Why it was last seen closed; ``None`` while it is open as far as anybody knows.
    """

    __slots__ = (
        "_clock",
        "_closed_until_s",
        "_tell",
        "closed_for",
        "cool_off_s",
        "queue_limit",
        "ref",
        "role",
        "strike_limit",
        "strikes",
    )

    def __init__(
        self,
        role: str,
        clock: Clock,
        *,
        strike_limit: int = STRIKE_LIMIT,
        cool_off_s: float = COOL_OFF_S,
        tell: Callable[[Route], None] | None = None,
    ) -> None:
        self.role = role
        self.closed_for: str | None = None
        self._tell = tell or _nobody_hears
        self.ref: Ref | None = None
        self.queue_limit = QUEUE_LIMIT
        self.strike_limit = strike_limit
        self.cool_off_s = cool_off_s
        self._clock = clock
        self.strikes = 0
        self._closed_until_s: float | None = None

    @property
    def address(self) -> Ref | None:
        """The live agent, or ``None`` while it is down, suspended, overloaded or late.

        Of a route that is closed for lateness, the first look after the cool-off gets the address
        as a probe; further ones wait for its outcome, at most one more cool-off.
        """
        ref = self.ref
        if (
            ref is not None
            and ref.actor is not None
            and not ref.suspended
            and len(ref.mailbox) < self.queue_limit
            and (self._closed_until_s is None or self._may_probe(self._closed_until_s))
        ):
            return ref
        if self.closed_for is None:  # who asks takes its fallback: the first time is told at once
            self.look()
        return None

    def look(self, *, idly: bool = False) -> None:
        """See whether the route is closed, and tell if that has changed since the last look.

        Args:
            idly: Nobody has asked for the agent. Then one that was stopped is no news.
        """
        closed_for = self._why_closed()
        ref = self.ref
        if (closed_for is None) == (self.closed_for is None) or ref is None:
            return
        if idly and closed_for is not None and is_clean(ref.exit_reason):
            return
        self.closed_for = closed_for
        self._tell(self)

    def _why_closed(self) -> str | None:
        """Say why the route is closed, without taking the probe; ``None`` if it is open."""
        ref = self.ref
        if ref is None or ref.actor is None:
            return "down"
        if ref.suspended:
            return "suspended"
        if len(ref.mailbox) >= self.queue_limit:
            return "overloaded"
        return "late" if self._closed_until_s is not None else None

    def _may_probe(self, closed_until_s: float) -> bool:
        """Let one question through after the cool-off: its answer opens the route for all."""
        now_s = self._clock()
        if now_s < closed_until_s:
            return False
        self._closed_until_s = now_s + self.cool_off_s
        return True

    def answered(self) -> None:
        """Note an answer in time: the agent is well."""
        self.strikes = 0
        self._closed_until_s = None

    def strike(self) -> None:
        """Note a late or missing answer; too many in a row close the route for the cool-off."""
        self.strikes += 1
        if self.strikes >= self.strike_limit:
            self._closed_until_s = self._clock() + self.cool_off_s

    def bind(self, ref: Ref) -> None:
        """Give the role to a fresh agent, which starts with a clean slate."""
        self.ref = ref
        self.answered()


def route_report(route: Route) -> Report:
    """Return the report of a route that was found closed (its fallback answers), or open again."""
    ref = route.ref
    assert ref is not None, "a route that never had an agent is not told of"
    closed_for = route.closed_for
    context = "fallback_off" if closed_for is None else "fallback_on"
    offender = {"id": ref.name, "role": route.role}
    supervisor = ref.parent.path if ref.parent is not None else ""
    return Report(supervisor, context, closed_for or "open again", offender, level="info")


class Registry:
    """All routes of one cell, by role; asking for an unknown role makes its (closed) route.

    Attributes:
        on_change: Is told of a route that was found closed, or open again (``Route.closed_for``).
    """

    def __init__(
        self, clock: Clock, *, strike_limit: int = STRIKE_LIMIT, cool_off_s: float = COOL_OFF_S
    ) -> None:
        self._clock = clock
        self._strike_limit = strike_limit
        self._cool_off_s = cool_off_s
        self._routes: dict[str, Route] = {}
        self.on_change: Callable[[Route], None] = _nobody_hears

    def sweep(self) -> None:
        """Look at all routes; what has closed or opened since the last look is told.

        Between two sweeps a route is told of once each way at most, however it flutters.
        """
        for route in self._routes.values():
            route.look(idly=True)

    def _changed(self, route: Route) -> None:
        self.on_change(route)

    def configure(self, *, strike_limit: int, cool_off_s: float) -> None:
        """Set the patience of routes, present and future.

        Args:
            strike_limit: Late answers in a row that close a route.
            cool_off_s: Seconds before a closed route lets a probe through.
        """
        self._strike_limit = strike_limit
        self._cool_off_s = cool_off_s
        for route in self._routes.values():
            route.strike_limit = strike_limit
            route.cool_off_s = cool_off_s

    def route(self, role: str) -> Route:
        """Return the route of ``role``; it stays the same object when agents come and go."""
        route = self._routes.get(role)
        if route is None:
            route = Route(
                role,
                self._clock,
                strike_limit=self._strike_limit,
                cool_off_s=self._cool_off_s,
                tell=self._changed,
            )
            self._routes[role] = route
        return route

    def address(self, role: str) -> Ref | None:
        """Return the live agent of ``role`` or ``None``."""
        return self.route(role).address

    def bind(self, role: str, ref: Ref) -> None:
        """Give ``role`` to ``ref``."""
        self.route(role).bind(ref)

    def roles(self) -> dict[str, Route]:
        """Return all routes by role."""
        return dict(self._routes)
