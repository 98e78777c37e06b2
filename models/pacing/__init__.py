"""How fast may a campaign spend? What it should have spent by now, and what its bids answer to it.

`plan` says which share of a budget belongs before which moment. A controller (`controllers`) moves
one number, the *level*: the logarithm of a multiplier of all values of the campaign. `pacer` joins
the two: from what was spent by when to the multiplier. `goals` holds what a conversion may cost.
All pure: numbers in, numbers out.
"""
