"""The checker of answers notices every rule that is broken, and nothing in an answer that is sound.

Who checks the checker: from a sound pair of request and answer each rule is broken alone, and just
that has to be told.
"""

from __future__ import annotations

import ast
import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.openrtb.checker import Facts, faults_of
from tests.openrtb.money import floor_of, rates_of, worth

VAST = (
    '<VAST version="4.2"><Ad id="a"><InLine><AdSystem>x</AdSystem><AdTitle>t</AdTitle>'
    "<Impression>https://x.example/i</Impression><Creatives><Creative><Linear>"
    "<Duration>00:00:15</Duration><MediaFiles>"
    '<MediaFile delivery="progressive" type="video/mp4" width="640" height="360">'
    "https://x.example/a.mp4</MediaFile></MediaFiles></Linear></Creative></Creatives>"
    "</InLine></Ad></VAST>"
)
NATIVE_REQUEST = {
    "native": {
        "assets": [
            {"id": 1, "required": 1, "title": {"len": 12}},
            {"id": 2, "required": 1, "img": {"type": 3, "wmin": 300, "hmin": 200}},
            {"id": 3, "data": {"type": 2, "len": 20}},
        ]
    }
}
NATIVE = {
    "native": {
        "link": {"url": "https://x.example/"},
        "assets": [
            {"id": 1, "title": {"text": "Shoes"}},
            {"id": 2, "img": {"url": "https://x.example/a.png", "w": 300, "h": 200}},
        ],
    }
}
FACTS = Facts(
    {"c": {"advertiser_domain": "shop.example", "categories": ["IAB18-1"]}},
    {"USD": 1.0, "EUR": 0.5, "GBP": 0.4},
)
REQUEST: dict[str, Any] = {
    "id": "r",
    "user": {"id": "user-of-the-exchange"},
    "imp": [
        {"id": "b", "bidfloor": 1.0, "secure": 1, "exp": 60, "banner": {"w": 300, "h": 250}},
        {"id": "v", "video": {"mimes": ["video/mp4"], "minduration": 5, "maxduration": 20}},
        {"id": "n", "native": {"request": json.dumps(NATIVE_REQUEST)}},
    ],
}
COMMON = {"adomain": ["shop.example"], "cid": "c", "crid": "x", "cat": ["IAB18-1"], "exp": 30}
IMG = '<a href="https://x.example/"><img src="https://x.example/a.png"></a>'
ANSWER: dict[str, Any] = {
    "id": "r",
    "seatbid": [
        {
            "seat": "s",
            "bid": [
                {"id": "1", "impid": "b", "price": 2.0, "mtype": 1, "adm": IMG, "w": 300, "h": 250},
                {"id": "2", "impid": "v", "price": 2.0, "mtype": 2, "adm": VAST, "dur": 15},
                {"id": "3", "impid": "n", "price": 2.0, "mtype": 4, "adm": json.dumps(NATIVE)},
            ],
        }
    ],
}
for _bid in ANSWER["seatbid"][0]["bid"]:
    _bid.update(COMMON)

DEAL = {"deals": [{"id": "d", "bidfloor": 3.0, "bidfloorcur": "USD"}]}


def put(document: Any, path: str, value: Any) -> None:
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        document = document[part]
    document[last] = value


def native_with(change: str, value: Any) -> str:
    said = deepcopy(NATIVE)
    put(said, change, value)
    return json.dumps(said)


# What is changed in request (r.), the banner's, the video's or the native bid (b., v., n.) or the
# answer (a.), and a word of what must be told.
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"a.id": "other"}, "id 'other'"),
    ({"a.seatbid": []}, "no bid and no reason"),
    ({"a.cur": "EUR"}, "currency EUR"),
    ({"r.cur": ["EUR"]}, "currency USD"),
    ({"b.impid": "zzz"}, "impid zzz"),
    ({"v.id": "1"}, "one id"),
    ({"n.impid": "b", "n.mtype": 1, "n.adm": IMG, "n.w": 300, "n.h": 250}, "one market"),
    ({"b.adm": f"{IMG}<i>user-of-the-exchange</i>"}, "of the user"),
    ({"b.mtype": 2}, "none was asked for"),
    ({"b.price": 0}, "price 0"),
    ({"b.price": 0.99}, "below 1.0"),
    ({"r.imp.0.bidfloorcur": "EUR", "b.price": 1.9}, "below 2.0"),
    ({"r.imp.0.bidfloorcur": "ZZZ"}, "cannot be compared"),
    ({"r.imp.1.video.mincpmpersec": 0.2}, "below 3.0"),
    ({"r.imp.1.video.durfloors": [{"mindur": 10, "maxdur": 15, "bidfloor": 2.5}]}, "below 2.5"),
    ({"b.dealid": "d"}, "not offered"),
    ({"r.imp.0.pmp": {"private_auction": 1}}, "private auction"),
    ({"r.imp.0.pmp": DEAL, "b.dealid": "d"}, "below 3.0"),
    ({"r.imp.0.pmp": {"deals": [{"id": "d", "at": 3, "bidfloor": 1}]}, "b.dealid": "d"}, "agreed"),
    ({"r.imp.0.pmp": {"deals": [{"id": "d", "wseat": ["t"]}]}, "b.dealid": "d"}, "deal is for"),
    (
        {"r.imp.0.pmp": {"deals": [{"id": "d", "wadomain": ["t.example"]}]}, "b.dealid": "d"},
        "deal is for",
    ),
    ({"r.wseat": ["t"]}, "not among"),
    ({"r.bseat": ["s"]}, "seat s is blocked"),
    ({"r.badv": ["Shop.Example"]}, "is blocked by"),
    ({"r.badv": ["example"]}, "is blocked by"),
    ({"b.adomain": ["other.example"], "r.badv": ["shop.example"]}, "is blocked by"),
    ({"r.bapp": ["com.x"], "b.bundle": "com.x"}, "app com.x"),
    ({"r.bcat": ["IAB18"]}, "category IAB18-1"),
    ({"r.bcat": ["IAB18-1"], "b.cat": ["IAB1"]}, "category IAB18-1"),
    ({"r.acat": ["IAB1"]}, "is allowed"),
    ({"r.bcat": ["1"], "r.cattax": 7}, "taxonomy"),
    ({"r.imp.0.banner.battr": [3], "b.attr": [3]}, "attribute 3"),
    ({"r.wlang": ["de"], "b.language": "en"}, "language en"),
    ({"r.wlangb": ["de-AT"], "b.language": "en"}, "language en"),
    ({"b.exp": 61}, "longer than 60"),
    ({"r.imp.1.video.protocols": [2], "v.protocol": 7}, "protocol 7"),
    ({"b.apis": [5]}, "apis [5]"),
    ({"b.w": 320}, "size (320, 250)"),
    ({"r.imp.1.video.minduration": 16}, "shorter"),
    ({"r.imp.1.video.maxduration": 14}, "longer"),
    ({"r.imp.1.video.rqddurs": [10, 20]}, "not among [10, 20]"),
    ({"b.adm": "<div><b></div>"}, "closes nothing"),
    ({"b.adm": "<div>"}, "never closed"),
    ({"b.adm": "words"}, "no element"),
    ({"b.adm": '<img src="x" src="y">'}, "twice"),
    ({"r.imp.0.banner.btype": [2]}, "type 2"),
    ({"b.adm": "<script></script>", "r.imp.0.banner.btype": [3]}, "type 3"),
    ({"b.adm": '<img src="http://x.example/a.png">'}, "insecure"),
    ({"v.adm": "<VAST"}, "no XML"),
    ({"v.adm": '<VAST version="4.2"/>'}, "no Ad/InLine"),
    ({"v.adm": VAST.replace("<AdTitle>t</AdTitle>", "")}, "no AdTitle"),
    ({"v.adm": VAST.replace("video/mp4", "video/webm")}, "video/webm"),
    ({"v.adm": VAST.replace("https://x.example/a.mp4", "")}, "without an address"),
    ({"v.dur": 10}, "dur 10"),
    ({"n.adm": "{"}, "no JSON"),
    ({"n.adm": json.dumps(NATIVE["native"])}, "wrapped"),
    ({"n.adm": native_with("native.link", {})}, "no link"),
    ({"n.adm": native_with("native.assets", [])}, "required asset 1"),
    ({"n.adm": native_with("native.assets.0.id", 9)}, "not asked for"),
    ({"n.adm": native_with("native.assets.0.title.text", "S" * 13)}, "longer than 12"),
    ({"n.adm": native_with("native.assets.1.img.w", 299)}, "w 299"),
    ({"n.adm": native_with("native.assets.1", {"id": 2, "title": {"text": "x"}})}, "is no img"),
]


def test_a_sound_answer_has_no_fault() -> None:
    assert faults_of(REQUEST, ANSWER, FACTS) == []
    assert faults_of(REQUEST, {"id": "r", "nbr": 500, "ext": {"reason": "x"}}, FACTS) == []


@pytest.mark.parametrize(("change", "word"), BROKEN, ids=[f"{c}: {w}" for c, w in BROKEN])
def test_each_rule_that_is_broken_is_told(change: dict[str, Any], word: str) -> None:
    request, answer = deepcopy(REQUEST), deepcopy(ANSWER)
    for path, value in change.items():
        owner, _, rest = path.partition(".")
        if owner in "bvn":
            put(answer["seatbid"][0]["bid"]["bvn".index(owner)], rest, value)
        else:
            put(request if owner == "r" else answer, rest, value)
    told = faults_of(request, answer, FACTS)
    assert any(word in fault for fault in told), told


def test_rates_are_read_from_any_base_and_amounts_go_both_ways() -> None:
    rates = rates_of({"conversions": {"USD": {"EUR": 0.5}, "GBP": {"USD": 1.25}}})
    assert rates == {"USD": 1.0, "EUR": 0.5, "GBP": 0.8}
    assert worth(1.0, "EUR", "GBP", rates) == pytest.approx(1.6)
    assert worth(1.0, "EUR", "ZZZ", rates) is None


def test_a_floor_is_the_deals_then_the_mediums_then_the_impressions() -> None:
    imp = {"bidfloor": 1.0, "bidfloorcur": "EUR", "video": {"mincpmpersec": 0.125}}
    assert floor_of(imp, None, "banner", 0) == (1.0, "EUR")
    assert floor_of(imp, None, "video", 30) == (3.75, "EUR")
    assert floor_of(imp, {"id": "d"}, "banner", 0) == (1.0, "EUR")
    assert floor_of(imp, {"id": "d", "bidfloor": 2.0}, "video", 30) == (2.0, "USD")
    timed = {"id": "d", "durfloors": [{"maxdur": 15, "bidfloor": 4.0}], "bidfloorcur": "GBP"}
    assert floor_of(imp, timed, "video", 15) == (4.0, "GBP")
    assert floor_of(imp, timed, "banner", 0) == (1.0, "EUR")


@pytest.mark.parametrize("name", ["checker", "markup", "money"])
def test_the_checker_shares_no_code_with_the_bidder(name: str) -> None:
    tree = ast.parse(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert all(each.partition(".")[0] in {*sys.stdlib_module_names, "tests"} for each in named)
    assert all(each.startswith("tests.openrtb.") for each in named if each.startswith("tests"))
