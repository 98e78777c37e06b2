"""``bidwright evaluate profiler``: which model foretells the next item of a sequence best?"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InvalidInputError
from cli.output import emit, output_option, print_facts, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.sequences.evaluation import Plan
    from models.sequences.learner import Progress

_OPTIONS = (
    click.option(
        "--data",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        required=True,
        help="Folder with train_sessions.parquet and test_pairs.parquet, or sequences.parquet.",
    ),
    click.option(
        "--model",
        type=click.Choice(["vsknn", "narm", "sasrec", "blend"]),
        default="vsknn",
        show_default=True,
        help="vsknn trains nothing; blend mixes encoders with all that trains nothing.",
    ),
    click.option(
        "--encoders",
        default="sasrec",
        show_default=True,
        help="Of the blend, separated by commas: narm, sasrec.",
    ),
    click.option("--epochs", type=click.IntRange(min=1), help="Instead of the usual number."),
    click.option("--dim", type=click.IntRange(min=2), help="Instead of the usual dimension."),
    click.option("--dropout", type=click.FloatRange(0.0, 0.9), help="Instead of the usual share."),
    click.option("--rate", type=click.FloatRange(1e-6, 1.0), help="Instead of the usual rate."),
    click.option("--loss", type=click.Choice(["full", "sampled"]), help="Instead of the usual."),
    click.option("--negatives", type=click.IntRange(min=1), help="Of the sampled loss."),
    click.option(
        "--minutes",
        type=click.FloatRange(min=0.001),
        default=30.0,
        show_default=True,
        help="Longest time of one training; the blend trains each encoder at most twice.",
    ),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ..."),
    click.option(
        "--checkpoint",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder to write checkpoints to, and to go on from.",
    ),
    click.option(
        "--part",
        type=click.Choice(["validation", "test"]),
        default="test",
        show_default=True,
        help="Choose settings on the validation part; the test part is for reports.",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True),
    output_option,
)

_CHANGES = ("epochs", "dim", "dropout", "rate", "loss", "negatives")


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@_with_options
def profiler(**given: Any) -> None:
    """Foretell the next item of sessions or users, among all items, beside what trains nothing.

    Sessions: every prefix of each test session is a question. Users: the last item is the question.
    Settings and the blend's weights are chosen on a validation part; the test part is asked once.
    """
    import msgspec

    from models.errors import ModelError
    from models.sequences.evaluation import evaluate_profiler

    try:
        with _progress() as report:
            found = msgspec.to_builtins(evaluate_profiler(given["data"], _plan(given), report))
    except ModelError as error:
        raise InvalidInputError(str(error)) from error
    emit(found, given["output"], _print)


def _plan(given: dict[str, Any]) -> Plan:
    from models.sequences.evaluation import Plan

    changes = {name: given[name] for name in _CHANGES if given[name] is not None}
    names = ("model", "minutes", "device", "checkpoint", "seed", "part")
    encoders = tuple(given["encoders"].replace(" ", "").split(","))
    if set(encoders) - {"narm", "sasrec"}:
        raise click.UsageError(f"--encoders {given['encoders']}: there are narm and sasrec")
    if given["device"] != "cpu":
        _check_device(given["device"])
    return Plan(encoders=encoders, changes=changes, **{name: given[name] for name in names})


def _check_device(name: str) -> None:
    from models.sequences.learner import is_there

    if not is_there(name):
        raise click.UsageError(f"--device {name}: this machine has no such device; use cpu")


@contextmanager
def _progress() -> Iterator[Callable[[str, str, Progress], None]]:
    """Draw a bar for each training on stderr, where that is a terminal; else a line an epoch."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    output = Console(stderr=True)
    said: set[tuple[str, str, int]] = set()
    with Bars(console=output, transient=True, disable=not output.is_terminal) as bars:
        tasks: dict[tuple[str, str], Any] = {}

        def report(name: str, stage: str, progress: Progress) -> None:
            words = f"{name} on {stage}, epoch {progress.epoch}, loss {progress.loss:.3f}"
            if output.is_terminal:
                if (name, stage) not in tasks:
                    tasks[name, stage] = bars.add_task(words, total=1.0)
                bars.update(tasks[name, stage], completed=progress.done, description=words)
            elif (name, stage, progress.epoch) not in said:
                said.add((name, stage, progress.epoch))
                say(f"{words}, {progress.done:.0%}")

        yield report


def _print(found: dict[str, Any]) -> None:
    cut = found["cut"]
    headings = ("model", f"P@{cut}", f"MRR@{cut}", f"NDCG@{cut}", "NDCG above V-SKNN")
    print_table((*headings, "train s", "ms a question"), (_cells(row) for row in found["rows"]))
    facts = [
        ("log", f"{found['log']} ({found['kind']}), {found['items']} items"),
        ("learnt from", f"{found['sequences']} sequences"),
        ("asked", f"{found['questions']} questions of the {found['part']} part"),
        ("seed", found["seed"]),
        ("seconds", f"{found['seconds']:.0f}"),
    ]
    if found["blend"] is not None:
        shares = (f"{name} {w:.3f}" for name, w in found["blend"]["weights"].items() if w)
        facts.append(("blend", f"of {found['blend']['kind']}: {', '.join(shares)}"))
    print_facts(facts)


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    measures = (_percent(row["ranking"][name]) for name in ("hit", "mrr", "ndcg"))
    ahead = _percent(row["beats_vsknn"])
    return (
        row["model"],
        *measures,
        ahead,
        f"{row['train_seconds']:.0f}",
        f"{row['question_ms']:.2f}",
    )


def _percent(interval: dict[str, float]) -> str:
    mean, low, high = (100.0 * interval[name] for name in ("mean", "low", "high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"
