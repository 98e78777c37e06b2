"""What only real sockets can show: foreign clients, killed peers, limits of nng itself."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pynng
import pytest

from tests.transport.conftest import readable, wait_connected
from transport import nng
from transport.errors import LinkError
from transport.frames import Received, Reply
from transport.nng import NngClient, NngServer
from transport.nng_socket import Backlog

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/link.sock"


@contextlib.contextmanager
def echo_process(url: str) -> Iterator[subprocess.Popen[str]]:
    """An echo server in a process of its own, which listens when this returns."""
    command = [sys.executable, str(ROOT / "tests/transport/echo_server.py"), url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == url
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def echo_thread(url: str) -> Iterator[str]:
    """An echo server on a thread of this process."""
    server = NngServer()
    done = os.eventfd(0)

    def serve() -> None:
        while not readable(done, timeout_s=0):
            if readable(server.fileno(), timeout_s=0.02):
                for header, body in server.drain(256):
                    server.reply(header, body)

    address = server.listen(url)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield address
    finally:
        os.eventfd_write(done, 1)
        thread.join()
        server.close()
        os.close(done)


def test_a_standard_req_socket_gets_its_answer() -> None:
    with (
        echo_thread("tcp://127.0.0.1:0") as address,
        pynng.Req0(dial=address, block_on_dial=True, recv_timeout=5000) as client,
    ):
        for number in range(20):
            client.send(b"%d" % number)
            assert client.recv() == b"%d" % number


@pytest.mark.skipif(shutil.which("nngcat") is None, reason="nngcat (nng-utils) is not installed")
def test_nngcat_gets_its_answer() -> None:
    with echo_thread("tcp://127.0.0.1:0") as address:
        done = subprocess.run(
            [
                "nngcat",
                "--req",
                "--dial",
                address,
                "--data",
                "hello",
                "--raw",
                "--recv-timeout",
                "5",
            ],
            capture_output=True,
            timeout=10,
            check=True,
        )
    assert done.stdout.startswith(b"hello")


def test_a_client_survives_the_sigkill_of_its_server(url: str) -> None:
    client = NngClient()
    client.dial(url)
    for _ in range(2):  # the second server takes over the socket file of the killed first
        with echo_process(url) as process:
            wait_connected(client)
            assert client.send(1, b"are you there?")
            assert readable(client.fileno())
            assert client.drain(9) == [Reply(1, b"are you there?")]
            os.kill(process.pid, signal.SIGKILL)
            assert readable(client.change_fileno()), "the loss is noticed"
            client.take_changes()
            assert not client.connected
            assert not client.send(2, b"nobody")
    client.close()


def test_a_server_survives_clients_that_die_before_their_answer(url: str) -> None:
    server = NngServer()
    server.listen(url)
    for _ in range(50):
        client = NngClient()
        client.dial(url)
        wait_connected(client)
        client.send(1, b"x" * 100)
        assert readable(server.fileno())
        [received] = server.drain(1)
        client.close()
        server.reply(received.header, received.body)
    with pynng.Req0(dial=url, block_on_dial=True, recv_timeout=5000) as client:
        client.send(b"still here?")
        assert readable(server.fileno())
        [received] = server.drain(1)
        assert server.reply(received.header, b"yes")
        assert client.recv() == b"yes"
    server.close()


def raw_peer(address: str) -> socket.socket:
    """A peer that speaks the wire protocol by hand: REQ's greeting and one request."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    peer = socket.create_connection((host, int(port)))
    peer.sendall(b"\0SP\0\0\x30\0\0")
    request = b"\x80\0\0\x01" + b"x"
    peer.sendall(len(request).to_bytes(8, "big") + request)
    return peer


def test_a_peer_that_never_reads_is_refused_and_harms_nobody_else() -> None:
    server = NngServer()
    address = server.listen("tcp://127.0.0.1:0")
    with raw_peer(address), pynng.Req0(dial=address, block_on_dial=True, recv_timeout=5000) as good:
        assert readable(server.fileno())
        [received] = server.drain(1)
        sent = [server.reply(received.header, b"y" * (1 << 18)) for _ in range(200)]
        assert sent[0]
        assert not sent[-1], "what the peer does not take is refused"
        good.send(b"me too")
        assert readable(server.fileno())
        [received] = server.drain(1)
        assert server.reply(received.header, b"yes")
        assert good.recv() == b"yes"
    server.close()


def test_held_replies_all_arrive_in_order_although_they_are_given_in_one_go() -> None:
    server, client = NngServer(), NngClient()
    server.hold_replies()
    client.dial(server.listen("tcp://127.0.0.1:0"))
    wait_connected(client)
    count = 1000
    for number in range(count):
        assert client.send(number, b"x")
    taken: list[Received] = []
    while len(taken) < count:
        assert readable(server.fileno())
        taken += server.drain(count)
    assert all(server.reply(received.header, b"y") for received in taken)
    replies: list[int] = []
    while len(replies) < count:
        server.push()
        assert readable(client.fileno())
        replies += [reply.request_id for reply in client.drain(count)]
    assert replies == list(range(count))
    assert not server.push()
    client.close()
    server.close()


def test_what_is_held_for_a_peer_that_never_reads_is_bounded_and_goes_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nng, "MAX_HELD_PER_PEER", 50)
    server = NngServer()
    server.hold_replies()
    with raw_peer(server.listen("tcp://127.0.0.1:0")):
        assert readable(server.fileno())
        [received] = server.drain(1)
        sent = [server.reply(received.header, b"y" * (1 << 18)) for _ in range(200)]
        assert sent == [True] * (Backlog.BOUND + 50) + [False] * (150 - Backlog.BOUND)
        assert server.push()
    until_s = time.monotonic() + 5
    while server.push():
        assert time.monotonic() < until_s, "what is held for a peer goes with it"
        select.select((), (), (), 0.01)
    server.close()


def test_a_peer_that_speaks_garbage_is_dropped_and_harms_nobody_else() -> None:
    with echo_thread("tcp://127.0.0.1:0") as address:
        with raw_peer(address) as peer:
            peer.sendall((3).to_bytes(8, "big") + b"abc")  # too short to be a request
            peer.settimeout(5)
            while peer.recv(4096):
                pass  # until the server hangs up
        with pynng.Req0(dial=address, block_on_dial=True, recv_timeout=5000) as good:
            good.send(b"hello")
            assert good.recv() == b"hello"


def test_forgotten_links_free_their_address(url: str) -> None:
    server = NngServer()
    server.listen(url)
    with pytest.raises(LinkError, match="in use"):
        NngServer().listen(url)
    del server  # an actor that crashed
    gc.collect()
    NngServer().listen(url)


def test_the_backlog_forgets_peers_that_have_gone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = NngServer()
    server.listen(url)
    server._backlog._tidy_at = 3
    for _ in range(20):
        client = NngClient()
        client.dial(url)
        wait_connected(client)
        client.send(1, b"x")
        assert readable(server.fileno())
        [received] = server.drain(1)
        server.reply(received.header, b"y")
        client.close()
        server._backlog._tidy_at = min(server._backlog._tidy_at, 3)
    assert len(server._backlog._given) <= 5
    server.close()


def test_links_close_at_exit_without_a_word(url: str) -> None:
    program = (
        "from transport.nng import NngServer, NngClient\n"
        f"s = NngServer(); s.listen({url!r})\n"
        f"c = NngClient(); c.dial({url!r})\n"
        "import select; select.select([c.change_fileno()], [], [], 5)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
