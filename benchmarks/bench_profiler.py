"""What one more event of a user costs: one step from the kept states, beside all steps in a batch.

    python benchmarks/bench_profiler.py [--users 200]

Times are medians of single questions on one thread, as an inference worker is asked when little is
going on; ``in a batch of 64`` is per question.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.market.logs import histories
from models.market.world import World
from models.profiler.events import MAX_EVENTS
from models.profiler.runtime import ProfilerModel, padded, use_one_thread
from models.registry import weights_folder

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 64


def median_us(call: Callable[[list[int]], object], questions: list[list[int]]) -> float:
    """Return the median time of a call, in microseconds."""
    times = []
    for question in questions:
        begin = time.perf_counter()
        call(question)
        times.append(1e6 * (time.perf_counter() - begin))
    return statistics.median(times)


def main() -> None:
    """Measure, print a table to stderr and JSON to stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=200)
    users = parser.parse_args().users
    use_one_thread()
    rng = np.random.default_rng(1)
    people = World().people(users, rng)
    whole: list[list[int]] = histories(people, MAX_EVENTS, rng).tolist()
    model = ProfilerModel.load(weights_folder("profiler"))
    batch_us = median_us(lambda each: model.infer_batch(padded([each])), whole)
    model.infer([each[:-1] for each in whole])
    step_us = median_us(lambda each: model.infer([each]), whole)
    cold = ProfilerModel.load(weights_folder("profiler"))
    cold_us = median_us(lambda each: cold.infer([each]), whole)
    many = (whole * BATCH)[:BATCH]
    begin = time.perf_counter()
    model.infer_batch(padded(many))
    batched_us = 1e6 * (time.perf_counter() - begin) / BATCH
    found = {
        "all_steps_us": round(batch_us, 1),
        "one_step_us": round(step_us, 1),
        "nothing_known_us": round(cold_us, 1),
        "all_steps_in_a_batch_of_64_us": round(batched_us, 1),
        "ratio": round(batch_us / step_us, 1),
    }
    for name, value in found.items():
        print(f"{name:<30} {value:>8}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
