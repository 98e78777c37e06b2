"""``bidwright bid`` and ``bidwright load`` over real sockets, against a gateway that isn't one."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cli.exits import Exit
from cli.main import cli
from transport.messages import EventAck, decode_event, encode_ack
from transport.nng import NngServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Gateway:
    """Bids a dollar on every request, and acknowledges every event, from a thread."""

    def __init__(self) -> None:
        self.bids, self.events = NngServer(), NngServer()
        self.url = self.bids.listen("tcp://127.0.0.1:0")
        self.event_url = self.events.listen("tcp://127.0.0.1:0")
        self._told: dict[bytes, str] = {}
        self._over = os.eventfd(0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def ports(self) -> list[str]:
        port, event_port = (url.rpartition(":")[2] for url in (self.url, self.event_url))
        return [port, event_port]

    @property
    def heard(self) -> list[str]:
        """The types of the events that came, each once."""
        return list(self._told.values())

    def close(self) -> None:
        os.eventfd_write(self._over, 1)
        self._thread.join(timeout=5)
        self.bids.close()
        self.events.close()
        os.close(self._over)

    def _serve(self) -> None:
        descriptors = [self.bids.fileno(), self.events.fileno(), self._over]
        while self._over not in select.select(descriptors, (), ())[0]:
            for header, body in self.bids.drain(64):
                self.bids.reply(header, json.dumps(answer_to(json.loads(body))).encode())
            for header, body in self.events.drain(64):
                # An event that was acknowledged late is sent again: the same bytes are one event.
                self._told[body] = type(decode_event(body)).__name__
                self.events.reply(header, encode_ack(EventAck(ok=True)))


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    bid = {"id": f"b-{request['id']}", "impid": request["imp"][0]["id"], "price": 20.0}
    return {"id": request["id"], "seatbid": [{"bid": [bid]}]}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gateway]:
    serving = Gateway()
    port, event_port = serving.ports()
    monkeypatch.setenv("BIDWRIGHT_GATEWAY__PORT", port)
    monkeypatch.setenv("BIDWRIGHT_GATEWAY__EVENT_PORT", event_port)
    monkeypatch.setenv("BIDWRIGHT_NODE__DATA_DIR", str(tmp_path))
    yield serving
    serving.close()


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=text, prog_name="bidwright")


def test_a_bid_comes_back_over_the_socket(gateway: Gateway) -> None:
    result = run("bid", "-", "-o", "json", text='{"id": "r1", "imp": [{"id": "7"}]}')
    assert result.exit_code == Exit.OK
    assert json.loads(result.stdout) == answer_to({"id": "r1", "imp": [{"id": "7"}]})


def test_a_load_is_answered_and_every_event_is_acknowledged(gateway: Gateway) -> None:
    result = run("load", "--count", "200", "-o", "json")
    assert result.exit_code == Exit.OK, result.stderr
    summary = json.loads(result.stdout)
    assert summary["sent"] == summary["answered"] == summary["bids"] == 200
    assert 0 < summary["wins"] <= 200
    assert summary["spend_micros"] > 0
    assert summary["events_acknowledged"] == summary["events_sent"] == len(gateway.heard)
    assert gateway.heard.count("Win") == summary["wins"]


def test_an_interrupted_load_still_sums_up(gateway: Gateway) -> None:
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    result = run("load", "--duration", "20", "-o", "json")
    timer.join()
    assert result.exit_code == Exit.OK, result.stderr
    summary = json.loads(result.stdout)
    assert summary["sent"] == summary["answered"] > 0
    assert summary["duration_s"] < 15


def test_captured_requests_are_played_once_each(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "captured.jsonl"
    request = {"id": "same", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]}
    file.write_text("\n".join([json.dumps({"request": request})] * 5))
    result = run("load", "--requests", str(file), "--no-events")
    assert result.exit_code == Exit.OK, result.stderr
    assert "5 sent, 5 answered" in result.stdout
    assert not gateway.heard


def test_where_nobody_listens_no_node_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIDWRIGHT_NODE__DATA_DIR", str(tmp_path))
    result = run("bid", "-", "--url", f"ipc://{tmp_path}/absent.sock", text="{}")
    assert result.exit_code == Exit.NOT_RUNNING
