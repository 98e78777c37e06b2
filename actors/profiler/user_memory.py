"""What is remembered of users: their recent events and the interest vector made from them.

Principle: bounded and forgetful: the least recently seen user goes first, and of a user the oldest
events. They go several at a time, so that for a while after it a history only grows at its end and
the model can go on from what it has worked out (`models.profiler.incremental`). A vector may be a
few events old; how old it may get is the caller's choice.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


FORGOTTEN_SHARE: Final = 0.4
"""Of a full history this share, its oldest events, goes when there is one event more."""


class UserState:
    """One user.

    Attributes:
        tokens: Recent events, oldest first.
        vector: Made from earlier events, None before the first time.
        unseen: Events since the vector was asked for.
        asked: Whether a new vector is on its way.
    """

    __slots__ = ("_last_request", "_max_events", "asked", "tokens", "unseen", "vector")

    def __init__(self, max_events: int) -> None:
        self.tokens: list[int] = []
        self._max_events = max_events
        self.vector: NDArray[np.float32] | None = None
        self.unseen = 0
        self.asked = False
        self._last_request = ""

    def add(self, token: int) -> None:
        """Note an event."""
        if len(self.tokens) >= self._max_events:
            del self.tokens[: max(1, int(FORGOTTEN_SHARE * self._max_events))]
        self.tokens.append(token)
        self.unseen += 1

    def view(self, token: int, request_id: str) -> None:
        """Note a page view once, though it be asked about for each impression and attempt."""
        if request_id != self._last_request:
            self._last_request = request_id
            self.add(token)


class UserMemory:
    """Users by id.

    Args:
        max_users: Users remembered at most.
        max_events: Events remembered of one user at most.
    """

    def __init__(self, max_users: int, max_events: int) -> None:
        self._max_users = max_users
        self._max_events = max_events
        self._users: OrderedDict[str, UserState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    def known(self, user_id: str) -> UserState | None:
        """Return a user that is remembered, or None; that alone keeps nobody in memory."""
        return self._users.get(user_id)

    def touch(self, user_id: str) -> UserState:
        """Return a user, new or remembered, and count this as its latest visit."""
        users = self._users
        user = users.get(user_id)
        if user is None:
            user = users[user_id] = UserState(self._max_events)
            if len(users) > self._max_users:
                users.popitem(last=False)
        else:
            users.move_to_end(user_id)
        return user
