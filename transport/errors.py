"""Every failure that this package reports, under one base.

The types say who must act: the sender of a bad request, the operator of a node that is not there,
or whoever configured an address.
"""

from __future__ import annotations


class TransportError(Exception):
    """Base of all failures reported by ``transport``."""


class MalformedRequestError(TransportError):
    """A body is neither JSON nor MessagePack of a bid request, or is too large.

    The sender must act. It has no usable id, so the answer carries none: no-bid reason 2 and this
    message.
    """


class InvalidRequestError(TransportError):
    """A body could be read, but breaks a rule of OpenRTB that we cannot work around.

    Attributes:
        request_id: Id to repeat in the answer, "" when the request had none.
        why: The broken rule, with the path of the field.
    """

    def __init__(self, request_id: str, why: str) -> None:
        super().__init__(f"invalid bid request {request_id!r}: {why}")
        self.request_id = request_id
        self.why = why


class UndecodableError(TransportError):
    """A privacy string cannot be read; whoever asked has to take it for a refusal."""


class MalformedEventError(TransportError):
    """An event or a frame between processes cannot be decoded; its sender must act."""


class SpoiltFrameError(TransportError):
    """A frame between processes is not what its sender sealed; it is to be sent again."""


class LinkError(TransportError):
    """A link cannot be opened or configured (address in use, bad address, closed socket)."""


class NoticeError(TransportError):
    """A notice token is not ours: it was altered, truncated, or signed with another secret."""


class SegmentError(TransportError):
    """The decision log cannot be written or a segment cannot be opened."""


class ControlError(TransportError):
    """The node answered a control request with an error.

    Attributes:
        code: Machine-readable reason, for example ``unknown_actor``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotRunningError(ControlError):
    """Nobody listens on the control socket: the node is not up."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "not_running",
            f"no node answers on {path}; start one with `bidwright up` or pass its --data-dir",
        )


class ControlTimeoutError(ControlError):
    """The node took the control request but did not answer in time."""

    def __init__(self, op: str, timeout_s: float) -> None:
        super().__init__(
            "timeout", f"the node did not answer {op!r} within {timeout_s:g} s; try again"
        )
