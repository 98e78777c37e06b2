"""The money of a bidder: what it may promise, and the agent that answers for it.

``wallet`` holds the rules, ``holdings`` what a wallet consists of, ``manager`` the actor around.
"""
