"""Frequency caps: windows in memory, and what outlives a restart."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Exposed, Recall, Recalled
from actors.profiler.exposure_file import ExposureFile
from actors.profiler.exposure_store import PER_PAGE, PER_TURN, ExposureStore
from actors.profiler.exposures import CapTable, Counting, Exposures
from config.campaigns import Campaign, FrequencyCap
from tests.actors.cells import World
from tests.actors.samples import campaign

if TYPE_CHECKING:
    from pathlib import Path

UNIX_S = 1_800_000_000.0
DAY_S = 86_400


def caps(*pairs: tuple[int, int]) -> tuple[FrequencyCap, ...]:
    return tuple(FrequencyCap(impressions=most, window_s=window_s) for most, window_s in pairs)


def shoes(*pairs: tuple[int, int], **facts: Any) -> Campaign:
    return campaign("shoes", caps=caps(*pairs), **facts)


def view(number: int, at_s: float = 0.0, user: str = "u", **facts: Any) -> Exposed:
    named = {"campaign_id": "shoes", "creative_id": "shoes-1"} | facts
    return Exposed(f"b-{number}", user, unix_s=UNIX_S + at_s, **named)


def exposures(*campaigns: Campaign, max_users: int = 100) -> Exposures:
    made = Exposures(CapTable(campaigns), max_users)
    made.is_complete = True
    return made


def test_a_cap_is_reached_by_its_last_view_and_ends_with_its_window() -> None:
    made = exposures(shoes((2, 60)))
    made.count(view(1, 0))
    assert made.capped("u", UNIX_S + 1) == frozenset()
    made.count(view(2, 10))
    assert made.capped("u", UNIX_S + 10) == {"shoes"}
    assert made.capped("u", UNIX_S + 59.9) == {"shoes"}
    assert made.capped("u", UNIX_S + 60) == frozenset()


def test_of_several_windows_each_holds() -> None:
    made = exposures(shoes((1, 10), (3, 3_600)))
    for number, at_s in enumerate((0, 20, 40)):
        assert made.capped("u", UNIX_S + at_s) == frozenset()
        made.count(view(number, at_s))
        assert made.capped("u", UNIX_S + at_s + 9) == {"shoes"}
    assert made.capped("u", UNIX_S + 55) == {"shoes"}
    assert made.capped("u", UNIX_S + 3_600) == frozenset()


def test_a_view_told_twice_counts_once() -> None:
    made = exposures(shoes((2, 60)))
    for _ in range(5):
        made.count(view(1))
    assert made.capped("u", UNIX_S) == frozenset()


def test_creatives_have_caps_of_their_own() -> None:
    (ad,) = campaign("shoes").creatives
    capped = campaign("shoes", creatives=(msgspec.structs.replace(ad, caps=caps((1, 60))),))
    made = exposures(capped)
    made.count(view(1))
    assert made.capped("u", UNIX_S) == {"shoes-1"}


def test_what_has_no_cap_is_not_remembered() -> None:
    made = exposures(shoes((1, 60)))
    made.count(view(1, campaign_id="hats", creative_id="hats-1"))
    made.count(view(2, user=""))
    assert len(made) == 0


def test_views_may_come_in_any_order() -> None:
    made = exposures(shoes((2, 60)))
    for number, at_s in ((1, 100), (2, 0), (3, 90)):
        made.count(view(number, at_s))
    assert made.capped("u", UNIX_S + 110) == {"shoes"}
    assert made.capped("u", UNIX_S + 151) == frozenset()


def test_the_user_who_was_counted_longest_ago_is_forgotten_first() -> None:
    made = exposures(shoes((1, 60)), max_users=2)
    for number, user in enumerate(("a", "b", "a", "c")):
        made.count(view(number, user=user))
    assert [bool(made.capped(user, UNIX_S)) for user in "abc"] == [True, False, True]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 50)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 100)), max_size=20),
    st.integers(0, 160),
)
def test_caps_agree_with_counting_everything(
    pairs: list[tuple[int, int]], views: list[tuple[int, int]], now_s: int
) -> None:
    made = exposures(shoes(*pairs))
    seen: dict[int, int] = {}
    for at_s, number in sorted((at_s, number) for number, at_s in views):
        if number not in seen:
            seen[number] = at_s
            made.count(view(number, at_s))
    reached = any(
        sum(at_s > now_s - window_s for at_s in seen.values()) >= most for most, window_s in pairs
    )
    assert bool(made.capped("u", UNIX_S + now_s)) == reached


def test_users_are_hashed_only_where_somebody_counts() -> None:
    salt = b"salt"
    counted = Counting(CapTable([shoes((1, 60))]), salt, lambda: UNIX_S)
    assert counted.name_of("someone") not in {"", "someone"}
    assert counted.name_of("") == ""
    assert Counting(CapTable([shoes()]), salt, lambda: UNIX_S).name_of("someone") == ""


# --- on disk -------------------------------------------------------------------------------------


class Bench:
    """An exposure store and one who asks it."""

    def __init__(self, path: Path, world: World | None = None, name: str = "b") -> None:
        self.world = world or World()
        self.path = path
        table = CapTable([shoes((3, DAY_S))])
        begun_s = self.world.clock()

        def clock() -> float:
            passed_s: float = self.world.clock() - begun_s
            return UNIX_S + passed_s

        self.store = self.world.spawn(ExposureStore(path, table, clock, name), f"exposures-{name}")
        self.asker, self.asker_ref = self.world.probe()
        self.world.run(0.01)

    def see(self, *views: Exposed) -> None:
        for each in views:
            self.asker_ref.cell.topics.publish(self.asker_ref, each)
        self.world.run(1.1)

    def recall(self) -> list[Exposed]:
        found: list[Exposed] = []
        row = 0
        while True:
            self.asker_ref.ask(self.store, Recall(row))
            self.world.run(0.2)
            told = self.asker.of(Recalled)[-1]
            assert told.is_known
            found += told.views
            if told.is_last:
                return found
            row = told.row


def keys(views: list[Exposed]) -> set[str]:
    return {each.key for each in views}


def test_what_was_seen_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "exposures.sqlite3"
    first = Bench(path)
    first.see(view(1), view(1), view(2, user="v"))
    first.world.cell.kill(first.store)
    second = Bench(path)
    assert sorted((each.key, each.user) for each in second.recall()) == [("b-1", "u"), ("b-2", "v")]
    assert all(not each.first_hand for each in second.recall())


def test_what_waits_is_written_at_a_polite_stop(tmp_path: Path) -> None:
    first = Bench(tmp_path / "file")
    first.asker_ref.cell.topics.publish(first.asker_ref, view(1))
    first.world.run(0.01)
    first.world.cell.stop(first.store, "shutdown")
    first.world.run(0.1)
    assert keys(Bench(tmp_path / "file").recall()) == {"b-1"}


def test_several_bidders_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    one = Bench(path)
    two = Bench(path, one.world, "c")  # hears the same views
    one.see(view(1), view(2))
    ExposureFile(path).write([view(2), view(3)])
    assert keys(one.recall()) == keys(two.recall()) == {"b-1", "b-2", "b-3"}


def test_a_siblings_view_and_one_without_a_cap_are_not_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "file")
    bench.see(view(1, first_hand=False), view(2, campaign_id="hats", creative_id="hats-1"))
    assert bench.recall() == []


def test_many_views_are_written_and_told_in_small_steps(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "file")
    number = 3 * PER_PAGE
    assert number > PER_TURN
    bench.see(*(view(each) for each in range(number)))
    assert bench.store.actor.describe()["written"] == number
    assert len(bench.recall()) == number


def test_what_no_window_reaches_any_more_is_dropped(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "file")
    bench.see(view(1, -DAY_S - 10), view(2, -DAY_S + 500))
    assert keys(bench.recall()) == {"b-2"}
    bench.world.run(600.0)
    assert bench.recall() == []
    with sqlite3.connect(bench.path) as base:
        assert base.execute("SELECT COUNT(*) FROM exposures").fetchone() == (0,)


def test_while_a_sibling_writes_views_wait(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "file")
    other = sqlite3.connect(bench.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bench.see(view(1))
    assert bench.store.actor.describe()["waiting"] == 1
    assert not bench.store.actor.describe()["broken"]
    other.execute("COMMIT")
    other.close()
    bench.world.run(1.1)
    assert keys(bench.recall()) == {"b-1"}


@pytest.mark.parametrize("spoil", ["folder", "garbage"])
def test_a_disk_that_does_not_work_costs_memory_only_and_is_used_again(
    tmp_path: Path, spoil: str
) -> None:
    path = tmp_path / "file"
    if spoil == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"this is no database" * 100)
    bench = Bench(path)
    bench.see(view(1))
    bench.asker_ref.ask(bench.store, Recall())
    bench.world.run(0.2)
    (told,) = bench.asker.of(Recalled)
    assert told == Recalled((), 0, is_last=True, is_known=False)
    assert bench.store.actor.describe()["broken"]
    path.rmdir() if spoil == "folder" else path.unlink()
    bench.world.run(1.1)
    assert keys(bench.recall()) == {"b-1"}
