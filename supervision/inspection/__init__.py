"""Looking in: the tree as data, events, the dead, an actor's own account, and operators' orders."""
