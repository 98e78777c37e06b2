"""What can go wrong with the money of a bidder."""

from __future__ import annotations


class BudgetError(Exception):
    """Base of all errors of this package."""


class JournalError(BudgetError):
    """What a wallet held can't be made out again: begin an empty one under a new name.

    The ledger keeps what the old one had promised blocked until its windows are over.
    """
