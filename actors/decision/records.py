"""The decision log's entry of one impression, made from the finished decision.

Principle: what is logged is what was decided on, taken from the decision itself, with everything a
learner needs (propensity, vector, versions) and nothing that names a person: users appear only as a
keyed hash.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from actors.decision.reasons import nbr_of
from actors.reading.floors import floor_of_ad
from models.opportunity import category_code
from transport.messages import DecisionRecord

if TYPE_CHECKING:
    from actors.decision.machine import Decision

_USER_HASH_BYTES = 8
_SALT_BYTES = 32


def user_hash(user_id: str, salt: bytes) -> str:
    """Return a name for a user that only holders of ``salt`` can connect with the id; "" for ""."""
    if not user_id:
        return ""
    return hashlib.blake2b(user_id.encode(), digest_size=_USER_HASH_BYTES, key=salt).hexdigest()


def user_salt(secret: bytes) -> bytes:
    """Return the key of a node's user hashes, from its secret."""
    return secret[:_SALT_BYTES]


def record_of(decision: Decision, bidder: str, unix_s: float, salt: bytes) -> DecisionRecord:
    """Describe a finished decision.

    Args:
        decision: With an outcome.
        bidder: Name of the deciding bidder.
        unix_s: When the request came, seconds since 1970.
        salt: Key of the user hash, at most 64 bytes.
    """
    opportunity = decision.opportunity
    candidate = decision.candidate
    bid = decision.bid
    category = opportunity.category
    vector = decision.vector
    return DecisionRecord(
        opportunity.request_id,
        opportunity.imp_id,
        unix_s,
        bidder,
        "nobid" if bid is None else "bid",
        decision.reason,
        nbr_of(decision.reason) if bid is None else None,
        candidate.campaign.id if candidate is not None else "",
        candidate.creative.id if candidate is not None else "",
        decision.bid_micros,
        opportunity.floor_micros if candidate is None else floor_of_ad(opportunity, candidate),
        decision.propensity,
        decision.predicted_ctr,
        decision.expected_value_micros,
        decision.key if bid is not None else "",
        decision.lease_id,
        () if vector is None else tuple(vector.tolist()),
        tuple(decision.reports),
        decision.versions,
        opportunity.country,
        opportunity.device_kind,
        "" if category is None else category_code(category),
        user_hash(opportunity.user_id, salt),
        deal_id="" if opportunity.deal is None else opportunity.deal.id,
        currency=opportunity.currency,
        quantity=opportunity.quantity,
        test=opportunity.test,
        pace=decision.pace,
        shaded_by_micros=_shaded_by_micros(decision),
        shading_control=decision.shading_control,
    )


def _shaded_by_micros(decision: Decision) -> int:
    """Return by how much a bid was lowered; a deal may have raised it again."""
    if not decision.bid_micros:
        return 0
    return max(0, decision.unshaded_micros - decision.bid_micros)
