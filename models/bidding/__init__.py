"""Published bidding rules beside each other: what a campaign bids under a budget, and why."""
