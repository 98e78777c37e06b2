"""A whole bidder in one cell, in virtual time: to try traffic on it before it is served.

Principle: nothing of the bidder is made up. Its tree, agents, models, ledger and logs are those of
a node; only sockets, clocks and the machine's processes are replaced by ones in memory. So what is
measured here is what a node would have done, and the same seed gives the same run.
"""
