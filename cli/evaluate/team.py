"""``bidwright evaluate team``: what the learned agents earn beside the rules in their place."""

from __future__ import annotations

from typing import Any

import click

from cli.output import dollars, emit, output_option, print_table, say

_DEMO_REQUESTS = 1_200


@click.command()
@click.option(
    "--requests",
    type=click.IntRange(min=20, max=1_000_000),
    default=6_000,
    show_default=True,
    help="Bid requests of a run.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1, max=100),
    default=3,
    show_default=True,
    help="Runs, each with people, traffic and luck of its own.",
)
@click.option(
    "--quick", is_flag=True, help="Only the learned team and the rules, not what is in between."
)
@output_option
def team(requests: int, seeds: int, output: str, *, quick: bool) -> None:
    """Play the same traffic against whole bidders with and without their learned agents.

    Each is a bidder as it is served, in virtual time; where an agent is left out, the bidder's own
    fallback answers. The reward is the true worth of what was won less its price. The interval is
    of the difference by request, and takes the requests of one user as one.
    """
    from actors.rehearsal.team import TEAMS, TeamSettings, evaluate_team

    teams = tuple(TEAMS)
    how = TeamSettings(
        requests=requests,
        seeds=tuple(range(1, seeds + 1)),
        teams=(teams[0], teams[-1]) if quick else teams,
    )
    report = evaluate_team(how, say)
    emit(_plain(report), output, print_teams)


def learning() -> dict[str, Any]:
    """Return the short comparison that the demo shows."""
    from actors.rehearsal.team import TEAMS, TeamSettings, evaluate_team

    teams = tuple(TEAMS)
    how = TeamSettings(requests=_DEMO_REQUESTS, seeds=(1,), teams=(teams[0], teams[-1]))
    return _plain(evaluate_team(how))


def print_teams(found: dict[str, Any], *, campaigns: bool = True) -> None:
    """Print the tables of a report.

    Args:
        found: The report, as plain data.
        campaigns: Also each campaign by itself.
    """
    headings = ("budgets", "team", "won", "clicks", "spent", "reward", "the learned team earns")
    print_table(headings, (_team_cells(row) for row in found["teams"]))
    if campaigns:
        print_table(
            ("campaign", "budget", "spent by learned, rules", "reward", "the learned team earns"),
            (_campaign_cells(row) for row in found["campaigns"] if row["learned_spent"]),
        )


def _team_cells(row: dict[str, Any]) -> tuple[object, ...]:
    gain = row["learned_gain"]
    more = "" if gain["low"] == gain["high"] == 0.0 else _gain(gain)
    money = (dollars(round(row["spent"], -4)), dollars(round(row["reward"], -4)))
    return (row["budgets"], row["team"], row["wins"], row["clicks"], *money, more)


def _campaign_cells(row: dict[str, Any]) -> tuple[object, ...]:
    spent = " / ".join(_cents(row[f"{team}_spent"]) for team in ("learned", "rules"))
    reward = " / ".join(_cents(row[f"{team}_reward"]) for team in ("learned", "rules"))
    return (row["campaign"], _cents(row["budget"]), spent, reward, _gain(row["learned_gain"]))


def _cents(micros: float) -> str:
    return f"${micros / 1e6:,.3f}"


def _gain(interval: dict[str, float]) -> str:
    """Return a difference for a thousand requests, in dollars."""
    mean, low, high = (interval[name] / 1e6 for name in ("mean", "low", "high"))
    return f"${mean:+.3f} [{low:+.3f}, {high:+.3f}] per 1,000 requests"


def _plain(report: object) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(report, enc_hook=float)
    return plain
