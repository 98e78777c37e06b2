from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from transport import logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def closed_afterwards() -> Iterator[None]:
    yield
    logs.close()


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_json_with_event_fields_time_level_node_and_actor(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "node.log.jsonl"
    logs.configure(path, "info", "node-1", "bidder-1")
    logs.get_logger(agent="gateway").info("bid_sent", request_id="r1", ms=1.5)
    [line] = lines_in(path)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "agent": "gateway",
        "request_id": "r1",
        "ms": 1.5,
        "event": "bid_sent",
        "level": "info",
        "node": "node-1",
        "actor": "bidder-1",
    }


def test_nothing_goes_anywhere_before_configure(capfd: pytest.CaptureFixture[str]) -> None:
    logs.get_logger().error("nobody hears this")
    assert capfd.readouterr() == ("", "")


def test_a_logger_made_before_configure_writes_after_it(tmp_path: Path) -> None:
    logger = logs.get_logger(agent="early")
    logs.configure(tmp_path / "log", "info", "n", "a")
    logger.warning("later")
    assert lines_in(tmp_path / "log")[0]["agent"] == "early"


@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("error", 1)])
def test_lines_below_the_level_are_left_out(tmp_path: Path, level: str, written: int) -> None:
    logs.configure(tmp_path / "log", level, "n", "a")
    logger = logs.get_logger()
    for method in (logger.debug, logger.info, logger.warning, logger.error):
        method("something")
    assert len(lines_in(tmp_path / "log")) == written


def test_a_traceback_is_one_line(tmp_path: Path) -> None:
    logs.configure(tmp_path / "log", "info", "n", "a")
    try:
        (tmp_path / "missing").read_text()
    except FileNotFoundError:
        logs.get_logger().exception("actor_crashed")
    [line] = lines_in(tmp_path / "log")
    assert "FileNotFoundError" in line["exception"]


def test_values_that_json_does_not_know_are_shown(tmp_path: Path) -> None:
    logs.configure(tmp_path / "log", "info", "n", "a")
    logs.get_logger().info("odd", value=range(3), data=b"\xff")
    assert lines_in(tmp_path / "log")[0]["value"] == "range(0, 3)"


def test_a_full_disk_costs_lines_never_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure(tmp_path / "log", "info", "n", "a")
    before = logs.dropped_lines()

    def disk_full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full)
        logs.get_logger().info("lost")
    assert logs.dropped_lines() == before + 1


def test_configuring_again_moves_to_the_new_file(tmp_path: Path) -> None:
    for name in ("first", "second"):
        logs.configure(tmp_path / name, "info", "n", "a")
        logs.get_logger().info(name)
    assert [line["event"] for line in lines_in(tmp_path / "first")] == ["first"]
    assert [line["event"] for line in lines_in(tmp_path / "second")] == ["second"]


def test_a_large_log_becomes_the_old_one_and_all_who_write_go_on_in_the_new_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    logs.configure(path, "info", "n", "a", max_bytes=300)
    elsewhere = logs._LogFile()
    elsewhere.open(path, 300)
    for number in range(40):
        logs.get_logger().info("said", number=number)
        elsewhere.msg(b'{"number": "other"}')
    elsewhere.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1"]
    assert all(each.stat().st_size < 450 for each in tmp_path.iterdir())
    assert "other" in path.read_text() + (tmp_path / "log.1").read_text()
    kept = [line["number"] for name in ("log.1", "log") for line in lines_in(tmp_path / name)]
    own = [number for number in kept if number != "other"]
    assert own == list(range(own[0], 40))


def test_an_unknown_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of debug, info"):
        logs.configure(tmp_path / "log", "loud", "n", "a")
