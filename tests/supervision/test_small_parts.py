"""The small parts at the edge of the system: the alarm, the loopback address, the process guard."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path

import pytest
from thespian.system.transport.IPBase import TCPv4ActorAddress

from supervision.errors import StartError
from supervision.messages import plain
from supervision.processes.alarm import Alarm
from supervision.processes.loopback import (
    LOOPBACK,
    QUIET_PORTS,
    free_port,
    pin_to_loopback,
    quiet_port,
)


def rings(alarm: Alarm, within_s: float) -> bool:
    return bool(select.select([alarm.fileno()], [], [], within_s)[0])


@pytest.fixture
def alarm() -> Alarm:
    return Alarm()


def test_an_alarm_rings_at_its_time_and_not_before(alarm: Alarm) -> None:
    due_s = time.monotonic() + 0.03
    alarm.set(due_s)
    assert not rings(alarm, 0.0)
    assert rings(alarm, 1.0)
    assert time.monotonic() >= due_s


def test_an_alarm_for_the_past_rings_at_once_and_until_it_is_hushed(alarm: Alarm) -> None:
    alarm.set(0.0)
    assert rings(alarm, 0.5)
    assert rings(alarm, 0.0)
    alarm.hush()
    assert not rings(alarm, 0.0)
    alarm.set(0.0)  # the same moment as before counts again
    assert rings(alarm, 0.5)


def test_an_alarm_that_is_called_off_does_not_ring(alarm: Alarm) -> None:
    alarm.set(time.monotonic() + 0.01)
    alarm.set(None)
    assert not rings(alarm, 0.03)
    alarm.hush()  # harmless when nothing rang


def test_an_alarm_is_not_handed_on_to_other_programs(alarm: Alarm) -> None:
    assert not os.get_inheritable(alarm.fileno())


def test_a_free_port_can_be_listened_on_at_the_loopback_address() -> None:
    port = free_port()
    with socket.socket() as server:
        server.bind((LOOPBACK, port))
        server.listen()


def test_a_quiet_port_is_free_and_is_not_given_to_whoever_connects() -> None:
    port = quiet_port()
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert port in QUIET_PORTS
    assert not low <= port <= high
    with socket.socket() as server:
        server.bind((LOOPBACK, port))
        server.listen()
        assert quiet_port() != port


def test_thespians_addresses_are_pinned_to_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESPIAN_BASE_IPADDR", "192.0.2.1")
    pin_to_loopback()
    address = TCPv4ActorAddress(None, 7777)
    assert address.bindArgs == ((LOOPBACK, 7777),)
    assert address.connectArgs[0][0] == LOOPBACK


def test_a_start_error_has_a_code_and_may_say_more() -> None:
    assert str(StartError("refused")) == "refused"
    error = StartError("no_process", "no process for x: no memory")
    assert (error.reason, str(error)) == ("no_process", "no process for x: no memory")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("killed", "killed"),
        (("shutdown", "asked"), "asked"),
        (
            (
                "shutdown",
                (
                    "failed_to_start_child",
                    "inference",
                    ("shutdown", ("failed_to_start_child", "inference@cpu", "no weights")),
                ),
            ),
            "inference: inference@cpu: no weights",
        ),
        (("start_spec", "duplicate_child_name", "a"), "start_spec: duplicate_child_name: a"),
    ],
)
def test_a_reason_is_told_in_words(reason: object, words: str) -> None:
    assert plain(reason) == words
