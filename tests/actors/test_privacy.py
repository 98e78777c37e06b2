"""Without leave nothing personal is read any further: no id, no exact place, no whole address."""

from __future__ import annotations

import gc
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.decision.records import user_hash
from actors.reading.opportunity import opportunity_of
from actors.reading.place import Reading
from actors.reading.privacy import coarse_address, privacy_of, user_id_of
from tests.actors.nodes import SECRET, Node, bids_of
from tests.transport.consents import gpp_string, tc_string, us_section
from tests.transport.test_corpus import CORPUS, lines_of
from transport import logs
from transport.codec import decode_request
from transport.memory import MemoryClient, MemoryPublisher, MemoryServer
from transport.openrtb import Device, Eid, Uid, User, UserExt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VENDOR = 7
READING = Reading(vendor_id=VENDOR)
AGREED = tc_string(vendors=(VENDOR,))
REFUSED = tc_string(vendors=(6, 8))
IN_GPP = gpp_string({2: AGREED})
VIRGINIA_FINE = us_section([1, 1, 1, 2, 2, *[0] * 8, 0, 1, 1, 2])
VIRGINIA_OUT = us_section([1, 1, 1, 1, 2, *[0] * 8, 0, 1, 1, 2])


def read(facts: dict[str, Any]) -> Any:
    request = {"id": "r1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], **facts}
    return decode_request(json.dumps(request).encode())[0]


@pytest.mark.parametrize(
    ("facts", "personal"),
    [
        ({}, True),
        ({"regs": {"coppa": 0, "gdpr": 0}}, True),
        ({"regs": {"coppa": 1}}, False),
        ({"regs": {"coppa": 2}}, False),
        ({"device": {"lmt": 1}}, False),
        ({"device": {"dnt": 1}}, False),
        ({"device": {"dnt": 0, "lmt": 0}}, True),
        ({"device": {"lmt": 1}, "user": {"consent": AGREED}, "regs": {"gdpr": 1}}, False),
        ({"regs": {"us_privacy": "1YYN"}}, False),
        ({"regs": {"ext": {"us_privacy": "1YYN"}}}, False),
        ({"regs": {"us_privacy": "1YNN"}}, True),
        ({"regs": {"us_privacy": "1---"}}, True),
        ({"regs": {"us_privacy": "yes"}}, False),
        ({"regs": {"ext": {"gpc": "1"}}}, False),
        ({"regs": {"ext": {"gpc": 1}}}, False),
        ({"regs": {"ext": {"gpc": "0"}}}, True),
        ({"regs": {"gdpr": 1}}, False),
        ({"regs": {"ext": {"gdpr": 1}}}, False),
        ({"regs": {"gdpr": 7}}, False),
        ({"regs": {"gdpr": 1}, "user": {"consent": AGREED}}, True),
        ({"regs": {"ext": {"gdpr": 1}}, "user": {"ext": {"consent": AGREED}}}, True),
        ({"regs": {"gdpr": 1}, "user": {"ext": {"consent": AGREED}}}, True),
        ({"regs": {"gdpr": 1}, "user": {"consent": REFUSED}}, False),
        ({"regs": {"gdpr": 1}, "user": {"consent": REFUSED, "ext": {"consent": AGREED}}}, False),
        ({"regs": {"gdpr": 1}, "user": {"consent": "not readable"}}, False),
        ({"regs": {"gdpr": 1}, "user": {"consent": AGREED[:30]}}, False),
        ({"regs": {"gdpr": 0}, "user": {"consent": REFUSED}}, True),
        ({"regs": {"gpp": gpp_string({2: AGREED}), "gpp_sid": [2]}}, True),
        ({"regs": {"gpp": gpp_string({2: REFUSED}), "gpp_sid": [2]}}, False),
        ({"regs": {"gpp": gpp_string({2: AGREED}), "gdpr": 1}}, True),
        (
            {"regs": {"gpp": gpp_string({2: AGREED}), "gdpr": 1}, "user": {"consent": REFUSED}},
            False,
        ),
        ({"regs": {"gpp_sid": [2]}, "user": {"consent": AGREED}}, True),
        ({"regs": {"gpp_sid": [2]}}, False),
        ({"regs": {"gpp_sid": [7]}}, False),
        ({"regs": {"gpp": gpp_string({9: VIRGINIA_OUT}), "gpp_sid": [9]}}, False),
        ({"regs": {"gpp": gpp_string({9: VIRGINIA_FINE}), "gpp_sid": [9]}}, True),
        ({"regs": {"ext": {"gpp": gpp_string({9: VIRGINIA_OUT}), "gpp_sid": [9]}}}, False),
        ({"regs": {"gpp": gpp_string({9: VIRGINIA_FINE + ".Y"}), "gpp_sid": [9]}}, False),
        ({"regs": {"gpp": gpp_string({9: VIRGINIA_OUT}), "gpp_sid": [-1]}}, True),
        ({"regs": {"gpp": "nonsense", "gpp_sid": [9]}}, False),
        ({"regs": {"gpp": "nonsense"}}, False),
    ],
)
def test_every_signal_can_take_leave_away_and_only_consent_gives_it_under_gdpr(
    facts: dict[str, Any], personal: bool
) -> None:
    assert privacy_of(read(facts), READING).personal is personal


def test_without_a_vendor_number_nobody_consents_under_gdpr() -> None:
    facts = {"regs": {"gdpr": 1}, "user": {"consent": AGREED}}
    assert not privacy_of(read(facts), Reading()).personal


def test_the_purposes_that_we_need_are_a_setting() -> None:
    facts = {"regs": {"gdpr": 1}, "user": {"consent": tc_string(purposes=(1, 2))}}
    assert not privacy_of(read(facts), READING).personal
    modest = Reading(vendor_id=VENDOR, consent_purposes=(1,), interest_purposes=(2,))
    assert privacy_of(read(facts), modest).personal


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("81.2.69.142", "81.2.69.0"),
        ("81.2.69", ""),
        ("81.2.69.142.1", ""),
        ("81.2.69.xxx", "81.2.69.0"),
        ("a.b.c.d", ""),
        ("8100.2.69.1", ""),
        ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:81.2.69.142", "::"),
        ("2001:db8:::1", ""),
        ("u-1234", ""),
    ],
)
def test_an_address_is_cut_off_to_a_network(address: str, kept: str) -> None:
    assert coarse_address(address) == kept


EIDS = (Eid("empty.example"), Eid("ids.example", (Uid(""), Uid("e1"))))


@pytest.mark.parametrize(
    ("user", "ifa", "exchange", "name"),
    [
        (None, "", "", ""),
        (User(buyeruid="b", id="u"), "i", "adx", "b"),
        (User(id="u"), "i", "", "u"),
        (User(id="u"), "i", "adx", "adx:u"),
        (User(), "i", "adx", "i"),
        (User(eids=EIDS), "i", "", "i"),
        (User(eids=EIDS), "", "", "ids.example:e1"),
        (User(ext=UserExt(eids=EIDS)), "", "", "ids.example:e1"),
        (User(eids=EIDS), "00000000-0000-0000-0000-000000000000", "", "ids.example:e1"),
        (None, "00000000-0000-0000-0000-000000000000", "", ""),
    ],
)
def test_a_user_is_known_by_the_name_that_is_worth_most(
    user: User | None, ifa: str, exchange: str, name: str
) -> None:
    assert user_id_of(user, Device(ifa=ifa), exchange) == name


PLANTED = {
    "user": "planted-user-id",
    "buyer": "planted-buyer-id",
    "ifa": "planted0-ifa0-4000-8000-000000000001",
    "eid": "planted-extended-id",
    "ip": "81.2.69.142",
    "ipv6": "2001:db8:85a3:8d3:1319:8a2e:370:7348",
    "city": "plantedville",
    "zip": "planted-zip",
    "lat": "52.520817",
    "lon": "13.409419",
    "segment": "planted-segment",
}
PERSONAL: dict[str, Any] = {
    "user": {
        "id": PLANTED["user"],
        "buyeruid": PLANTED["buyer"],
        "eids": [{"source": "ids.example", "uids": [{"id": PLANTED["eid"]}]}],
        "ext": {"eids": [{"source": "ids.example", "uids": [{"id": PLANTED["eid"]}]}]},
        "data": [{"id": "p", "name": "P", "segment": [{"id": PLANTED["segment"]}]}],
    },
    "device": {
        "ifa": PLANTED["ifa"],
        "ip": PLANTED["ip"],
        "ipv6": PLANTED["ipv6"],
        "ua": "Mozilla/5.0 (X11; Linux x86_64) Firefox/132.0",
        "geo": {
            "country": "DEU",
            "region": "BE",
            "city": PLANTED["city"],
            "zip": PLANTED["zip"],
            "lat": float(PLANTED["lat"]),
            "lon": float(PLANTED["lon"]),
        },
    },
}
DENIALS: list[dict[str, Any]] = [
    {"regs": {"coppa": 1}},
    {"device": {"lmt": 1}},
    {"device": {"dnt": 1}},
    {"regs": {"us_privacy": "1YYN"}},
    {"regs": {"gdpr": 1}},
    {"regs": {"ext": {"gdpr": 1}}, "user": {"ext": {"consent": REFUSED}}},
    {"regs": {"gdpr": 1}, "user": {"consent": "garbage"}},
    {"regs": {"gpp": gpp_string({9: VIRGINIA_OUT}), "gpp_sid": [9]}},
]


def laid_over(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    result = deepcopy(base)
    for key, value in change.items():
        inner = result.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        result[key] = laid_over(inner, value) if both else value  # type: ignore[arg-type]
    return result


@given(
    st.sampled_from(DENIALS),
    st.sets(st.sampled_from(["ip", "ifa", "geo"])),
    st.sets(st.sampled_from(["id", "buyeruid", "eids", "data"])),
    st.sampled_from(["", "adx"]),
)
def test_nothing_personal_is_in_an_opportunity_without_leave(
    denial: dict[str, Any], no_device: set[str], no_user: set[str], exchange: str
) -> None:
    facts = laid_over(PERSONAL, denial)
    for name in no_device:
        del facts["device"][name]
    for name in no_user:
        del facts["user"][name]
    request = read(facts)
    opportunity = opportunity_of(request, request.imp[0], 1.8e9, READING, exchange=exchange)
    assert not opportunity.personal
    text = msgspec.json.encode(opportunity).decode().lower()
    assert [name for name, value in PLANTED.items() if value in text] == []
    if "geo" not in no_device:
        assert (opportunity.country, opportunity.region) == ("DEU", "BE")


def test_with_leave_all_of_it_can_be_used() -> None:
    request = read(PERSONAL)
    opportunity = opportunity_of(request, request.imp[0], 1.8e9, READING)
    assert opportunity.personal
    assert opportunity.user_id == PLANTED["buyer"]
    assert opportunity.ip == PLANTED["ip"]
    assert (opportunity.city, opportunity.zip_code) == (PLANTED["city"], PLANTED["zip"])
    assert opportunity.segments == {
        PLANTED["segment"],
        f"p:{PLANTED['segment']}",
        f"P:{PLANTED['segment']}",
    }


def is_plainly_denied(request: dict[str, Any]) -> bool:
    """Whether a request says in so many words that its user may not be known."""
    regs, device = request.get("regs") or {}, request.get("device") or {}
    ext = regs.get("ext") or {}
    return (
        regs.get("coppa") == 1
        or 1 in (device.get("lmt"), device.get("dnt"), regs.get("gdpr"), ext.get("gdpr"))
        or "Y" in (regs.get("us_privacy") or ext.get("us_privacy") or "")[2:3]
    )


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the OpenRTB corpus is not beside the project")
def test_no_real_request_gives_away_a_user_who_may_not_be_known() -> None:
    denied = 0
    for line in lines_of("requests"):
        request = line["request"]
        if not is_plainly_denied(request):
            continue
        denied += 1
        device, user = request.get("device") or {}, request.get("user") or {}
        ids = [user.get("id"), user.get("buyeruid"), device.get("ifa"), device.get("ip")]
        known = [str(name) for name in ids if name and name != coarse_address(str(name))]
        read_of = decode_request(json.dumps(request).encode())[0]
        for imp in read_of.imp:
            made = opportunity_of(read_of, imp, 1.8e9, Reading())
            assert not made.personal
            assert (made.user_id, made.city, made.zip_code) == ("", "", "")
            assert not made.segments
            assert made.ip not in known
    assert denied > 200


# --- the whole bidder -----------------------------------------------------------------------------


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every frame that leaves a socket, but for those of the exchange."""
    seen: list[bytes] = []
    send, reply, publish = MemoryClient.send, MemoryServer.reply, MemoryPublisher.publish

    def noted_send(link: MemoryClient, request_id: int, body: bytes) -> bool:
        if b"planted-exchange" not in body:
            seen.append(body)
        return send(link, request_id, body)

    def noted_reply(link: MemoryServer, header: bytes, body: bytes) -> bool:
        seen.append(body)
        return reply(link, header, body)

    def noted_publish(link: MemoryPublisher, topic: bytes, body: bytes) -> bool:
        seen.append(topic + body)
        return publish(link, topic, body)

    monkeypatch.setattr(MemoryClient, "send", noted_send)
    monkeypatch.setattr(MemoryServer, "reply", noted_reply)
    monkeypatch.setattr(MemoryPublisher, "publish", noted_publish)
    return seen


OURS = {"actors", "supervision", "models", "transport", "config", "collections", "functools"}
CONTAINERS = (dict, list, tuple, set, frozenset)


def held_by(roots: list[Any]) -> Iterator[str]:
    """Every text that these objects hold, however deep."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        kind = type(each)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if kind is str:
            yield each
        elif kind is bytes:
            yield each.decode("latin-1")
        elif issubclass(kind, msgspec.Struct):
            waiting += [getattr(each, name) for name in kind.__struct_fields__]
        elif kind in CONTAINERS:
            waiting += [] if kind is dict and "__builtins__" in each else gc.get_referents(each)
        elif kind.__module__.partition(".")[0] in OURS:
            waiting += [held for held in gc.get_referents(each) if type(held) is not type]


def traces(folder: Path, changes: list[dict[str, Any]]) -> tuple[int, str, str]:
    """Play requests to a bidder; return its bids, what it wrote, and what it still holds."""
    logs.configure(folder / "log", "debug", "n", "a")
    settings = {"privacy": {"vendor_id": VENDOR}, "logs": {"level": "debug"}}
    node = Node(folder / "data", settings=settings)
    bids = 0
    try:
        for number, change in enumerate(changes):
            request = {
                "id": f"planted-exchange-{number}",
                "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
                "site": {"domain": "news.example", "cat": ["IAB9"]},
                "at": 1,
                "tmax": 100,
                **laid_over(PERSONAL, change),
            }
            sent = node.send(request)
            node.world.run(0.15)
            for bid in bids_of(node.answers()[sent]):
                bids += 1
                node.tell({"type": "win", "key": bid["id"], "price_cpm": bid["price"]})
                node.tell({"type": "impression", "key": bid["id"]})
                node.tell({"type": "click", "key": bid["id"]})
        node.world.run(1.0)
        held = "\n".join(held_by([ref.actor for ref in node.light_actors().values()]))
    finally:
        node.close()
        logs.close()
    files = b"\n".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    return bids, files.decode("latin-1").lower(), held.lower()


def needles() -> dict[str, str]:
    hashes = {f"hash of {name}": user_hash(id_, SECRET[:32]) for name, id_ in PLANTED.items()}
    return PLANTED | hashes


def test_without_leave_a_bidder_records_logs_keeps_and_sends_nothing_personal(
    tmp_path: Path, frames: list[bytes]
) -> None:
    bids, written, held = traces(tmp_path, DENIALS)
    assert bids > 0, "without personal data there are still bids"
    sent = b"\n".join(frames).decode("latin-1").lower()
    for place in (written, held, sent):
        assert [name for name, value in needles().items() if value in place] == []


def test_with_leave_a_bidder_keeps_the_user_and_records_a_hash(tmp_path: Path) -> None:
    agreed = {"regs": {"gdpr": 1}, "user": {"consent": AGREED}}
    bids, written, held = traces(tmp_path, [agreed])
    assert bids > 0
    assert PLANTED["buyer"] in held
    assert [name for name, value in needles().items() if value in written] == ["hash of buyer"]
