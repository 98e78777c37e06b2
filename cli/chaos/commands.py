"""``bidwright chaos``: hurt a node on purpose, and see that it takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.chaos.series import (
    Series,
    as_list,
    foreign_node,
    only_one,
    prune,
)
from cli.exits import Exit
from cli.node import Node, node_options, set_option
from cli.numbers import FiniteRange
from cli.output import emit, output_option, print_facts, print_table, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.chaos.catalogue import Experiment

_SEED = 7
_RESULT_HEADINGS = (
    "experiment", "verdict", "requests", "unanswered", "late", "fallbacks", "restarts",
    "noticed", "whole again",
)  # fmt: skip
_SPARE = ("fallbacks", "noticed", "restarts", "late")
_seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=_SEED, show_default=True, help="Of every choice."
)
_yes_option = click.option(
    "--yes", is_flag=True, help="Hurt the node that runs on the data folder."
)
_report_option = click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML report, too."
)


@click.group()
def chaos() -> None:
    """Experiments that hurt a node on purpose while an exchange plays.

    With no node running on the data folder, one is started for the experiment and taken down
    after it. Exit codes: 0 it held, 3 a weakness was found, 4 the run proves nothing, 6 the node
    was started by somebody else and --yes is missing.
    """


@chaos.command(name="list")
@output_option
def list_(output: str) -> None:
    """List the experiments that come with Bidwright."""
    from cli.chaos.catalogue import shipped

    emit([_entry(experiment) for experiment in shipped()], output, _print_list)


def _entry(experiment: Experiment) -> dict[str, Any]:
    from cli.chaos.catalogue import steps

    content = experiment.content
    return {
        "name": experiment.name,
        "title": content.get("title"),
        "tags": content.get("tags", []),
        "faults": [step._asdict() for step in steps(content)],
        "blast_radius": experiment.plan.blast_radius,
        "own_node": experiment.plan.own_node,
        "file": str(experiment.path),
    }


def _print_list(entries: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            entry["name"],
            ", ".join(dict.fromkeys(fault["what"] for fault in entry["faults"])),
            ", ".join(dict.fromkeys(fault["whom"] for fault in entry["faults"])),
            entry["title"],
        )
        for entry in entries
    ]
    print_table(("experiment", "fault", "whom", "what it shows"), rows, spare=("whom",))


@chaos.command()
@click.argument("name")
@output_option
def show(name: str, output: str) -> None:
    """Show one experiment: NAME is one of `chaos list`, or a file."""
    from cli.chaos.catalogue import find

    experiment = find(name)
    emit(experiment.content, output, lambda _: _print_experiment(experiment))


def _print_experiment(experiment: Experiment) -> None:
    from cli.chaos.catalogue import steps

    content, plan = experiment.content, experiment.plan
    hypothesis = content.get("steady-state-hypothesis") or {}
    click.echo(f"{experiment.name}: {content.get('title')}\n\n{content.get('description')}\n")
    print_facts(
        [
            ("tags", ", ".join(content.get("tags", ()))),
            ("node", f"{plan.bidders} bidders{', its own' if plan.own_node else ''}"),
            ("traffic", f"{plan.rate:g} requests/s"),
            ("blast radius", plan.blast_radius),
            ("file", experiment.path),
        ]
    )
    click.echo(f"\nhypothesis: {hypothesis.get('title', 'none')}")
    probes = hypothesis.get("probes") or ()
    print_table(("probe", "tolerance"), [(each["name"], _tolerance(each)) for each in probes])
    click.echo("\nmethod")
    print_table(("fault", "whom", "how many", "ends after s"), steps(content))
    rollbacks = ", ".join(str(each.get("name")) for each in content.get("rollbacks") or ())
    click.echo(f"\nrollbacks: {rollbacks or 'none'}")


def _tolerance(probe: dict[str, Any]) -> str:
    tolerance = probe.get("tolerance")
    if isinstance(tolerance, dict) and "range" in tolerance:
        low, high = tolerance["range"]
        return f"{low} to {high}"
    return str(tolerance)


@chaos.command()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Run all that come with Bidwright.")
@_seed_option
@_yes_option
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    help="Where the journal goes: a file (.json), or a folder for several.",
)
@_report_option
@set_option
@output_option
@node_options
@click.pass_context
def run(context: click.Context, /, node: Node, output: str, **options: Any) -> None:
    """Run experiments: NAMES of `chaos list`, or files in the Chaos Toolkit's format.

    --set reaches the node that is started for them: with --set defences.heartbeats=false a hung
    process is not found, and an experiment that hangs one must find that.
    """
    from cli.chaos.verdict import overall

    experiments = _wanted(options["names"], every=options["every"])
    target = foreign_node(node, options["assignments"], yes=options["yes"])
    folder = node.paths().data_dir / "chaos"
    journals = options["journal"] or folder
    results, files, outcomes, interrupted = [], [], [], False
    with only_one(folder):
        series = Series(node, options["assignments"], options["seed"], journals, say, target)
        for done, file in series.run(experiments):
            verdict = done.verdict
            say(f"{done.name}: {verdict.outcome.value}: {verdict.why}")
            results.append({**done.result(), "journal": str(file)})
            files.append(file)
            outcomes.append(verdict.outcome)
            interrupted = done.interrupted
        prune(folder)
    if options["report"] is not None:
        _write_report(files, options["report"])
    whole = overall(outcomes)
    one = len(experiments) == 1 and not options["every"]
    emit(results[0] if one else as_list(results, whole), output, _print_results)
    context.exit(Exit.INTERRUPTED if interrupted else whole.exit_code)


def _wanted(names: Sequence[str], *, every: bool) -> list[Experiment]:
    """Return the experiments to run, all of them valid."""
    from cli.chaos.catalogue import find, shipped
    from cli.chaos.engine import require_toolkit

    if every == bool(names):
        raise click.UsageError("say which experiments to run: NAMES, or --all for those shipped")
    require_toolkit()
    from cli.chaos import toolkit

    experiments = shipped() if every else [find(name) for name in names]
    for experiment in experiments:
        toolkit.validate(experiment)
    return experiments


def _print_results(result: dict[str, Any]) -> None:
    results = result.get("experiments", [result])
    rows = [
        (
            each["experiment"],
            each["verdict"],
            each.get("requests"),
            each.get("unanswered"),
            each.get("late"),
            each.get("fallbacks"),
            each.get("restarts"),
            _seconds(each.get("detect_s")),
            _seconds(each.get("recover_s")),
        )
        for each in results
    ]
    print_table(_RESULT_HEADINGS, rows, spare=_SPARE)
    for each in results:
        if each["verdict"] != "PASS":
            click.echo(f"{each['experiment']}: {each['why']}")
    passed = sum(each["verdict"] == "PASS" for each in results)
    print_facts([("verdict", result["verdict"]), ("passed", f"{passed} of {len(results)}")])


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


@chaos.command()
@click.argument("journals", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--html",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
def report(journals: Sequence[Path], html: Path) -> None:
    """Draw journals as one HTML file that needs nothing else."""
    _write_report(journals, html)
    say(f"wrote {html}")


def _write_report(journals: Sequence[Path], html: Path) -> None:
    from cli.chaos.report import page, read_journal

    html.write_text(page([read_journal(file) for file in journals]), encoding="utf-8")


@chaos.command()
@click.option(
    "--for",
    "for_s",
    default="60s",
    show_default=True,
    callback=lambda _context, _option, text: seconds_of(text),
    help="How long to go on, as in 90s, 5m.",
)
@click.option(
    "--every",
    "every_s",
    default="0.5s",
    show_default=True,
    callback=lambda _context, _option, text: seconds_of(text),
    help="Mean time between two hurts.",
)
@click.option("--kills", type=click.IntRange(min=1), help="End after so many kills.")
@click.option(
    "--spare", multiple=True, metavar="PATTERN", help="Parts that are left alone, as node/ledger."
)
@click.option(
    "--rate",
    type=FiniteRange(min=1),
    default=80.0,
    show_default=True,
    help="Requests a second meanwhile.",
)
@click.option("--bidders", type=click.IntRange(1, 64), default=2, show_default=True)
@_seed_option
@_yes_option
@click.option(
    "--journal", type=click.Path(dir_okay=False, path_type=Path), help="Where the journal goes."
)
@_report_option
@set_option
@output_option
@node_options
@click.pass_context
def monkey(context: click.Context, /, node: Node, output: str, **options: Any) -> None:
    """Kill, stop and crash parts of a node at random while an exchange plays.

    Ends like every experiment: with a look at answers, money, processes and memory.
    """
    from cli.chaos.monkey import Wishes, play, print_result

    target = foreign_node(node, options["assignments"], yes=options["yes"])
    folder = node.paths().data_dir / "chaos"
    names = ("for_s", "every_s", "kills", "spare", "rate", "bidders", "seed")
    wishes = Wishes(**{name: options[name] for name in names})
    file = options["journal"] or folder / f"monkey-{options['seed']}.json"
    with only_one(folder):
        result, exit_code = play(node, target, options["assignments"], wishes, file)
    if options["report"] is not None:
        _write_report([file], options["report"])
    emit(result, output, print_result)
    context.exit(exit_code)


def seconds_of(text: str) -> float:
    """Return a duration as people write it, in seconds: ``90``, ``90s``, ``5m``, ``1h``.

    Raises:
        click.BadParameter: It is none.
    """
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    unit = next((name for name in units if text.endswith(name)), "")
    try:
        seconds = float(text.removesuffix(unit)) * units.get(unit, 1.0)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no duration, as 90s or 5m is") from error
    if not 0 < seconds < float("inf"):
        raise click.BadParameter(f"{text!r} is no time that passes")
    return seconds
