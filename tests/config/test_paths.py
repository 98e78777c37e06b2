from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.errors import ConfigError
from config.paths import NodePaths

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def runtime_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not tmp_path: that is too deep for a socket.
    with tempfile.TemporaryDirectory(prefix="bw") as root:
        monkeypatch.setenv("XDG_RUNTIME_DIR", root)
        yield Path(root)


def test_two_data_folders_have_two_socket_folders(runtime_root: Path) -> None:
    one, two = NodePaths(Path("/data/one")), NodePaths(Path("/data/two"))
    assert one.runtime_dir.parent == runtime_root
    assert one.runtime_dir != two.runtime_dir
    assert one.runtime_dir == NodePaths(Path("/data/one")).runtime_dir


def test_without_a_runtime_folder_sockets_go_to_the_shared_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    folder = NodePaths(Path("/data/one")).runtime_dir
    assert folder.parent == Path("/tmp")
    assert folder.name.startswith(f"bidwright-{os.getuid()}-")


def test_a_runtime_folder_that_is_too_deep_for_sockets_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert NodePaths(Path("/data/one")).runtime_dir.parent == Path("/tmp")


def test_every_socket_path_fits_however_deep_the_data_folder_is(runtime_root: Path) -> None:
    paths = NodePaths(Path("/" + "deep/" * 60))
    for name in ("ledger", "ledger-pub", "inference-cuda:15", "events-pub-64", "gateway-64"):
        assert len(paths.ipc(name).removeprefix("ipc://")) <= 107
    assert len(str(paths.control_socket)) <= 107


def test_a_socket_name_that_does_not_fit_is_refused(runtime_root: Path) -> None:
    with pytest.raises(ConfigError, match="too long"):
        NodePaths(Path("/data")).ipc("n" * 120)


def test_making_the_folders_twice_is_harmless_and_sockets_are_private(
    tmp_path: Path, runtime_root: Path
) -> None:
    paths = NodePaths(tmp_path / "data").make().make()
    assert paths.segments_dir.is_dir()
    assert paths.parquet_dir.is_dir()
    assert paths.logs_dir.is_dir()
    assert stat.S_IMODE(paths.runtime_dir.stat().st_mode) == 0o700


def test_a_socket_folder_open_to_others_is_closed(tmp_path: Path, runtime_root: Path) -> None:
    paths = NodePaths(tmp_path / "data")
    paths.runtime_dir.mkdir(mode=0o777)
    paths.runtime_dir.chmod(0o777)
    paths.make()
    assert stat.S_IMODE(paths.runtime_dir.stat().st_mode) == 0o700


def test_a_link_in_the_place_of_the_socket_folder_is_refused(
    tmp_path: Path, runtime_root: Path
) -> None:
    paths = NodePaths(tmp_path / "data")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    paths.runtime_dir.symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="belongs to someone else"):
        paths.make()


def test_a_data_folder_that_can_not_be_made_is_named(tmp_path: Path, runtime_root: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(ConfigError, match="can't make the folder"):
        NodePaths(in_the_way / "data").make()


def test_the_state_file_is_read_back_and_tells_the_socket_folder(
    tmp_path: Path, runtime_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = NodePaths(tmp_path / "data").make()
    paths.write_state({"pid": 7})
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert NodePaths.of_node(tmp_path / "data").runtime_dir == paths.runtime_dir
    assert paths.read_state()["pid"] == 7


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_damaged_state_file_counts_as_none(
    tmp_path: Path, runtime_root: Path, content: str
) -> None:
    paths = NodePaths(tmp_path / "data").make()
    paths.state_file.write_text(content)
    assert paths.read_state() == {}
    assert NodePaths.of_node(tmp_path / "data").runtime_dir == paths.runtime_dir


def test_without_a_node_there_is_no_state(tmp_path: Path, runtime_root: Path) -> None:
    assert NodePaths(tmp_path / "data").read_state() == {}


def test_at_its_end_a_node_leaves_no_socket_and_no_folder_of_sockets(
    tmp_path: Path, runtime_root: Path
) -> None:
    paths = NodePaths(tmp_path / "data").make()
    with socket.socket(socket.AF_UNIX) as left_by_the_dead:
        left_by_the_dead.bind(str(paths.runtime_dir / "ledger.sock"))
    paths.clear_runtime_dir()
    assert not paths.runtime_dir.exists()
    paths.clear_runtime_dir()


def test_what_is_no_socket_is_not_removed_from_the_folder_of_sockets(
    tmp_path: Path, runtime_root: Path
) -> None:
    paths = NodePaths(tmp_path / "data").make()
    strange = paths.runtime_dir / "notes.txt"
    strange.write_text("mine")
    paths.clear_runtime_dir()
    assert strange.read_text() == "mine"
