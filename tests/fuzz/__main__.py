"""Fuzz the decoders: ``python -m tests.fuzz [--seconds N] [TARGET ...]``.

Each target runs in a process of its own under libFuzzer, with bounds on time and memory: an input
that crashes, takes longer than a second or needs more than a gigabyte ends it with exit code 1 and
is kept, so that it can become a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.fuzz.targets import ALL, TARGETS, seeds_of

FINDINGS: Final = Path(__file__).resolve().parents[2] / ".fuzz"
MEMORY_MB: Final = 1024
SLOWEST_S: Final = 1
LONGEST_BYTES: Final = 8192


def command_of(target: str, seconds: int, folder: Path) -> list[str]:
    """Return the command that fuzzes one target for so many seconds.

    Args:
        target: A name of `TARGETS`.
        seconds: How long.
        folder: Where interesting inputs are kept and findings are left.
    """
    corpus = folder / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    return [
        sys.executable,
        "-m",
        "tests.fuzz.child",
        target,
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={SLOWEST_S}",
        f"-max_len={LONGEST_BYTES}",
        f"-artifact_prefix={folder}/{target}-",
        "-print_final_stats=1",
        "-verbosity=0",
        str(corpus),
    ]


def main() -> int:
    """Run all targets, or those named; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, ALL, []], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    wanted = parser.parse_args()
    failed = []
    for target in wanted.targets or TARGETS:
        done = subprocess.run(
            command_of(target, wanted.seconds, FINDINGS),
            cwd=FINDINGS.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        said = runs[0].rpartition(" ")[2] if runs else "no"
        sys.stdout.write(f"{target:12} {said:>10} inputs in {wanted.seconds} s\n")
        sys.stdout.flush()
        if done.returncode:
            failed.append(target)
            sys.stdout.write(done.stderr[-4000:])
    if failed:
        sys.stdout.write(f"failed: {', '.join(failed)}; the inputs are in {FINDINGS}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
