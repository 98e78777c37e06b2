"""What people see of states and messages is bounded, plain, and without what is private."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from supervision.inspection.redaction import MESSAGE_BOUNDS, Bounds, is_private, plain_data
from tests.supervision.worlds import notebook

if TYPE_CHECKING:
    from supervision import Cell


class Question(msgspec.Struct, frozen=True):
    request_id: str
    user_id: str
    ip: str
    floor_micros: int


@dataclass(frozen=True, slots=True)
class Kit:
    name: str
    secret: bytes
    api_token: str
    nested: Any = None


class User:
    def __init__(self) -> None:
        self.name = "Ada"


class UserMemory(dict[str, int]):
    pass


@dataclass
class Loop:
    inner: Any = None


class Broken:
    @property
    def dtype(self) -> str:
        raise RuntimeError("not now")

    shape = (1,)


@pytest.mark.parametrize(
    "name",
    [
        "user",
        "user_id",
        "userId",
        "UserMemory",
        "buyeruid",
        "ip",
        "device_ip",
        "ipv6",
        "ifa",
        "consent",
        "gdpr_consent",
        "gpp",
        "regs",
        "geo",
        "api_key",
        "key",
        "secret",
        "notice_secret",
        "signature",
        "nurl",
        "adm",
        "user-agent",
        "tokens",
    ],
)
def test_names_that_tell_of_a_person_or_unlock_something_are_private(name: str) -> None:
    assert is_private(name)


@pytest.mark.parametrize(
    "name",
    [
        "tip",
        "recipient",
        "monkey",
        "keyboard",
        "campaign_id",
        "floor_micros",
        "usage",
        "request_id",
        "equipment",
        "requests",
        "description",
        "abusers",
        "geometry",
        "regsvr",
    ],
)
def test_names_that_only_look_like_it_are_not(name: str) -> None:
    assert not is_private(name)


def test_private_fields_are_marked_wherever_they_stand() -> None:
    secret_words = ("ada@example", "192.0.2.7", "s3cret", "t0ken", "Ada")
    question = Question("r-1", "ada@example", "192.0.2.7", 500)
    kit = Kit("k", b"s3cret", "t0ken", {"asked": [question], "who": User(), "user": {"a": 1}})
    shown = plain_data({"kit": kit})
    assert shown == {
        "kit": {
            "type": "Kit",
            "name": "k",
            "secret": "<redacted>",
            "api_token": "<redacted>",
            "nested": {
                "asked": [
                    {
                        "type": "Question",
                        "request_id": "r-1",
                        "user_id": "<redacted>",
                        "ip": "<redacted>",
                        "floor_micros": 500,
                    }
                ],
                "who": "<redacted User>",
                "user": "<redacted, 1 entries>",
            },
        }
    }
    assert not any(word in json.dumps(shown) for word in secret_words)


def test_what_is_kept_by_users_is_only_counted() -> None:
    assert plain_data(UserMemory(ada=1, bob=2)) == "<redacted UserMemory, 2 entries>"


@pytest.mark.parametrize(
    "key",
    [
        "ada@example.com",
        "203.0.113.7",
        "2001:db8::1",
        "1fa0c0de-4713-4713-4713-00000000beef",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_keys_that_look_like_a_person_or_a_device_are_marked(key: str) -> None:
    assert plain_data({key: 1, "campaign-7": 2}) == {"<redacted> 1": 1, "campaign-7": 2}


def test_bytes_are_counted_because_nobody_knows_what_is_in_them() -> None:
    for value in (b"secret", bytearray(b"secret"), memoryview(b"secret")):
        assert plain_data([value]) == ["<6 bytes>"]


def test_texts_containers_and_depth_are_bounded() -> None:
    bounds = Bounds(depth=2, items=3, characters=5)
    assert plain_data("abcdefgh", bounds) == "abcd…"
    assert plain_data(list(range(10)), bounds) == [0, 1, 2, "... 7 more"]
    assert plain_data({n: n for n in range(5)}, bounds) == {
        "0": 0, "1": 1, "2": 2, "...": "2 more",
    }  # fmt: skip
    assert plain_data([[[1]]], bounds) == [["<list, 1 entries>"]]
    endless = Loop()
    endless.inner = endless
    assert len(json.dumps(plain_data(endless))) < 500
    big = {f"n{number}": ["x" * 500] * 500 for number in range(500)}
    assert len(json.dumps(plain_data({"a": big}, MESSAGE_BOUNDS))) < 50_000


def test_everything_becomes_data_that_json_can_carry(cell: Cell) -> None:
    ref, book = notebook(cell, name="book")
    values = {
        "set": {1},
        "deque": deque([1], maxlen=3),
        "ordered": OrderedDict(a=1),
        "array": np.zeros((2, 3), dtype=np.float32),
        "infinite": [float("inf"), float("nan")],
        "address": ref,
        "actor_class": type(book),
        "function": plain_data,
        "path": Path("/some/where"),
        ("a", 1): None,
    }
    shown = plain_data(values)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["array"] == "<ndarray of float32, shape (2, 3)>"
    assert shown["address"] == "book"
    assert shown["infinite"] == ["inf", "nan"]
    assert shown["path"] == "/some/where"
    assert shown["['a', 1]"] is None


def test_an_object_that_breaks_when_it_is_looked_at_hurts_only_its_own_place() -> None:
    @dataclass
    class Holder:
        good: int = 1
        bad: Any = field(default_factory=Broken)

    shown = plain_data(Holder())
    assert shown["good"] == 1
    assert shown["bad"] == "<Broken that cannot be shown: RuntimeError>"
