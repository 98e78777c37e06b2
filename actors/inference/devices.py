"""Which devices run models: each gets an inference worker."""

from __future__ import annotations

from pathlib import Path


def devices(wanted: str) -> tuple[str, ...]:
    """Return the devices that get an inference worker: the CPU always, for it is the others' spare.

    Graphics cards are counted by their device files, because asking the driver from a process that
    forks would break its children.
    """
    if wanted == "cpu":
        return ("cpu",)
    if wanted != "auto":
        return ("cpu", wanted)
    cards = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return ("cpu", *(f"cuda:{card}" for card in range(cards)))
