"""``bidwright top``: the whole node on one screen, redrawn each second, and steered by keys.

``poll`` asks, ``rows`` turns answers into rows, ``app`` and ``screens`` show them. The first two
know nothing of a screen; textual is imported by the others only.
"""
