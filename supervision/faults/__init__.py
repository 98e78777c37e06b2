"""Faults on purpose in a running node; each has its time limit and leaves nothing broken."""
