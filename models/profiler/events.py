"""The vocabulary of user events: what was done (view, click, conversion) x 26 content categories.

A history is a list of tokens, oldest first. 0 pads. Nothing here needs numpy or torch, so an agent
can keep histories without loading either.
"""

from __future__ import annotations

from typing import Final, Literal

from models.opportunity import CATEGORY_COUNT

EventKind = Literal["view", "click", "conversion"]

KINDS: Final[tuple[EventKind, ...]] = ("view", "click", "conversion")

#: Token of "no event".
PAD: Final = 0

#: Number of tokens, padding included.
VOCABULARY: Final = 1 + len(KINDS) * CATEGORY_COUNT

#: Events that the model looks at; older ones are forgotten.
MAX_EVENTS: Final = 20

#: Length of a user's vector.
VECTOR_DIM: Final = 16


def token(kind: EventKind, category: int) -> int:
    """Return the token of an event.

    Args:
        kind: What the user did.
        category: Index of the content category, 0..25.

    Raises:
        ValueError: The category is out of range.
    """
    if not 0 <= category < CATEGORY_COUNT:
        raise ValueError(f"category must be 0..{CATEGORY_COUNT - 1}, not {category}")
    return 1 + KINDS.index(kind) * CATEGORY_COUNT + category


def category_of(event: int) -> int:
    """Return the category index of a token other than padding."""
    return (event - 1) % CATEGORY_COUNT


def kind_of(event: int) -> EventKind:
    """Return what the user did in a token other than padding."""
    return KINDS[(event - 1) // CATEGORY_COUNT]
