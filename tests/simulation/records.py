"""The decision log, read as a learner would: every bid that left is in it, and how it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.world import SECRET
from transport.notices import NoticeKey
from transport.segments import read_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.simulation.world import World


class Records:
    """Reads what bidders have written and what the recorder has made of it.

    Args:
        world: With the node.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def check_bids(self, tokens: Iterable[str]) -> None:
        """Blame bids that left without a record."""
        recorded = {record["key"] for record in self._read()}
        names = [NoticeKey.decode(SECRET, token).key for token in tokens]
        missing = [name for name in names if name not in recorded]
        if missing:
            self._world.history.blame("recorded", f"bids without a record: {missing[:3]}")

    def check_live(self, request_ids: set[str]) -> None:
        """Blame decisions of a well node that were not made by all its agents.

        The first request after an agent was late asks it alone; a second look of that request waits
        a moment for how that ends, and is answered at its second attempt.
        """
        for record in self._read():
            if record["request_id"] in request_ids:
                stood_in = [step for step in record["steps"] if step["kind"] == "fallback"]
                if stood_in:
                    what = f"{record['request_id']} of {record['bidder']}: {stood_in}"
                    self._world.history.blame("well_again", what)

    def _read(self) -> Iterator[dict[str, Any]]:
        paths = self._world.paths
        for path in sorted(paths.segments_dir.glob("bidder-*-*")):
            if path.suffix in (".open", ".seg"):
                yield from read_segment(path)
        for path in sorted((paths.parquet_dir / "decisions").glob("*.parquet")):
            yield from _table(path)


def _table(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    columns = ["key", "request_id", "bidder", "steps"]
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read(columns).to_pylist()
    return rows
