"""The table of sequence models: what was learnt, beside what needs no training.

Two stages. First all is learnt from the older part and the blend's weights are found on the
validation part; then all is learnt anew from the whole training part, and the test part is asked
once. With users (leave one out) both parts are the same, and one training serves both.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from models.evaluation import Interval
from models.sequences.blend import CHUNK, Blend, Recipe, choose_recipe, hide_seen
from models.sequences.logs import read_log
from models.sequences.metrics import Ints, Ranking, gains, mean_by_group, ranking, ranks
from models.sequences.settings import SESSIONS, USERS, EncoderSettings
from models.sequences.simple import Popular, Repeats, Rules
from models.sequences.vsknn import VSKNN, VSTAN, Neighbours

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.sequences.learner import Progress
    from models.sequences.logs import Questions, Ragged, SequenceLog
    from models.sequences.simple import Ranker

Model = Literal["vsknn", "narm", "sasrec", "blend"]

#: Validation questions that the blend's weights are found on.
_CHOOSING: Final = 3_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and how.

    Attributes:
        model: Which learnt model; "vsknn" trains nothing, "blend" mixes everything.
        encoders: Which encoders the blend trains.
        changes: Settings of encoders that differ from the usual ones.
        minutes: Longest time of one training.
        device: Where to compute, as torch names it.
        checkpoint: Folder to go on from; None keeps nothing.
        seed: Of training and of the bootstrap.
        part: Ask the test part, or only the validation part while settings are being chosen.
    """

    model: Model = "vsknn"
    encoders: tuple[Literal["narm", "sasrec"], ...] = ("sasrec",)
    changes: dict[str, float | str] = {}
    minutes: float = 30.0
    device: str = "cpu"
    checkpoint: Path | None = None
    seed: int = 1
    part: Literal["validation", "test"] = "test"


class Row(msgspec.Struct, frozen=True):
    """One model.

    Attributes:
        model: Its name.
        ranking: How well it did.
        beats_vsknn: Its NDCG less V-SKNN's, question by question.
        train_seconds: To learn or to count.
        question_ms: Milliseconds for one question, ranking of all items included.
    """

    model: str
    ranking: Ranking
    beats_vsknn: Interval
    train_seconds: float
    question_ms: float


class Found(msgspec.Struct, frozen=True):
    """The table.

    Attributes:
        log: Name of the folder.
        kind: Protocol, "sessions" or "users".
        part: Which part was asked.
        items: V.
        sequences: Learnt from.
        questions: Asked.
        cut: k of P@k, MRR@k and NDCG@k.
        seed: Of training and of the bootstrap.
        settings: Of each encoder.
        blend: How components are mixed; None where nothing is.
        rows: The baselines first.
        seconds: All in all.
    """

    log: str
    kind: str
    part: str
    items: int
    sequences: int
    questions: int
    cut: int
    seed: int
    settings: dict[str, EncoderSettings]
    blend: Recipe | None
    rows: list[Row]
    seconds: float


class _Asked(msgspec.Struct, frozen=True):
    """The ranks that one model gave to the answers, and what they took."""

    name: str
    rank: Ints
    train_seconds: float
    question_ms: float


def evaluate_profiler(
    folder: Path, plan: Plan, report: Callable[[str, str, Progress], None]
) -> Found:
    """Measure a model of sequences beside its baselines.

    Args:
        folder: A log, see `models.sequences.logs.read_log`.
        plan: What to measure.
        report: Told of the training of encoders: which one, in which stage, and how far.

    Raises:
        EvaluationError: The log can't be read, or a checkpoint is of another run.
    """
    started = time.perf_counter()
    log = read_log(folder)
    names = _encoders(plan)
    settings = {name: encoder_settings(log, name, plan.changes) for name in names}
    bench = _Bench(log, plan, settings, report)
    asked, recipe = bench.ask()
    questions = log.test if plan.part == "test" else log.validation
    base = next(one.rank for one in asked if one.name == VSKNN.name)
    rows = [_row(one, base, questions, log.cut, plan.seed) for one in asked]
    learnt_from = log.whole if plan.part == "test" else log.fit
    return Found(
        log.name,
        log.kind,
        plan.part,
        log.items,
        len(learnt_from),
        len(questions),
        log.cut,
        plan.seed,
        settings,
        recipe,
        rows,
        time.perf_counter() - started,
    )


def encoder_settings(
    log: SequenceLog, name: str, changes: dict[str, float | str]
) -> EncoderSettings:
    """Return the usual settings of an encoder for a kind of log, changed where asked."""
    usual = SESSIONS if log.kind == "sessions" else USERS
    return msgspec.convert(
        {**msgspec.to_builtins(usual), "model": name, **changes}, EncoderSettings
    )


def _encoders(plan: Plan) -> tuple[str, ...]:
    if plan.model == "vsknn":
        return ()
    return plan.encoders if plan.model == "blend" else (plan.model,)


class _Bench:
    """All models of one table."""

    def __init__(
        self,
        log: SequenceLog,
        plan: Plan,
        settings: dict[str, EncoderSettings],
        report: Callable[[str, str, Progress], None],
    ) -> None:
        self._log = log
        self._plan = plan
        self._settings = settings
        self._report = report
        self._seconds: dict[str, float] = {}

    def ask(self) -> tuple[list[_Asked], Recipe | None]:
        """Return the ranks of every model, and how they were blended."""
        log, plan = self._log, self._plan
        recipe: Recipe | None = None
        models: list[Ranker] = []
        if plan.model == "blend" or plan.part == "validation":
            models = self._learn(log.fit, "fit")
        if plan.model == "blend":
            recipe = self._weigh(models)
        if plan.part == "test" and (not models or log.whole is not log.fit):
            models = self._learn(log.whole, "whole")
        if recipe is not None:
            models.append(Blend(models, recipe))
            self._seconds["blend"] = sum(self._seconds.values())
        questions = log.test if plan.part == "test" else log.validation
        return [self._ranks(model, questions) for model in models], recipe

    def _learn(self, sequences: Ragged, stage: str) -> list[Ranker]:
        items = self._log.items
        makers: list[Callable[[], Ranker]] = [lambda: Popular(sequences, items)]
        if self._log.repeats:
            makers.append(lambda: Repeats(sequences, items))
        makers.append(lambda: Rules(sequences, items))
        makers += [
            lambda how=how: Neighbours(sequences, items, how)  # type: ignore[misc]
            for how in (VSKNN, VSTAN)
        ]
        made = []
        for make in makers:
            began = time.perf_counter()
            made.append(make())
            self._seconds[made[-1].name] = time.perf_counter() - began
        return made + [self._train(name, sequences, stage) for name in self._settings]

    def _train(self, name: str, sequences: Ragged, stage: str) -> Ranker:
        from models.sequences.learner import EncoderRanker, Learner, Limits

        plan = self._plan
        at = plan.checkpoint / f"{name}-{stage}.pt" if plan.checkpoint else None
        limits = Limits(plan.minutes, plan.device, at)
        learner = Learner(sequences, self._log.items, self._settings[name], plan.seed, limits)
        network = learner.run(
            lambda progress: self._report(name, stage, progress), time.perf_counter
        )
        self._seconds[name] = learner.seconds
        return EncoderRanker(network, name, plan.device)

    def _weigh(self, models: list[Ranker]) -> Recipe:
        """Return how to blend; the learnt models stand first, where the ascent begins."""
        few = self._log.validation.some(_CHOOSING)
        recipe, _ = choose_recipe(models[::-1], few, self._log.cut, repeats=self._log.repeats)
        return recipe

    def _ranks(self, model: Ranker, questions: Questions) -> _Asked:
        began = time.perf_counter()
        rank = ask(model, questions, repeats=self._log.repeats)
        each_ms = 1e3 * (time.perf_counter() - began) / len(questions)
        return _Asked(model.name, rank, self._seconds[model.name], each_ms)


def ask(model: Ranker, questions: Questions, *, repeats: bool) -> Ints:
    """Return the rank of each answer, shape ``(N,)``.

    Args:
        model: To be asked.
        questions: N of them.
        repeats: Whether items of the prefix may be offered.
    """
    found = []
    for begin in range(0, len(questions), CHUNK):
        end = min(begin + CHUNK, len(questions))
        prefixes = questions.prefixes.rows(begin, end)
        scores = model.probabilities(prefixes)
        if not repeats:
            hide_seen(scores, prefixes)
        found.append(ranks(scores, questions.answers[begin:end]))
    return np.concatenate(found)


def _row(asked: _Asked, base: Ints, questions: Questions, cut: int, seed: int) -> Row:
    ahead = gains(asked.rank, cut) - gains(base, cut)
    return Row(
        asked.name,
        ranking(asked.rank, questions.groups, cut, seed),
        mean_by_group(ahead, questions.groups, seed),
        asked.train_seconds,
        asked.question_ms,
    )
