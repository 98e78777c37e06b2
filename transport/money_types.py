"""Kinds of values in messages of money: bounded, so that no message can hold nonsense."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Micros: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000_000)]
PositiveMicros: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000_000)]
# PostgreSQL keeps no NUL in a text: a name with one would make the ledger's whole burst fail, again
# and again.
Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
SignedMicros: TypeAlias = Annotated[
    int, msgspec.Meta(ge=-1_000_000_000_000_000, le=1_000_000_000_000_000)
]
#: Why an operator did it, for those who read the journal later.
Reason: TypeAlias = Annotated[str, msgspec.Meta(max_length=512)]
#: May be empty: a notice whose lease nobody remembers.
MaybeId: TypeAlias = Annotated[str, msgspec.Meta(max_length=512, pattern=r"^[^\x00]*$")]

#: What values are multiplied with; finite, so that no arithmetic with it can go astray.
Multiplier: TypeAlias = Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]

SettleStatus: TypeAlias = Literal["settled", "late", "unfunded", "unknown_lease", "over_bid"]
DenyReason: TypeAlias = Literal[
    "unknown_campaign", "inactive", "exhausted", "day_spent", "all_leased", "stale"
]
