"""``bidwright reproduce``: the tables of results, made again.

Principle: a table is an ``evaluate`` command with its arguments, and what it says is read out of
that command's own JSON. Nothing is measured here, so no number can be made in a second way.
"""
