"""The ways from a cell to other processes: ledger and inference."""
