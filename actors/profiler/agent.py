"""The user profiler: who is this, as a place in the space of interests.

Principle: never make a known user wait. A vector that is a few events old answers at once while a
new one is made; only a user's first vector is waited for, up to the question's deadline. Users of
whom nothing may be known get the default profile of their segment, and so does everybody while the
vectors cannot be made, marked as a fallback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from thespian.actors import WakeupMessage

from actors.messages import (
    Exposed,
    Feedback,
    Forward,
    LinkDown,
    Profile,
    Profiled,
    Recall,
    Recalled,
)
from actors.profiler.exposures import Exposures
from actors.profiler.user_memory import UserMemory, UserState
from models.opportunity import category_indexes
from models.profiler.events import EventKind, token
from supervision import Down, LightActor
from transport.messages import InferAnswer, InferRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from actors.metering import Account
    from actors.profiler.default_vectors import DefaultVectors
    from actors.profiler.exposures import Counting
    from models.opportunity import Opportunity
    from supervision.ref import Ref

LINK_ROLE: Final = "link-inference"
MODEL: Final = "profiler"
STORE_ROLE: Final = "exposures"
RECALL_S: Final = 0.1
"""How often a store that is away is looked for."""
ANSWER_MARGIN_S: Final = 0.0005
"""Inference is given up so long before the asker's own deadline, so that the answer is in time."""
MAX_WAITING: Final = 4096
"""Vectors on their way at most; of older ones nothing is expected any more."""
_EVENT_KINDS: Final[dict[str, EventKind]] = {"click": "click", "conversion": "conversion"}


class ProfilerOptions(msgspec.Struct, frozen=True):
    """How much is remembered.

    Attributes:
        cache_users: Users at most.
        max_events: Events of one user at most.
        refresh_events: New events after which a vector is made again.
    """

    cache_users: int
    max_events: int
    refresh_events: int


class _Waiting:
    """A vector that is being made: for whom, who waits for it, and until when it is expected."""

    __slots__ = ("askers", "number", "until_s", "user")

    def __init__(self, number: int, user: UserState, until_s: float) -> None:
        self.number = number
        self.user = user
        self.until_s = until_s
        self.askers: list[tuple[Ref, Opportunity]] = []


class UserProfiler(LightActor):
    """Answers ``Profile`` with ``Profiled``.

    Args:
        options: How much is remembered.
        defaults: Default profiles by segment.
        counting: How views of ads are counted.
        account: What others know of it.
    """

    def __init__(
        self,
        options: ProfilerOptions,
        defaults: DefaultVectors,
        counting: Counting,
        account: Account = dict,
    ) -> None:
        self._counting = counting
        self._exposures = Exposures(counting.caps, options.cache_users)
        self._store: Ref | None = None
        self._recalled_row = 0
        self._account = account
        self._options = options
        self._defaults = defaults
        self._users = UserMemory(options.cache_users, options.max_events)
        self._waiting: dict[int, _Waiting] = {}
        self._by_user: dict[int, _Waiting] = {}
        self._next_id = 1
        self._handlers: dict[type, Callable[[Any], None]] = {
            InferAnswer: self._on_answer,
            Feedback: self._on_feedback,
            Exposed: self._exposures.count,
            Recalled: self._on_recalled,
            LinkDown: self._on_link_down,
            Down: self._on_down,
            WakeupMessage: self._recall,
        }
        self._counts = {"model": 0, "cache": 0, "default": 0, "fallback": 0}

    def on_start(self) -> None:
        """Hear of clicks, conversions and views, and of what was seen before our time."""
        self.subscribe(Feedback)
        self._link = self.cell.registry.route(LINK_ROLE)
        if self._counting.caps:
            self.subscribe(Exposed)
            self._recall()

    def describe(self) -> dict[str, Any]:
        """Tell where vectors came from."""
        return {
            "users": len(self._users),
            "waiting": len(self._waiting),
            "counted_users": len(self._exposures),
            **self._counts,
            **self._account(),
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Answer a question, or hear of vectors and events."""
        if type(message) is Profile:
            self._profile(message, sender)
            return
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def _on_link_down(self, down: LinkDown) -> None:
        if isinstance(down.message, InferRequest):
            self._give_up(down.message.id, keep=down.reason == "late")

    def _on_down(self, down: Down) -> None:
        """Hear that the store died, which is asked again, or the link with all that it carried."""
        if down.address is self._store:
            self._recall()
        else:
            for number in tuple(self._waiting):
                self._give_up(number, keep=False)

    # --- questions -----------------------------------------------------------------------------

    def _profile(self, question: Profile, asker: Ref) -> None:
        opportunity = question.opportunity
        if not opportunity.user_id:
            self._answer(asker, opportunity, self._defaults.of(opportunity), "default")
            return
        user = self._users.touch(opportunity.user_id)
        category = opportunity.category
        if category is not None:
            user.view(token("view", category), opportunity.request_id)
        if not user.tokens:
            self._answer(asker, opportunity, self._defaults.of(opportunity), "default")
        elif user.vector is not None:
            self._answer(asker, opportunity, user.vector, "cache")
            if user.unseen >= self._options.refresh_events and self._on_its_way(user) is None:
                self._ask(user, question.deadline_s)
        else:
            self._wait(user, question, asker)

    def _wait(self, user: UserState, question: Profile, asker: Ref) -> None:
        """Have the user's first vector made; the asker waits for it."""
        waiting = self._on_its_way(user)
        if waiting is None:
            waiting = self._ask(user, question.deadline_s)
        if waiting is None:
            opportunity = question.opportunity
            self._answer(asker, opportunity, self._defaults.of(opportunity), "fallback")
        else:
            waiting.askers.append((asker, question.opportunity))

    def _on_its_way(self, user: UserState) -> _Waiting | None:
        """Return the user's vector in the making, None if there is none (any more).

        The link tells of what is late; what it does not even tell of was lost on the way (in a
        full mailbox), and must not be waited for by one asker after the other.
        """
        waiting = self._by_user.get(id(user)) if user.asked else None
        if waiting is not None and self.cell.clock() > waiting.until_s:
            self._give_up(waiting.number, keep=False)
            return None
        return waiting

    def _ask(self, user: UserState, deadline_s: float) -> _Waiting | None:
        """Ask for a new vector of ``user``; None when there is nobody to ask."""
        link = self._link.address
        if link is None:
            return None
        number = self._next_id
        self._next_id = number + 1
        if len(self._waiting) >= MAX_WAITING:
            self._give_up(next(iter(self._waiting)), keep=False)
        waiting = _Waiting(number, user, deadline_s)
        self._waiting[number] = self._by_user[id(user)] = waiting
        user.asked = True
        user.unseen = 0
        deadline_s -= ANSWER_MARGIN_S
        request = InferRequest(number, MODEL, deadline_s, tuple(user.tokens))
        self.ask(link, Forward(request, deadline_s))
        return waiting

    def _answer(
        self, asker: Ref, opportunity: Opportunity, vector: NDArray[np.float32], source: Any
    ) -> None:
        self._counts[source] += 1
        capped = self._capped(opportunity.user_id)
        self.send(asker, Profiled(vector, source, self._defaults.version, capped))

    def _capped(self, user_id: str) -> frozenset[str]:
        """Return what this user may not see again now."""
        counting = self._counting
        if not counting.caps:
            return counting.caps.uncounted
        return self._exposures.capped(counting.name_of(user_id), counting.unix_clock())

    # --- what was seen before our time ---------------------------------------------------------

    def _recall(self, _wakeup: WakeupMessage | None = None) -> None:
        """Ask the store for more, or look for it again in a while."""
        if self._exposures.is_complete:
            return
        self._store = self.cell.registry.address(STORE_ROLE)
        if self._store is None:
            self.wake_after(RECALL_S)
        else:
            self.ask(self._store, Recall(self._recalled_row))

    def _on_recalled(self, recalled: Recalled) -> None:
        for view in recalled.views:
            self._exposures.count(view)
        self._recalled_row = recalled.row
        # Complete is it also where the disk does not work: we count from now on.
        self._exposures.is_complete = recalled.is_last
        self._recall()

    # --- vectors -------------------------------------------------------------------------------

    def _on_answer(self, answer: InferAnswer) -> None:
        if answer.status != "ok":
            self._give_up(answer.id, keep=False)
            return
        waiting = self._waiting.pop(answer.id, None)
        if waiting is None:
            return
        self._by_user.pop(id(waiting.user), None)
        waiting.user.asked = False
        waiting.user.vector = vector = np.frombuffer(answer.vector, dtype="<f4")
        for asker, opportunity in waiting.askers:
            self._answer(asker, opportunity, vector, "model")

    def _give_up(self, number: int, *, keep: bool) -> None:
        """Answer those who wait with the default; ``keep``: the vector may still come."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        askers, waiting.askers = waiting.askers, []
        for asker, opportunity in askers:
            self._answer(asker, opportunity, self._defaults.of(opportunity), "fallback")
        if not keep:
            del self._waiting[number]
        self._by_user.pop(id(waiting.user), None)
        waiting.user.asked = False

    # --- events --------------------------------------------------------------------------------

    def _on_feedback(self, feedback: Feedback) -> None:
        """Remember what a user did with our ad."""
        kind = _EVENT_KINDS.get(feedback.kind)
        user = self._users.known(feedback.opportunity.user_id)
        if kind is None or user is None:
            return
        categories = category_indexes(feedback.candidate.campaign.categories)
        if categories:
            user.add(token(kind, categories[0]))
