"""``bidwright evaluate``: measure what was built beside its baselines, on data of one's own."""

from __future__ import annotations

from cli.lazy import Home, LazyGroup

HELP = """Measure a part of the bidder beside its baselines.

Each command prints a table, or JSON with `-o json`. Data is read only, and never sent anywhere.
"""

COMMANDS = {
    "profiler": Home(
        "cli.evaluate.profiler:profiler", "Which model foretells the next item of a session best?"
    ),
    "shading": Home(
        "cli.evaluate.shading:shading", "What wins a first-price auction, and what is it worth?"
    ),
    "pacing": Home("cli.evaluate.pacing:pacing", "Does spend follow its plan, and what is bought?"),
    "team": Home("cli.evaluate.team:team", "Do the learned agents earn more than the rules?"),
    "arena": Home(
        "cli.evaluate.arena:arena", "Is the market of many advertisers like recorded logs?"
    ),
    "bidding": Home("cli.evaluate.bidding:bidding", "Which bidding rule buys most under a budget?"),
    "fraud": Home("cli.evaluate.fraud:fraud", "Are scores of invalid traffic honest chances?"),
    "selector": Home(
        "cli.evaluate.selector:selector", "What are choices of ads worth, told from logs?"
    ),
}

evaluate = LazyGroup("evaluate", COMMANDS, HELP)
