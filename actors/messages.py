"""Messages inside a bidder's cell: what the agents of one decision say to each other.

Principle: a closed set of frozen types, one question and one answer per step of a decision. A
question carries its own ``deadline_s`` (the cell's clock, seconds) and ``attempt`` (1, or 2 for the
one retry); an answer's type alone says which step it belongs to, because every impression has its
own orchestrator. They never leave the process, so arrays travel by reference and nobody may change
one.

Money is integer micros of USD per impression. The asker of any question may instead hear
``supervision.Down`` when the asked actor is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.eligibility import Candidate
from models.opportunity import Opportunity
from transport.messages import Event, StepTaken
from transport.openrtb import Bid as Offer

AnswerKind = Literal["live", "retried", "fallback"]
"""How a step got its answer: at the first attempt, at the second, or from its fallback."""


class Vet(msgspec.Struct, frozen=True, gc=False):
    """Ask the fraud detector whether the traffic is valid."""

    opportunity: Opportunity
    deadline_s: float
    attempt: int = 1


class Vetted(msgspec.Struct, frozen=True, gc=False):
    """The fraud detector's verdict: ``score`` is 0 (clean) to 1 (surely invalid)."""

    valid: bool
    score: float = 0.0
    reasons: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True, gc=False):
    """Ask the user profiler for the interest vector of the opportunity's user."""

    opportunity: Opportunity
    deadline_s: float
    attempt: int = 1


class Profiled(msgspec.Struct, frozen=True, gc=False):
    """An interest vector, float32, shape ``(vector_dim,)``; ``source`` says where it comes from.

    ``default`` is the segment's profile for a user without history; ``fallback`` is the same for a
    user whose history nobody could read in time. ``capped`` names the campaigns and creatives that
    this user has seen often enough.
    """

    vector: NDArray[np.float32]
    source: Literal["model", "cache", "default", "fallback"] = "model"
    version: str = ""
    capped: frozenset[str] = frozenset()


class Fund(msgspec.Struct, frozen=True, gc=False):
    """Ask the budget manager what each of these campaigns may spend now, at this exchange."""

    campaign_ids: tuple[str, ...]
    deadline_s: float
    attempt: int = 1
    exchange: str = ""


class BudgetView(msgspec.Struct, frozen=True, gc=False):
    """How a campaign stands: ``pace`` is what its values are multiplied with, 0..1."""

    pace: float = 1.0


class Funded(msgspec.Struct, frozen=True, gc=False):
    """Spendable micros per campaign; a campaign that may not spend now is left out or zero.

    ``reason`` is a code where none may for a reason other than its budget.
    """

    spendable: Mapping[str, int]
    budgets: Mapping[str, BudgetView] = {}
    reason: str = ""


class Select(msgspec.Struct, frozen=True, gc=False):
    """Ask the creative selector which of the candidates to show."""

    vector: NDArray[np.float32]
    candidates: Sequence[Candidate]
    deadline_s: float
    attempt: int = 1


class Selected(msgspec.Struct, frozen=True, gc=False):
    """The chosen candidate's index, how probably it was chosen, how probably it is clicked."""

    index: int
    propensity: float
    predicted_ctr: float
    version: str = ""


class Price(msgspec.Struct, frozen=True, gc=False):
    """Ask the bid optimizer for a price within ``spendable_micros`` and at or above the floor."""

    opportunity: Opportunity
    candidate: Candidate
    vector: NDArray[np.float32]
    predicted_ctr: float
    spendable_micros: int
    budget: BudgetView
    deadline_s: float
    attempt: int = 1


class Priced(msgspec.Struct, frozen=True, gc=False):
    """The price in micros; 0 means that the impression is not worth its floor.

    ``unshaded_micros`` is what would be bid in a second-price auction; ``control`` says that this
    is a first-price bid which was left at that, for comparison.
    """

    bid_micros: int
    expected_value_micros: float = 0.0
    version: str = ""
    unshaded_micros: int = 0
    control: bool = False


class Clear(msgspec.Struct, frozen=True, gc=False):
    """Ask oversight whether the finished decision keeps every hard rule."""

    opportunity: Opportunity
    candidate: Candidate
    bid_micros: int
    vetted: bool
    deadline_s: float
    attempt: int = 1


class Cleared(msgspec.Struct, frozen=True, gc=False):
    """Oversight's word: ``veto`` is a reason code, or None when the bid may go."""

    veto: str | None = None


class Reserve(msgspec.Struct, frozen=True, gc=False):
    """Ask the budget manager to set aside ``amount_micros`` for the bid called ``key``.

    A second ``Reserve`` of the same key is the same reservation, never a second one.
    """

    key: str
    campaign_id: str
    amount_micros: int
    deadline_s: float
    attempt: int = 1
    exchange: str = ""


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """Whether the money is set aside, and in which lease; ``reason`` is a code when it is not."""

    key: str
    ok: bool
    lease_id: str = ""
    reason: str = ""


Question = Vet | Profile | Fund | Select | Price | Clear | Reserve
Answer = Vetted | Profiled | Funded | Selected | Priced | Cleared | Reserved


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The ledger booked the bid ``key`` at ``price_micros`` (published in the cell)."""

    key: str
    price_micros: int
    campaign_id: str = ""


class Released(msgspec.Struct, frozen=True, gc=False):
    """The bid ``key`` will not be billed: its reservation is free again (published in the cell)."""

    key: str
    campaign_id: str = ""


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Ask a link to carry ``message`` to its process and to bring back the decoded answer.

    The answer is the peer's own struct (``transport.money`` or ``transport.messages``), correlated
    by what it carries itself (``request_id``, ``key`` or ``id``), or ``LinkDown``.

    Attributes:
        message: A struct of the link's protocol.
        deadline_s: Cell's clock; after it nobody waits any more. None: until the answer comes (the
            link to the ledger then sends it again after every reconnection).
    """

    message: msgspec.Struct
    deadline_s: float | None = None


class LinkDown(msgspec.Struct, frozen=True, gc=False):
    """A link could not bring an answer to ``message``: reason "disconnected", "late" or "full"."""

    reason: str
    message: msgspec.Struct


class Bid(msgspec.Struct, frozen=True, gc=False):
    """A decision to bid: reserved, cleared and priced.

    ``bid_micros`` is for one impression, ``cost_micros`` what was reserved: for all of them
    (``qty``).
    """

    key: str
    lease_id: str
    bid_micros: int
    candidate: Candidate
    cost_micros: int = 0


class Decided(msgspec.Struct, frozen=True, gc=False):
    """The orchestrator's one answer to the gateway about one impression.

    Attributes:
        job_id: The gateway's number of this impression.
        bid: The bid, or None.
        offer: The bid as it leaves.
        reason: Why there is no bid ("" with a bid); a code of ``actors.decision.reasons``.
        steps: What each step did, in order of completion.
        record: The decision record, encoded, to be written before the answer leaves.
        opportunity: What was decided on.
        vector: The interest vector that was used, None if the decision ended before it.
        notes: The story of the decision, only where the request asked for it.
    """

    job_id: int
    bid: Bid | None
    reason: str
    steps: Sequence[StepTaken]
    record: bytes
    opportunity: Opportunity
    vector: NDArray[np.float32] | None = None
    notes: Mapping[str, object] | None = None
    offer: Offer | None = None


class Feedback(msgspec.Struct, frozen=True, gc=False):
    """What became of a bid of ours, with what a learner needs of it (published in the cell).

    Attributes:
        kind: ``win``, ``loss``, ``impression``, ``click`` or ``conversion``.
        key: The bid.
        candidate: The ad.
        opportunity: The impression.
        vector: The interest vector of the decision.
        bid_micros: What we offered.
        price_micros: The clearing price (for a loss: what would have won), None if unknown.
    """

    kind: str
    key: str
    candidate: Candidate
    opportunity: Opportunity
    vector: NDArray[np.float32]
    bid_micros: int
    price_micros: int | None = None


class Offered(msgspec.Struct, frozen=True, gc=False):
    """A bid of ours is about to leave (published in the cell)."""

    key: str
    candidate: Candidate
    opportunity: Opportunity
    vector: NDArray[np.float32]
    bid_micros: int


class Heard(msgspec.Struct, frozen=True, gc=False):
    """An event that another bidder of this node received (published in the cell)."""

    event: Event


class Exposed(msgspec.Struct, frozen=True, gc=False):
    """A user has seen an ad of ours (published in the cell, once or more often for each bid).

    Attributes:
        key: The bid.
        user: Keyed hash of the user.
        campaign_id: Whose ad.
        creative_id: The ad.
        unix_s: When we heard of it, seconds since 1970.
        first_hand: This bidder heard it; otherwise a sibling did, and keeps it.
    """

    key: str
    user: str
    campaign_id: str
    creative_id: str
    unix_s: float
    first_hand: bool = True


class Recall(msgspec.Struct, frozen=True, gc=False):
    """Ask the exposure store for views that may still count, some at a time.

    ``after_row`` is 0 at first, then ``Recalled.row`` of the answer before.
    """

    after_row: int = 0


class Recalled(msgspec.Struct, frozen=True, gc=False):
    """Some of the views that were asked for.

    Attributes:
        views: In no particular order.
        row: Where to go on.
        is_last: There are no more.
        is_known: False where nobody knows, because the disk does not work.
    """

    views: tuple[Exposed, ...]
    row: int
    is_last: bool
    is_known: bool = True
