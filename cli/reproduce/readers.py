"""What the tables say, read out of the JSON of the commands that make them.

Published numbers stand here with their source, beside the number that they are to be held against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.reproduce.rows import Goal, Row, by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.reproduce.rows import Found

_MICROS: Final = 1e6


def team_rows(found: Found) -> list[Row]:
    """Each team beside the learned one: reward in dollars."""
    rows = []
    for budgets in dict.fromkeys(row["budgets"] for row in found["teams"]):
        of_all = [row for row in found["teams"] if row["budgets"] == budgets]
        learned = of_all[0]["reward"] / _MICROS
        for row in of_all[1:]:
            gain = {name: value / _MICROS for name, value in row["learned_gain"].items()}
            what = f"{budgets} budgets, gain over {row['team']}, $ per 1,000 requests"
            goal = Goal(0.0) if row["team"] == "rules" else None
            rows.append(Row(what, gain["mean"], gain["low"], gain["high"], goal=goal))
        rules = of_all[-1]["reward"] / _MICROS
        rows.append(Row(f"{budgets} budgets, reward, $", learned, baseline=rules, simple="rules"))
        over = max(row["overspent"] for row in of_all)
        what = f"{budgets} budgets, campaigns above their budget"
        rows.append(Row(what, over, goal=Goal(0.0, "below")))
    return rows


def bidding_rows(found: Found) -> list[Row]:
    """Clicks of the best rule on each log, summed over budgets."""
    aims = {"2997": 1_035.0, "1458 sam": 120.0, "1458 multiexchange": 160.0}
    anchors = {"2997": "RLB 1,021 (Cai et al., WSDM 2017; han-cai/rlb-dp)"}
    rows = []
    for log in dict.fromkeys(row["log"] for row in found["rules"]):
        of_log = [row for row in found["rules"] if row["log"] == log]
        ours, lin = of_log[-1], by(of_log, rule="lin")
        key = next((name for name in aims if _matches(name, log)), None)
        goal = None if key is None else Goal(aims[key])
        anchor = anchors.get(key or "", "")
        what = f"{log}: clicks of {ours['rule']}"
        rows.append(Row(what, ours["clicks"], None, None, lin["clicks"], "lin", anchor, goal))
        gain = ours["more_than_lin"]
        what = f"{log}: clicks of {ours['rule']} more than lin, paired"
        rows.append(Row(what, gain["mean"], gain["low"], gain["high"]))
        rows.append(Row(f"{log}: spent of the budget", ours["spent"], goal=Goal(0.99)))
    return rows


def _matches(name: str, log: str) -> bool:
    return all(part in log.replace("_", " ") for part in name.split())


def shading_rows(found: Found) -> list[Row]:
    """Fit of the price model, and its share of the oracle's surplus."""
    plain, model = found["fits"][0], found["fits"][-1]
    log = found["log"]
    is_dlf = "2259" in log
    rows = [
        Row(
            f"{log}: ANLP of {model['model']}",
            model["anlp"],
            baseline=plain["anlp"],
            simple=plain["model"],
            anchor="Kaplan-Meier 5.66, uncensored histogram 5.47 (measured on this log)"
            if is_dlf
            else "",
            goal=Goal(5.40, "below") if is_dlf else None,
        )
    ]
    gain = model["beats_kaplan_meier"]
    what = f"{log}: log-loss of winning below Kaplan-Meier"
    rows.append(Row(what, gain["mean"], gain["low"], gain["high"], goal=Goal(0.0)))
    ours = by(found["shading"], rule=model["model"])
    others = [row for row in found["shading"] if row["rule"] not in (model["model"], "oracle")]
    best = max(others, key=lambda row: row["mean"], default=None)
    rows.append(
        Row(
            f"{log}: share of the oracle's surplus, {ours['rule']}",
            ours["mean"],
            baseline=None if best is None else best["mean"],
            simple="" if best is None else best["rule"],
            goal=Goal(0.62 if is_dlf else 0.63),
        )
    )
    return rows


def pacing_rows(found: Found) -> list[Row]:
    """How far from its plan, and where the day ends."""
    served = [row for row in found["days"] if row["plan"] == "traffic"]
    rows = []
    for row in served:
        if row["rule"] != "pid":
            continue
        unpaced = by(served, rule="unpaced", budget=row["budget"])
        worst, bare = (max(each["worst_off_plan"].values()) for each in (row, unpaced))
        what = f"day at {row['budget']}: worst distance from plan from the second hour on"
        rows.append(Row(what, worst, None, None, bare, "unpaced", "", Goal(0.05, "below")))
        what = f"day at {row['budget']}: least and most spent of the budget"
        ends = (row["least_spent"], row["most_spent"])
        rows.append(Row(what, sum(ends) / 2.0, *ends, goal=Goal(0.99)))
    return rows


#: By data set: goals of the hit rate and of the rank metric, and what was published.
_RANKINGS: Final = {
    "diginetica": (0.535, 0.188, "NARM .4970/.1617, GCE-GNN .5422/.1904 (Wang et al., SIGIR 2020)"),
    "yoochoose1_64": (0.71, 0.31, "NARM .6832/.2863, SR-GNN .7057/.3094 (Wu et al., AAAI 2019)"),
    "amazon_beauty": (0.080, 0.042, "SASRec .0605/.0318 (table of RUCAIBox/CIKM2020-S3Rec)"),
}


def profiler_rows(found: Found) -> list[Row]:
    """Hit rate and rank metric of the model, beside V-SKNN."""
    of_users = found["kind"] == "users"
    cut, first = found["cut"], found["rows"]
    names = (("hit", f"HR@{cut}"), ("ndcg", f"NDCG@{cut}"))
    names = names if of_users else (("hit", f"P@{cut}"), ("mrr", f"MRR@{cut}"))
    hit, rank, anchor = _RANKINGS.get(found["log"], (None, None, ""))
    ours, plain = first[-1], by(first, model="V-SKNN")
    rows = []
    for (key, name), goal in zip(names, (hit, rank), strict=True):
        each, simple = ours["ranking"][key], plain["ranking"][key]["mean"]
        what = f"{found['log']}: {name} of {ours['model']}"
        wanted = None if goal is None else Goal(goal)
        low, high = each["low"], each["high"]
        rows.append(Row(what, each["mean"], low, high, simple, plain["model"], anchor, wanted))
    return rows


def selector_rows(found: Found) -> list[Row]:
    """What DRos says of the published policy from the log of chance, and all of other logs."""
    rows = []
    source = "published over the whole log (Saito et al., Open Bandit Dataset, 2021)"
    for campaign in found["campaigns"]:
        name, truth = campaign["campaign"], campaign["published"]
        estimate = by(campaign["estimates"], estimator="DRos")
        value = estimate["value"]
        anchor = "" if truth is None else f"{truth:.4f} {source}"
        what = f"{name}: clicks a decision of the policy, by DRos"
        mean, low, high = (value[end] for end in ("mean", "low", "high"))
        rows.append(Row(what, mean, low, high, campaign["random"], "chance", anchor))
        if truth is not None:
            covers = float(estimate["covers"])
            rows.append(Row(f"{name}: the interval holds the truth", covers, goal=Goal(1.0)))
            error, goal = estimate["relative_error"], Goal(0.20, "below")
            plain = by(campaign["estimates"], estimator="IPS")["relative_error"]
            rows.append(
                Row(f"{name}: relative error", error, baseline=plain, simple="IPS", goal=goal)
            )
    return rows + every_interval({"log": found["logs"]})


def arena_rows(found: Found) -> list[Row]:
    """How far recorded and simulated auctions are apart, and what each kind of bidder earns."""
    rows = []
    for row in found["replay"]:
        for what in ("clicks", "spend"):
            apart = abs(row["apart"][what])
            name = f"{row['log']}, {row['rule']}, fitted to {row['fitted_to']}: {what} apart"
            rows.append(Row(name, apart, goal=Goal(0.05, "below")))
    return rows + every_interval({"field": found["field"]})


def every_interval(found: Found) -> list[Row]:
    """All means with an interval that a command told, named by the words beside them."""
    return [
        Row(name, each["mean"], each["low"], each["high"]) for name, each in _intervals(found, "")
    ]


def _intervals(found: object, name: str) -> Iterator[tuple[str, Found]]:
    """Yield the intervals in plain data, each with its place."""
    if isinstance(found, list):
        for each in found:
            yield from _intervals(each, name)
    elif isinstance(found, dict) and {"mean", "low", "high"} <= set(found):
        yield name, found
    elif isinstance(found, dict):
        words = [each for each in found.values() if isinstance(each, str)]
        place = ", ".join(part for part in (name, *words) if part)
        for key, each in found.items():
            yield from _intervals(each, f"{place}: {key}" if place else key)
