"""What can go wrong with the ledger, typed by who must act."""

from __future__ import annotations


class LedgerError(Exception):
    """Base of all errors of this package."""


class LedgerStoreError(LedgerError):
    """The database can't be opened, read or written: the operator must act."""


class LedgerSchemaError(LedgerStoreError):
    """The database was written by a newer Bidwright: upgrade this one, or restore a backup."""


class LedgerFencedError(LedgerError):
    """Another ledger has taken the database over; this one must end without answering."""
