"""Codes of categories, in whichever taxonomy they are written.

Principle: a code means something only within its taxonomy (OpenRTB 2.6, ``cattax``; AdCOM 1.0,
list "Category Taxonomies"), so a code of any other than the first carries the taxonomy's number
with it. Codes of different taxonomies are never compared. The tables that the IAB publishes from
one to another are many to one (cocktails and beer of Content 1.0 become spirits of Ad Product 2.0),
so a block of beer would not be seen through them: what an ad is in a taxonomy, its owner says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from config.campaigns import Campaign

#: IAB Content Category Taxonomy 1.0, which is meant where nothing else is said.
CONTENT_1_0: Final = 1

_NONE: Final[frozenset[str]] = frozenset()


def with_parents(taxonomy: int, code: str) -> tuple[str, ...]:
    """Return a code and what it is part of, the code first.

    Only the first taxonomy shows the parent in its codes (``IAB8-5`` is in ``IAB8``). In the
    others a code stands for itself, so whoever writes them lists parents as well.

    Args:
        taxonomy: AdCOM's number.
        code: As written in that taxonomy.
    """
    if taxonomy != CONTENT_1_0 or "-" not in code:
        return (code,)
    return (code, code.partition("-")[0])


def label(taxonomy: int, code: str) -> str:
    """Return the one name of a code among all taxonomies: ``IAB8-5``, ``8:1006``."""
    return code if taxonomy == CONTENT_1_0 else f"{taxonomy}:{code}"


def labels(taxonomy: int, codes: frozenset[str]) -> frozenset[str]:
    """Return the names of some codes of one taxonomy."""
    if taxonomy == CONTENT_1_0 or not codes:
        return codes
    return _labelled(taxonomy, codes)


@lru_cache(maxsize=4096)
def _labelled(taxonomy: int, codes: frozenset[str]) -> frozenset[str]:
    """Write the names; publishers repeat their lists, so they are kept."""
    return frozenset(label(taxonomy, code) for code in codes)


def codes_of(campaign: Campaign) -> frozenset[str]:
    """Return the names of all that a campaign's ads are about, parents included."""
    return _closed(CONTENT_1_0, campaign.categories).union(
        *(_closed(taxonomy, codes) for taxonomy, codes in campaign.categories_in.items())
    )


def taxonomies_of(campaign: Campaign) -> frozenset[int]:
    """Return the taxonomies in which a campaign says what its ads are about."""
    named = {taxonomy for taxonomy, codes in campaign.categories_in.items() if codes}
    return frozenset(named | {CONTENT_1_0}) if campaign.categories else frozenset(named)


def content_of(
    first: Iterable[str], others: dict[int, tuple[str, ...]]
) -> frozenset[tuple[int, str]]:
    """Return page categories that a campaign names, as (taxonomy, code) and without parents.

    Args:
        first: Codes of the first taxonomy.
        others: Codes of others, by AdCOM's number.
    """
    named = {(CONTENT_1_0, code) for code in first}
    named.update((taxonomy, code) for taxonomy, codes in others.items() for code in codes)
    return frozenset(named)


def _closed(taxonomy: int, codes: Iterable[str]) -> frozenset[str]:
    found = {label(taxonomy, part) for code in codes for part in with_parents(taxonomy, code)}
    return frozenset(found) if found else _NONE
