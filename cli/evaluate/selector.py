"""``bidwright evaluate selector``: what choices of ads are worth, told from logs of decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import InvalidInputError
from cli.output import emit, output_option, print_facts, print_table, say


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="A log of decisions (Parquet, CSV, TSV, JSON lines), a folder of such, or Open Bandit's.",
)
@click.option("--action", default="", help="Column of actions, if its name is unusual.")
@click.option("--reward", default="", help="Column of rewards, if its name is unusual.")
@click.option("--propensity", default="", help="Column of logged chances; even if there is none.")
@click.option("--context", default="", help="Columns of context, by commas; by default all others.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@output_option
def selector(data: Path, seed: int, output: str, **names: str) -> None:
    """Tell what policies would earn, from decisions that chance made.

    On a log with context, action, propensity and reward, bandits learn as the log goes on; their
    value stands beside the best fixed arm and chance, with 95 % intervals. In Open Bandit's folder
    the value of Bernoulli Thompson sampling is estimated from the log of chance.
    """
    import msgspec

    from models.errors import ModelError
    from models.offpolicy.columns import Names
    from models.offpolicy.evaluation import evaluate_selector

    context = tuple(name.strip() for name in names.pop("context").split(",") if name.strip())
    say("reading and playing the log ...")
    try:
        found = evaluate_selector(data, seed, Names(**names, context=context))
    except ModelError as error:
        raise InvalidInputError(str(error)) from error
    emit(msgspec.to_builtins(found, enc_hook=float), output, _print)


def _print(found: dict[str, Any]) -> None:
    for campaign in found["campaigns"]:
        _print_campaign(campaign)
    for log in found["logs"]:
        _print_log(log)


def _print_campaign(campaign: dict[str, Any]) -> None:
    published = campaign["published"]
    facts = [
        ("campaign", campaign["campaign"]),
        ("chance earns", f"{campaign['random']:.4f}"),
        ("the policy, published", "unknown" if published is None else f"{published:.4f}"),
        ("effective sample", _gate(campaign["gate"])),
    ]
    print_facts(facts)
    headings = ("estimator", "value", "relative error", "holds the truth", "setting")
    print_table(headings, (_estimate_cells(row) for row in campaign["estimates"]))


def _estimate_cells(row: dict[str, Any]) -> tuple[object, ...]:
    error, setting = row["relative_error"], row["setting"]
    told = "" if error is None else f"{error:.2f}"
    covers = {True: "yes", False: "no", None: ""}[row["covers"]]
    chosen = "" if setting is None else f"{setting:g}"
    return (row["estimator"], _interval(row["value"]), told, covers, chosen)


def _print_log(log: dict[str, Any]) -> None:
    columns = ", ".join(f"{role} = {name}" for role, name in log["columns"].items())
    facts = [
        ("log", log["log"]),
        ("decisions", f"{log['decisions']:,}, of which {log['valued']:,} are valued"),
        ("arms", log["arms"]),
        ("columns", columns),
        ("gate follows context in", f"{log['followed']:.0%} of decisions"),
    ]
    print_facts(facts)
    headings = (
        "policy",
        "value (SNIPS)",
        "value (DR)",
        "over best fixed arm",
        "effective sample",
        "by rejection",
    )
    print_table(headings, (_policy_cells(row) for row in log["policies"]))


def _policy_cells(row: dict[str, Any]) -> tuple[object, ...]:
    values = (_interval(row["value"]), _interval(row["doubly_robust"]))
    replayed = row["replayed"]
    played = "" if replayed is None else f"{_interval(replayed)} of {row['accepted']:,}"
    return (row["policy"], *values, _interval(row["over_fixed"]), _gate(row["gate"]), played)


def _gate(gate: dict[str, Any]) -> str:
    return f"{gate['sample']:,.0f} ({'enough' if gate['passed'] else 'too few'})"


def _interval(interval: dict[str, float]) -> str:
    return f"{interval['mean']:.4g} [{interval['low']:.4g}, {interval['high']:.4g}]"
