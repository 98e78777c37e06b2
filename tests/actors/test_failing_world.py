"""What a bidder does while its world fails, on purpose: it answers, and money stays right."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
import pytest

from actors.inference.worker import RELOAD_S, InferenceWorker
from actors.ledger.actor import EXPIRE_EVERY_S
from actors.ledger.rows import Wanted
from actors.ledger.store import LedgerStore
from actors.ledger.verify import verify
from actors.recorder import Recorder
from models.errors import ModelCorruptError
from models.profiler.runtime import ProfilerModel
from models.registry import weights_folder
from models.selector.thompson import ThompsonSelector
from tests.actors.cells import World
from tests.actors.nodes import Node, bids_of, profiler
from tests.actors.points import failing
from transport import logs
from transport.messages import InferBatch, InferRequest, decode_infer_answers, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from supervision import Report


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    node.play(30)  # until there are leases
    yield node
    node.close()


def answers_of(node: Node, count: int) -> list[dict[str, Any]]:
    """Play so many requests; every one must be answered."""
    answers = [answer for _request, answer in node.play(count)]
    assert None not in answers
    return answers


def reasons_of(answers: list[dict[str, Any]]) -> set[str]:
    return {answer["ext"]["reason"] for answer in answers if "nbr" in answer}


def share_of_bids(answers: list[dict[str, Any]]) -> float:
    return sum(bool(bids_of(answer)) for answer in answers) / len(answers)


# -- disks -----------------------------------------------------------------------------------------


def test_a_full_disk_for_the_decision_log_costs_bids_and_is_counted_but_no_answer(
    node: Node,
) -> None:
    reports: list[Report] = []
    node.world.cell.reporter = reports.append
    with failing("segments.write", "enospc"):
        answers = answers_of(node, 40)
    assert share_of_bids(answers) == 0.0
    assert "log_unavailable" in reasons_of(answers)
    assert node.metrics.counters["log.failed"] >= 1
    assert share_of_bids(answers_of(node, 40)) > 0.5
    contexts = [report.context for report in reports]
    assert contexts == ["log_unavailable", "log_available"]
    assert "No space left on device" in str(reports[0].reason)


@pytest.mark.parametrize("point", ["ledger.write", "ledger.commit"])
def test_a_full_disk_for_the_ledger_acknowledges_no_win_and_ends_bids_with_the_leases(
    node: Node, point: str
) -> None:
    won = [bid for answer in answers_of(node, 30) for bid in bids_of(answer)]
    event = {"type": "billing", "key": won[0]["id"], "price_cpm": won[0]["price"] / 2}
    with failing(point, "enospc"):
        told = node.tell(event, seconds=3.0)
        assert told is not None
        assert not told["ok"]
        assert share_of_bids(answers_of(node, 20)) > 0.5  # from leases that still run
        node.world.run(2 * node.settings.money.lease_s)
        assert share_of_bids(answers_of(node, 20)) == 0.0
    node.world.run(3.0)
    assert share_of_bids(answers_of(node, 40)) > 0.5
    again = node.tell(event, seconds=1.0)
    assert again is not None
    assert again["ok"]
    verdict = verify(node.paths.ledger_db)
    assert verdict.ok, verdict


# -- memory ----------------------------------------------------------------------------------------


class Bench:
    """An inference worker and whoever asks it."""

    def __init__(self, model: Any) -> None:
        self.world = World()
        self.reports: list[Report] = []
        self.world.cell.reporter = self.reports.append
        self.load: Callable[[], Any] = lambda: model
        worker = InferenceWorker(
            self.world.hub,
            "inproc://inference",
            {"profiler": self._load},
            max_batch=64,
            max_delay_s=0.001,
            max_queue=1_000,
        )
        self.worker = self.world.spawn(worker)
        self.world.run(0.0)
        self.client = self.world.hub.client()
        self.client.dial("inproc://inference")

    def _load(self) -> Any:
        return self.load()

    def ask(self, count: int) -> list[str]:
        """Ask so many questions in one frame and return how each was answered."""
        requests = tuple(InferRequest(each, "profiler", 1e9, (1, 2)) for each in range(count))
        assert self.client.send(1, encode(InferBatch(requests)))
        self.world.run(0.1)
        [reply] = self.client.drain(10)
        return [answer.status for answer in decode_infer_answers(reply.body).answers]

    def told(self) -> dict[str, Any]:
        account: dict[str, Any] = self.worker.actor.describe()
        return account


def test_a_device_without_memory_gets_smaller_batches_and_everybody_an_answer() -> None:
    bench = Bench(profiler())
    with failing("inference.batch", "oom", count=3):
        assert bench.ask(40) == ["ok"] * 40
    told = bench.told()
    assert told["out_of_memory"] == 3
    assert told["batch_limit"] == {"profiler": 5}
    for _ in range(64):
        bench.ask(1)
    assert bench.told()["batch_limit"] == {"profiler": 10}


def test_a_device_that_stays_without_memory_refuses_and_lives() -> None:
    bench = Bench(profiler())
    with failing("inference.batch", "oom"):
        assert bench.ask(8) == ["error"] * 8
    assert bench.ask(1) == ["ok"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    ],
    ids=["python", "cuda", "cpu"],
)
def test_every_way_to_say_that_memory_is_out_halves_the_batch(error: Exception) -> None:
    class Small:
        def infer(self, sequences: Any) -> Any:
            if len(sequences) > 4:
                raise error
            return profiler().infer(sequences)

    bench = Bench(Small())
    assert bench.ask(16) == ["ok"] * 16
    assert bench.told()["out_of_memory"] == 2


# -- models ----------------------------------------------------------------------------------------


def test_a_worker_whose_model_is_spoilt_says_so_and_serves_when_it_is_mended(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "profiler"
    shutil.copytree(weights_folder("profiler"), folder)
    file = folder / "weights.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    bench = Bench(None)
    bench.load = lambda: ProfilerModel.load(folder)
    bench.world.run(3 * RELOAD_S)
    assert not bench.client.connected  # so who asks goes elsewhere at once
    assert bench.worker.actor is not None
    assert "is not what its manifest says" in bench.told()["trouble"]
    file.write_bytes(whole)
    bench.world.run(RELOAD_S)
    assert bench.ask(3) == ["ok"] * 3
    assert bench.told()["trouble"] == ""
    kinds = [(report.context, report.level) for report in bench.reports]
    assert kinds[-2:] == [("fallback_on", "error"), ("fallback_off", "info")]
    assert len(kinds) == 3  # nothing is told twice: no model at first, then a spoilt one


def test_a_device_that_is_lost_ends_the_worker_and_then_keeps_it_waiting() -> None:
    class Lost:
        def infer(self, sequences: Any) -> Any:
            raise RuntimeError("CUDA error: device lost")

    bench = Bench(Lost())
    assert bench.worker.actor is not None
    assert "device lost" in bench.told()["trouble"]
    bench.load = profiler
    bench.world.run(RELOAD_S)
    assert bench.ask(1) == ["ok"]


def test_bidding_goes_on_with_default_profiles_while_no_worker_has_its_model(node: Node) -> None:
    node.world.cell.kill(node.inference)
    answers = answers_of(node, 40)
    assert share_of_bids(answers) > 0.5


def test_weights_that_spoil_harm_nobody_who_had_read_them_whole(tmp_path: Path) -> None:
    folder = tmp_path / "selector"
    shutil.copytree(weights_folder("selector"), folder)
    before = ThompsonSelector.load(folder)
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    assert ThompsonSelector.load(folder).version == before.version
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    with pytest.raises(ModelCorruptError, match="is not what its manifest says"):
        ThompsonSelector.load(other)


# -- clocks and listeners --------------------------------------------------------------------------


@pytest.mark.parametrize("by_s", [86_400.0 * 400, -86_400.0 * 400, 3_600.0, -3_600.0])
def test_a_wall_clock_that_jumps_costs_no_answer_and_no_money(node: Node, by_s: float) -> None:
    before = share_of_bids(answers_of(node, 40))
    node.wall.ahead_s = by_s
    answers_of(node, 40)
    node.world.run(1.0)
    node.wall.ahead_s = 0.0
    node.world.run(1.0)
    assert share_of_bids(answers_of(node, 40)) >= 0.8 * before
    verdict = verify(node.paths.ledger_db)
    assert verdict.ok, verdict


# -- defences, switched off one by one -------------------------------------------------------------


def without(tmp_path: Path, defence: str) -> Node:
    node = Node(tmp_path, settings={"defences": {defence: False}})
    node.play(30)
    return node


def take_away(node: Node, name: str) -> None:
    """Let nobody reach an agent."""
    path = f"bidder-1/agents/{name}"
    node.world.cell.suspend(node.light_actors()[path])


def test_without_fallbacks_an_agent_that_is_away_costs_the_bid(node: Node, tmp_path: Path) -> None:
    take_away(node, "creative-selector")
    assert share_of_bids(answers_of(node, 20)) > 0.5
    bare = without(tmp_path / "bare", "fallbacks")
    take_away(bare, "creative-selector")
    answers = answers_of(bare, 20)
    bare.close()
    assert share_of_bids(answers) == 0.0
    assert "no_fallback:select" in reasons_of(answers)


def test_without_fallbacks_an_inference_that_is_away_costs_the_bid_of_a_known_user(
    tmp_path: Path,
) -> None:
    bare = without(tmp_path, "fallbacks")
    bare.world.cell.kill(bare.inference)
    answers = answers_of(bare, 60)
    bare.close()
    assert "no_fallback:profile" in reasons_of(answers)


def test_without_deduplication_a_repeated_request_gets_another_bid(
    node: Node, tmp_path: Path
) -> None:
    def answers_to_one_request(asked: Node) -> set[str]:
        request = next(asked.traffic)
        numbers = [asked.send(request) for _ in range(2)]
        asked.world.run(0.2)
        numbers.append(asked.send(request))
        asked.world.run(0.2)
        got = asked.answers()
        assert sorted(got) == numbers
        return {bid["id"] for answer in got.values() for bid in bids_of(answer)}

    assert len(answers_to_one_request(node)) == 1
    bare = without(tmp_path / "bare", "deduplication")
    bids = answers_to_one_request(bare)
    bare.close()
    assert len(bids) == 3


def test_without_deduplication_an_event_is_told_as_often_as_it_comes(tmp_path: Path) -> None:
    bare = without(tmp_path, "deduplication")
    bid = next(bid for answer in answers_of(bare, 20) for bid in bids_of(answer))
    told = [bare.tell({"type": "impression", "key": bid["id"]}) for _ in range(2)]
    bare.close()
    assert [each and each.get("duplicate", False) for each in told] == [False, False]


def test_without_durability_a_win_is_confirmed_that_is_lost(tmp_path: Path) -> None:
    bare = Node(tmp_path, settings={"defences": {"durability": False}})
    won = next(bid for _, answer in bare.play(60)[30:] for bid in bids_of(answer))
    with failing("ledger.commit", "raise", count=1):
        told = bare.tell({"type": "billing", "key": won["id"], "price_cpm": won["price"] / 2})
        bare.world.run(EXPIRE_EVERY_S)
    assert bare.ledger.actor is None
    found = LedgerStore(bare.paths.ledger_db).find(
        Wanted(frozenset({f"settle:{won['id']}"}), frozenset(), frozenset())
    )
    bare.close()
    assert told is not None
    assert told["ok"]
    assert not found.done


def test_a_full_disk_for_tables_keeps_the_segments_for_later(tmp_path: Path) -> None:
    world = World()
    segments = tmp_path / "segments"
    segments.mkdir()
    (segments / "bidder-1-00000001.seg").write_bytes(msgpack.packb({"request_id": "r"}))
    recorder = world.spawn(Recorder(segments, tmp_path / "parquet", 5.0), "recorder")
    with failing("parquet.write", "enospc"):
        world.run(6.0)
        assert recorder.actor.describe()["postponed"]
        assert list(segments.iterdir())
    world.run(6.0)
    assert recorder.actor.describe()["segments"] == 1
    assert not list(segments.iterdir())


def test_a_full_disk_for_the_nodes_own_log_costs_lines(tmp_path: Path) -> None:
    logs.configure(tmp_path / "node.log", "info", "node-1", "test")
    before = logs.dropped_lines()
    try:
        with failing("log.write", "enospc", count=2):
            for _ in range(3):
                logs.get_logger().info("said")
    finally:
        logs.close()
    assert logs.dropped_lines() == before + 2
    assert len((tmp_path / "node.log").read_text().splitlines()) == 1
