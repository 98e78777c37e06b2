"""What can go wrong at the edge, typed by who must act."""

from __future__ import annotations


class EdgeError(Exception):
    """Base of all failures of the HTTP edge."""


class AccessError(EdgeError):
    """A file or a network that says who may come in is not usable: the operator must act."""


class NoticeFormError(EdgeError):
    """A notice URL cannot be read: its sender must act."""


class ServerDiedError(EdgeError):
    """The thread that serves HTTP has ended by itself: the edge must be started anew."""


class ServerHungError(EdgeError):
    """The loop that serves HTTP does not answer: the edge must be started anew."""
