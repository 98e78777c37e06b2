"""What does it take to win? The price to beat, learnt from auctions of which only wins reveal it.

`survival` is the arithmetic, `learner` fits a contextual model, `logs` reads recorded auctions and
`evaluation` measures bids that are shaded by it beside simple rules.
"""
