from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.transport.conftest import readable
from transport.control import MAX_PEERS, MAX_REQUEST_BYTES, ControlClient, ControlServer
from transport.errors import ControlError, ControlTimeoutError, LinkError, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def handle(op: str, args: dict[str, object]) -> object:
    """Answer as a node might."""
    if op == "echo":
        return args
    if op == "list":
        return [1, 2]
    if op == "big":
        return {"text": "x" * 3_000_000}
    raise ControlError("unknown_op", f"no operation {op!r}; try echo")


class Serving:
    """A control server that is polled on a thread."""

    def __init__(self, path: Path) -> None:
        self.server = ControlServer(path)
        self.path = path
        self.answered = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._done.is_set():
            if readable(self.server.fileno(), timeout_s=0.02):
                self.answered += self.server.poll(handle)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()
        self.server.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = Serving(tmp_path / "control.sock")
    yield made
    made.stop()


def call(serving: Serving, op: str, **args: object) -> dict[str, object]:
    return ControlClient(serving.path).call(op, 5.0, **args)


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.connect(str(path))
    return connection


def test_an_operation_gets_its_arguments_and_returns_its_result(serving: Serving) -> None:
    assert call(serving, "echo", name="bidder-1", n=2) == {"name": "bidder-1", "n": 2}


def test_a_result_that_is_no_object_is_wrapped(serving: Serving) -> None:
    assert call(serving, "list") == {"value": [1, 2]}


def test_a_large_answer_arrives_whole(serving: Serving) -> None:
    assert call(serving, "big") == {"text": "x" * 3_000_000}


def test_a_refusal_keeps_its_code_and_message(serving: Serving) -> None:
    with pytest.raises(ControlError, match="no operation 'nothing'") as caught:
        call(serving, "nothing")
    assert caught.value.code == "unknown_op"


@pytest.mark.parametrize("line", [b"x", b"[]", b"{}", b'{"op": 1}', b'{"op": "a", "args": 3}'])
def test_a_bad_request_is_told_so_and_the_connection_lives(serving: Serving, line: bytes) -> None:
    with connect(serving.path) as peer, peer.makefile("rb") as answers:
        peer.sendall(line + b"\n")
        assert json.loads(answers.readline())["error"]["code"] == "bad_request"
        peer.sendall(b'{"op": "echo"}\n')
        assert json.loads(answers.readline()) == {"ok": True, "result": {}}


def test_a_request_may_come_in_pieces_and_several_at_once(serving: Serving) -> None:
    with connect(serving.path) as peer, peer.makefile("rb") as answers:
        for piece in (b'{"op": "ec', b'ho"}\n{"op"', b': "list"}\n'):
            peer.sendall(piece)
        assert json.loads(answers.readline())["result"] == {}
        assert json.loads(answers.readline())["result"] == [1, 2]


def test_an_endless_line_is_cut_off(serving: Serving) -> None:
    with connect(serving.path) as peer, pytest.raises(OSError, match=r"reset|Broken pipe"):
        peer.sendall(b"x" * (1000 * MAX_REQUEST_BYTES))
    assert call(serving, "echo", still="here") == {"still": "here"}


def test_peers_are_bounded_and_room_comes_back(serving: Serving) -> None:
    peers = [connect(serving.path) for _ in range(MAX_PEERS + 1)]
    assert peers[-1].recv(1) == b"", "one too many is hung up on"
    for peer in peers:
        peer.close()
    assert call(serving, "echo", a=1) == {"a": 1}


def test_a_peer_that_leaves_before_its_answer_is_harmless(serving: Serving) -> None:
    for _ in range(5):
        with connect(serving.path) as peer:
            peer.sendall(b'{"op": "big"}\n')
    assert call(serving, "echo", a=1) == {"a": 1}


def test_no_node_is_told_apart_from_other_errors(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="bidwright up"):
        ControlClient(tmp_path / "none.sock").call("tree", 1.0)


def test_a_node_that_died_is_not_running(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    abandoned = socket.socket(socket.AF_UNIX)
    abandoned.bind(str(path))
    abandoned.close()
    with pytest.raises(NotRunningError):
        ControlClient(path).call("tree", 1.0)


def test_a_node_that_hangs_up_is_not_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "c.sock"))
        listener.listen()

        def accept_and_close() -> None:
            connection, _ = listener.accept()
            connection.close()

        hang_up = threading.Thread(target=accept_and_close)
        hang_up.start()
        with pytest.raises(NotRunningError):
            ControlClient(tmp_path / "c.sock").call("tree", 5.0)
        hang_up.join()


def test_a_node_that_does_not_answer_in_time_is_reported(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c.sock")  # nobody polls it
    with pytest.raises(ControlTimeoutError, match=r"within 0\.01 s"):
        ControlClient(tmp_path / "c.sock").call("tree", 0.01)
    server.close()


def test_the_deadline_counts_for_the_whole_call(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c.sock")
    times = iter([0.0, 10.0])
    with pytest.raises(ControlTimeoutError):
        ControlClient(tmp_path / "c.sock", clock=lambda: next(times)).call("tree", 5.0)
    server.close()


@pytest.mark.parametrize("answer", [b"x", b"{}", b"[]", b'{"ok": false}', b'{"ok": true}'])
def test_an_answer_of_something_else_is_reported(tmp_path: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "c.sock"))
        listener.listen()

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer + b"\n")

        thread = threading.Thread(target=answer_once)
        thread.start()
        with pytest.raises(ControlError, match="not an answer"):
            ControlClient(tmp_path / "c.sock").call("tree", 5.0)
        thread.join()


def test_a_living_node_keeps_its_socket(serving: Serving) -> None:
    with pytest.raises(LinkError, match="already listens"):
        ControlServer(serving.path)
    assert call(serving, "echo", a=1) == {"a": 1}


def test_a_dead_nodes_socket_is_taken_over(tmp_path: Path) -> None:
    abandoned = socket.socket(socket.AF_UNIX)
    abandoned.bind(str(tmp_path / "c.sock"))
    abandoned.close()
    taken = Serving(tmp_path / "c.sock")
    assert call(taken, "echo", a=1) == {"a": 1}
    taken.stop()
    assert not (tmp_path / "c.sock").exists()


def test_only_the_owner_may_connect(serving: Serving) -> None:
    assert serving.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(LinkError):
        ControlServer(tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == "data"


def test_a_path_that_is_too_long_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="cannot listen"):
        ControlServer(tmp_path / ("x" * 200))


def test_a_forked_child_can_let_go_without_disturbing_its_parent(serving: Serving) -> None:
    child = os.fork()
    if child == 0:
        serving.server.release()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert call(serving, "echo", a=1) == {"a": 1}


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c.sock")
    server.close()
    server.close()
    server.release()


def test_an_exception_of_the_handler_reaches_whoever_polls(tmp_path: Path) -> None:
    def broken(_op: str, _args: dict[str, object]) -> object:
        raise RuntimeError("a bug")

    server = ControlServer(tmp_path / "c.sock")
    with connect(tmp_path / "c.sock") as peer:
        assert readable(server.fileno())
        assert server.poll(broken) == 0, "the connection is accepted"
        peer.sendall(b'{"op": "x"}\n')
        assert readable(server.fileno())
        with pytest.raises(RuntimeError, match="a bug"):
            server.poll(broken)
    server.close()


def test_the_client_loads_neither_nng_nor_any_other_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import transport.control; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['transport']"
