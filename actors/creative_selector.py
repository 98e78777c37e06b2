"""The creative selector: explores and exploits among the ads that may be shown, and learns from it.

Principle: what was shown is learnt from once, when its click has come or is not to be expected any
more. Learning happens in batches between decisions, bounded in size: what does not fit is left out
by when it came and not by how it went, so that nothing is learnt too rosily. A restart goes back
to the trained weights.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import WakeupMessage

from actors.messages import Feedback, Select, Selected
from models.selector.thompson import Observation
from supervision import LightActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.metering import Account
    from models.selector.thompson import ThompsonSelector
    from supervision.ref import Ref

CLICK_WINDOW_S: Final = 10.0
"""An ad without a click for so long after it was shown was not clicked."""
LEARN_S: Final = 1.0
LEARN_BATCH: Final = 64
"""Shown ads learnt from at one time, which takes about a millisecond or two."""
MAX_PENDING: Final = int(LEARN_BATCH * CLICK_WINDOW_S / LEARN_S)


class CreativeSelector(LightActor):
    """Answers ``Select`` with ``Selected``.

    Args:
        load: Makes the selector; called at each start, because a selector changes as it learns.
        account: What others know of it.
    """

    def __init__(self, load: Callable[[], ThompsonSelector], account: Account = dict) -> None:
        self._account = account
        self._selector = load()
        self._pending: OrderedDict[str, tuple[float, Observation]] = OrderedDict()
        self._learnt = 0
        self._clicks = 0
        self._selected = 0

    def on_start(self) -> None:
        """Hear of shown and clicked ads."""
        self.subscribe(Feedback)
        self.wake_after(LEARN_S)

    def describe(self) -> dict[str, Any]:
        """Tell how much was chosen and learnt."""
        return {
            "selected": self._selected,
            "learnt": self._learnt,
            "clicks": self._clicks,
            "pending": len(self._pending),
            "version": self._selector.version,
            **self._account(),
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Choose, or hear what became of a choice."""
        if type(message) is Select:
            choice = self._selector.choose(message.vector, message.candidates, self.cell.random)
            self._selected += 1
            self.send(
                sender,
                Selected(
                    choice.index, choice.propensity, choice.predicted_ctr, self._selector.version
                ),
            )
        elif type(message) is Feedback:
            self._on_feedback(message)
        elif isinstance(message, WakeupMessage):
            self._learn()
            self.wake_after(LEARN_S)

    def _on_feedback(self, feedback: Feedback) -> None:
        key = feedback.key
        if feedback.kind == "impression" and len(self._pending) < MAX_PENDING:
            seen = Observation(feedback.vector, feedback.candidate, clicked=False)
            self._pending.setdefault(key, (self.cell.clock() + CLICK_WINDOW_S, seen))
        elif feedback.kind == "click" and key in self._pending:
            clicked = Observation(feedback.vector, feedback.candidate, clicked=True)
            self._pending[key] = (self._pending[key][0], clicked)

    def _learn(self) -> None:
        """Learn from what is decided: ads shown long enough ago."""
        now_s = self.cell.clock()
        ripe: list[Observation] = []
        while self._pending and len(ripe) < LEARN_BATCH:
            key, (due_s, seen) = next(iter(self._pending.items()))
            if due_s > now_s:
                break
            del self._pending[key]
            ripe.append(seen)
        if ripe:
            self._selector.update(ripe)
            self._learnt += len(ripe)
            self._clicks += sum(seen.clicked for seen in ripe)
