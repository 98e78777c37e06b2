"""What one bid costs inside a bidder's cell: microseconds of processor time, by stage.

Everything is real but the wire and the other processes: gateway, orchestrators, six agents with the
shipped models, decision log; links are in memory, leases and vectors come from the test's own side.
Only the cell's own turns are timed, and what its ends of the links in memory take is left out. The
stages are then timed one by one on the same requests, and what they leave over is the cell itself:
messages, timers, supervision.

    python benchmarks/bench_cell_path.py [--requests N] [--json]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in every process of a node

import msgspec
import numpy as np

from actors.bidder_tree import bidder_specs
from actors.budget.wallet import Wallet, WalletTerms
from actors.decision.eligible import EligibleAds
from actors.gateway.admission import DoorRules, admit
from actors.gateway.responses import NoticeForm, bid_of, response_of
from actors.messages import BudgetView, Price
from actors.pricing import load_pricing
from actors.reading.opportunity import opportunity_of
from actors.reading.place import Reading
from actors.world import World
from config.campaigns import load_campaigns
from config.paths import NodePaths
from config.settings import Settings
from models.eligibility import CampaignIndex
from models.fraud import FraudRules, RecentCounts, source_of
from models.market import MarketSimulator
from models.oversight import OversightRules
from models.registry import weights_folder
from models.selector.thompson import ThompsonSelector
from supervision import Cell, LightActor, monotonic_clock
from supervision.processes.host import GC_YOUNG
from transport.codec import encode_response
from transport.memory import MemoryHub
from transport.messages import (
    DecisionRecord,
    InferAnswer,
    InferAnswers,
    StepTaken,
    decode_infer_batch,
    encode,
)
from transport.metrics import MemoryMetrics
from transport.money import LeaseGranted, LeaseRequest, decode_requests, encode_replies
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECRET = b"an honest secret of enough bytes"
VECTOR = np.full(16, 0.25, dtype=np.float32)
RICH_MICROS = 1_000_000_000
BURST = 32
READING = Reading()
CHUNK = 250


class Outside:
    """The processes beside the bidder, reduced to their answers."""

    def __init__(self, hub: MemoryHub, paths: NodePaths) -> None:
        self.ledger = hub.server()
        self.ledger.listen(paths.ipc("ledger"))
        self.inference = hub.server()
        self.inference.listen(paths.ipc("inference-cpu"))

    def serve(self) -> None:
        """Answer every waiting frame."""
        for received in self.ledger.drain(1_000):
            replies = [_granted(message) for message in decode_requests(received.body)]
            self.ledger.reply(received.header, encode_replies(replies))
        for received in self.inference.drain(1_000):
            asked = decode_infer_batch(received.body).requests
            answers = tuple(InferAnswer(each.id, "ok", VECTOR.tobytes()) for each in asked)
            self.inference.reply(received.header, encode(InferAnswers(answers)))


def _granted(message: Any) -> LeaseGranted:
    assert isinstance(message, LeaseRequest), message
    return LeaseGranted(
        message.request_id,
        f"lease-{message.request_id}",
        message.campaign_id,
        RICH_MICROS,
        3_600.0,
        30.0,
        RICH_MICROS,
        RICH_MICROS,
    )


class Bench:
    """A bidder's cell in real time with an exchange that waits for its answers."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings.model_validate({"node": {"data_dir": folder, "seed": 1}})
        self.paths = NodePaths(folder, folder / "run").make()
        self.hub = MemoryHub()
        self.outside = Outside(self.hub, self.paths)
        clock = monotonic_clock()
        self.cell = Cell(clock, random.Random(1))
        world = World(self.hub, clock, lambda: 1.8e9 + clock(), MemoryMetrics(), SECRET)
        root = bidder_specs(self.settings, self.paths, 1, world).start.build()
        assert isinstance(root, LightActor)
        self.root = self.cell.spawn(lambda: root, name="bidder-1")
        self.client = self.hub.client()
        self.client.dial(f"tcp://127.0.0.1:{self.settings.gateway.port}")
        self.bids = 0
        for _ in range(20):
            self.cell.run(0.02)
            self.outside.serve()

    def play(self, bodies: Sequence[bytes]) -> float:
        """Send the requests in bursts, wait for each; return the cell's processor seconds."""
        took_s = 0.0
        for start in range(0, len(bodies), BURST):
            burst = bodies[start : start + BURST]
            for number, body in enumerate(burst):
                self.client.send(number + 1, body)
            missing = len(burst)
            while missing:
                started_s = time.process_time()
                self.cell.run(0.0)
                took_s += time.process_time() - started_s
                self.outside.serve()
                for reply in self.client.drain(BURST):
                    missing -= 1
                    self.bids += b"seatbid" in reply.body
        return took_s


def links_us(bodies: Sequence[bytes]) -> float:
    """Time a server's end of a link in memory alone; processor microseconds per request."""
    hub, url = MemoryHub(), "tcp://127.0.0.1:1"
    server, client = hub.server(), hub.client()
    server.listen(url)
    client.dial(url)
    took_s = 0.0
    for start in range(0, len(bodies), BURST):
        for number, body in enumerate(bodies[start : start + BURST]):
            client.send(number + 1, body)
        started_s = time.process_time()
        for received in server.drain(BURST):
            server.reply(received.header, received.body)
        took_s += time.process_time() - started_s
        client.drain(BURST)
    return 1e6 * took_s / len(bodies)


def traffic(count: int, seed: int) -> list[dict[str, Any]]:
    """Return requests that get a bid: one impression, a user, no traps."""
    requests = MarketSimulator(seed, load_campaigns(), users=500).requests()
    chosen: list[dict[str, Any]] = []
    while len(chosen) < count:
        request = next(requests)
        if len(request["imp"]) == 1 and "user" in request:
            # Time enough, so that what else the machine does costs no fallback.
            chosen.append(request | {"tmax": 5_000})
    return chosen


def best_us(work: Callable[[Any], Any], cases: Sequence[Any], rounds: int = 5) -> float:
    """Return the processor microseconds of one call, best of some rounds over all cases."""
    results = []
    for _ in range(rounds):
        started_s = time.process_time()
        for case in cases:
            work(case)
        results.append((time.process_time() - started_s) / len(cases))
    return 1e6 * min(results)


def stages(requests: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Time each stage of a decision alone; microseconds per impression."""
    bodies = [json.dumps(request).encode() for request in requests]
    rules = DoorRules(1 << 18, 1_024, 0.1, 0.01, 0.002)
    admitted = [admit(rules, body, 0).request for body in bodies]  # type: ignore[union-attr]
    pairs = [(request, request.imp[0]) for request in admitted]
    opportunities = [opportunity_of(request, imp, 1.8e9, READING) for request, imp in pairs]
    index = CampaignIndex(load_campaigns())
    ads = EligibleAds(index, load_campaigns())
    decided = [(each, tuple(index.candidates(each, 1.8e9))) for each in opportunities]
    decided = [(each, found) for each, found in decided if found]
    took = {
        "decode and admit": best_us(lambda body: admit(rules, body, 0), bodies),
        "map to opportunity": best_us(
            lambda pair: opportunity_of(pair[0], pair[1], 1.8e9, READING), pairs
        ),
        "eligible ads, remembered": best_us(
            lambda case: ads.find(case[1], 1.8e9),
            list(zip(pairs, opportunities, strict=True)),
        ),
    }
    return took | _agents(decided) | _outputs(decided)


def _agents(decided: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    fraud, counts = FraudRules(), RecentCounts()
    selector = ThompsonSelector.load(weights_folder("selector"), 1)
    pricing = load_pricing(weights_folder("optimizer"), 50_000)
    oversight, chance, view = OversightRules(), random.Random(1), BudgetView()
    wallet = _wallet()

    def price(case: tuple[Any, Any]) -> Any:
        return pricing.price(Price(case[0], case[1][0], VECTOR, 0.01, RICH_MICROS, view, 1.0))

    def fund(case: tuple[Any, Any]) -> Any:
        return wallet.spendable(tuple({each.campaign.id: None for each in case[1]}), 1.0)

    return {
        "fraud rules": best_us(
            lambda case: fraud.score(case[0], counts.count(source_of(case[0]), 1.0)), decided
        ),
        "fund": best_us(fund, decided),
        "select creative": best_us(lambda case: selector.choose(VECTOR, case[1], chance), decided),
        "price": best_us(price, decided),
        "oversight rules": best_us(
            lambda case: oversight.check(case[0], case[1][0], 5_000, 50_000), decided
        ),
    }


def _wallet() -> Wallet:
    wallet = Wallet(WalletTerms(), "bidder-1", "x")
    wallet.spendable([campaign.id for campaign in load_campaigns()], 0.0)
    for request in wallet.take_requests():
        wallet.granted(_granted(request), 0.0)
    return wallet


def _outputs(decided: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    from actors.messages import Bid
    from transport.codec import WireFormat

    form = NoticeForm("http://127.0.0.1:8080", 30)
    names = ("vet", "profile", "fund", "select", "price", "clear", "reserve")
    steps = tuple(StepTaken(name, "live", 0.1) for name in names)

    def record(case: tuple[Any, Any]) -> bytes:
        made = DecisionRecord(
            case[0].request_id, "1", 1.8e9, "bidder-1", "bid", "", None, "c", "d", 1, 1, 0.5, 0.1
        )
        return encode(msgspec.structs.replace(made, steps=steps, vector=tuple(VECTOR.tolist())))

    def respond(case: tuple[Any, Any]) -> bytes:
        token = NoticeKey("bidder-1-1", "c", "lease", 5_000, "d").encode(SECRET)
        bid = bid_of(form, case[0], Bid("bidder-1-1", "lease", 5_000, case[1][0]), token)
        return encode_response(
            response_of(case[0].request_id, {"bidwright": [bid]}, {}), WireFormat.JSON
        )

    return {
        "decision record": best_us(record, decided),
        "sign and respond": best_us(respond, decided),
    }


def measure(count: int) -> dict[str, Any]:
    """Return the whole path and its stages, microseconds of processor time per request."""
    requests = traffic(count, seed=1)
    bodies = [json.dumps(request).encode() for request in requests]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        half = count // 2
        bench.play(bodies[:half])  # known users, warm caches
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_YOUNG, 10, 100)  # as in every process of a node
        bench.bids = 0
        before = sum(ref.handled for ref in _refs(bench.root))
        chunks = [bodies[at : at + CHUNK] for at in range(half, count, CHUNK)]
        wire_us = links_us(bodies)
        took_us = [1e6 * bench.play(chunk) / len(chunk) - wire_us for chunk in chunks]
        after = sum(ref.handled for ref in _refs(bench.root))
        bench.cell.shutdown()
    whole_us = min(took_us)  # other work on the machine can only add
    parts = stages(requests[:500])
    return {
        "requests": count - half,
        "bids": bench.bids,
        "whole_us": round(whole_us, 1),
        "median_us": round(statistics.median(took_us), 1),
        "links_us": round(wire_us, 2),
        "per_second": round(1e6 / whole_us),
        "stages_us": {name: round(us, 2) for name, us in parts.items()},
        "cell_us": round(whole_us - sum(parts.values()), 1),
        "messages_to_standing_actors": round((after - before) / (count - half), 1),
    }


def _refs(root: Any) -> list[Any]:
    found, waiting = [], [root]
    while waiting:
        ref = waiting.pop()
        found.append(ref)
        waiting += list(ref.children or ())
    return found


def table(result: dict[str, Any]) -> str:
    """Return the result for people."""
    rows = [
        *result["stages_us"].items(),
        ("cell: messages, timers, orchestrator", result["cell_us"]),
    ]
    lines = [f"{name:<40}{us:>9.2f} us" for name, us in rows]
    lines.append(f"{'one bid, all in':<40}{result['whole_us']:>9.2f} us")
    lines.append(f"{'  median of the chunks':<40}{result['median_us']:>9.2f} us")
    lines.append(f"{'  left out: links in memory':<40}{result['links_us']:>9.2f} us")
    lines.append(f"{result['per_second']:,} requests/s of one core")
    lines.append(f"{result['bids']} bids of {result['requests']} requests")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.requests)
    print(json.dumps(result) if options.json else table(result))


if __name__ == "__main__":
    main()
