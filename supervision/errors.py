"""What can go wrong in supervision, typed by who must act."""

from __future__ import annotations


class SupervisionError(Exception):
    """Base of all errors of this package."""


class SpecError(SupervisionError):
    """A child specification or a flag is wrong: its author must change it.

    Attributes:
        code: What is wrong, e.g. ``invalid_restart_type``.
        value: The offending value.
    """

    def __init__(self, code: str, value: object) -> None:
        super().__init__(f"{code}: {value!r}")
        self.code = code
        self.value = value


class IgnoreStart(SupervisionError):  # noqa: N818 - a decision of the actor, not an error
    """Raised by an actor's ``on_start``: it declines to run, which is no failure."""


class StartError(SupervisionError):
    """Raised by an actor's ``on_start``: it cannot run, for ``reason``.

    Attributes:
        reason: A short code for the supervisor's reports; the text may say more.
    """

    def __init__(self, reason: object, text: str = "") -> None:
        super().__init__(text or str(reason))
        self.reason = reason


class Exit(SupervisionError):  # noqa: N818 - a way out, not always an error
    """Raised inside a handler: the actor ends with ``reason``.

    Attributes:
        reason: ``normal``, ``shutdown`` and ``("shutdown", detail)`` are no crash.
    """

    def __init__(self, reason: object = "normal") -> None:
        super().__init__(str(reason))
        self.reason = reason


class NodeError(SupervisionError):
    """The node as a whole cannot start or has ended: the operator must act."""


class OrderError(SupervisionError):
    """An operator's order cannot be carried out; the text says why. Whoever gave it must act."""


class FaultRefusedError(OrderError):
    """A fault that was asked for makes no sense, or does not fit its target."""


class StateRefusedError(OrderError):
    """An actor's state cannot be read or replaced as was asked."""
