"""Our part of an experiment: the node it needs, the traffic that plays, what may go wrong.

The Chaos Toolkit's format keeps a place for that: ``extensions``, a list of blocks with a name.
What a file does not say has a default, so an experiment without our block runs, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cli.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENSION = "bidwright"


class Allow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the experiment says may happen; nothing of it does by default.

    Attributes:
        unanswered: Requests that nobody answered within the exchange's patience.
        event_errors: Wins, clicks and the like that were never acknowledged.
        escalations: Supervisors that gave up.
        rebuilds: Times that the whole tree was built anew.
        whole_within_s: How long after the end of the method the tree may need to be whole.
    """

    unanswered: int = 0
    event_errors: int = 0
    escalations: int = 0
    rebuilds: int = 0
    whole_within_s: float = 20.0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an experiment is run.

    Attributes:
        bidders: Of the node that is started for it.
        settings: More settings of that node, by dotted name.
        own_node: It can be run only on a node that was started for it.
        fresh: That node is used for nothing else before or after.
        copied_weights: That node reads its models from a copy that may be spoilt.
        rate: Requests a second that the exchange sends.
        patience_s: After this time an unanswered request is given up.
        blast_radius: Parts of the tree that may be hurt at one time.
        hypothesis: ``continuously`` checks it during the method, too.
        allow: What may happen.
    """

    name: str = EXTENSION
    bidders: int = 2
    settings: dict[str, Any] = {}
    own_node: bool = False
    fresh: bool = False
    copied_weights: bool = False
    rate: float = 80.0
    patience_s: float = 20.0
    blast_radius: int = 1
    hypothesis: Literal["default", "continuously"] = "default"
    allow: Allow = Allow()


def plan_of(experiment: Mapping[str, Any]) -> Plan:
    """Return our block of an experiment, or the defaults.

    Raises:
        InvalidInputError: The block says what it may not say.
    """
    blocks = experiment.get("extensions") or ()
    for block in blocks:
        if isinstance(block, dict) and block.get("name") == EXTENSION:
            try:
                return msgspec.convert(block, Plan)
            except msgspec.ValidationError as error:
                title = experiment.get("title", "experiment")
                raise InvalidInputError(
                    f"{title!r}, extension {EXTENSION!r}: {error}; docs/CHAOS.md lists its fields"
                ) from error
    return Plan()
