"""Who the user is, and what the user has seen.

``agent`` knows interests, ``exposures`` what was seen, ``default_vectors`` stand for strangers.
"""
