"""Markup as an exchange looks at it: is it well-formed, is it secure, is it what was asked for?

Written from HTML's, VAST 4's and Native 1.2's specifications and sharing nothing with the bidder.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any, Final
from xml.etree import ElementTree as ET

VOID: Final = {"img", "br", "hr", "input", "meta", "link", "source", "wbr", "area", "base", "col"}
DAAST: Final = 9
"""AdCOM's number of DAAST 1.0 among the protocols."""
INSECURE: Final = re.compile(r"http://(?!127\.|localhost|\[::1\]|www\.w3\.org/)[^\s\"'<>\]]*")
"""A plain address. Loopback is trustworthy by W3C's Secure Contexts; namespaces load nothing."""


class _Tags(HTMLParser):
    """Keeps the open elements, and what was closed in the wrong place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.faults.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")


def banner_faults(markup: str, blocked_types: set[int]) -> list[str]:
    """Return what is wrong with a banner's HTML, and whether its type is blocked (``btype``)."""
    tags = _Tags()
    tags.feed(markup)
    tags.close()
    faults = tags.faults + [f"<{tag}> is never closed" for tag in tags.open]
    if not tags.seen:
        faults.append("no element at all")
    is_of = {3: "script" in tags.seen, 4: "iframe" in tags.seen}
    is_of[2] = "img" in tags.seen and not any(is_of.values())
    is_of[1] = not any(is_of.values())
    return faults + [
        f"banner type {kind} is blocked"
        for kind, true in is_of.items()
        if true and kind in blocked_types
    ]


def insecure(markup: str) -> list[str]:
    """Return the plain http addresses in a text."""
    return INSECURE.findall(markup)


def vast_faults(markup: str, medium: dict[str, Any], dur: int) -> list[str]:
    """Return what is wrong with VAST for a video or audio placement.

    Args:
        markup: The bid's ``adm``.
        medium: The ``video`` or ``audio`` object.
        dur: What the bid says of its length, in seconds.
    """
    try:
        root = ET.fromstring(markup)
    except ET.ParseError as error:
        return [f"VAST is no XML: {error}"]
    roots = {"VAST", "DAAST"} if DAAST in (medium.get("protocols") or ()) else {"VAST"}
    if root.tag not in roots or not root.get("version"):
        return [f"the root is {root.tag}, version {root.get('version')}"]
    inline = root.find("Ad/InLine")
    if inline is None:
        return ["no Ad/InLine"]
    faults = [
        f"InLine has no {name}"
        for name in ("AdSystem", "AdTitle", "Impression", "Creatives/Creative/Linear/Duration")
        if not (inline.findtext(name) or "").strip()
    ]
    wanted = set(map(str.lower, medium.get("mimes") or ()))
    files = inline.findall("Creatives/Creative/Linear/MediaFiles/MediaFile")
    types = {(file.get("type") or "").lower() for file in files}
    if not files or any(not (file.text or "").strip() for file in files):
        faults.append("no media file, or one without an address")
    elif wanted and not types & wanted:
        faults.append(f"media of {sorted(types)} for {sorted(wanted)}")
    length = inline.findtext("Creatives/Creative/Linear/Duration") or ""
    if _seconds(length) != dur:
        faults.append(f"Duration {length!r} and dur {dur}")
    return faults


def _seconds(clock: str) -> int:
    match = re.fullmatch(r"(\d\d):([0-5]\d):([0-5]\d)(\.\d{3})?", clock.strip())
    if match is None:
        return -1
    hours, minutes, seconds = map(int, match.groups()[:3])
    return 3600 * hours + 60 * minutes + seconds


def native_faults(markup: str, request: str) -> list[str]:
    """Return what is wrong with a native answer, as to what its request asked for."""
    try:
        asked = json.loads(request)
        said = json.loads(markup)
    except ValueError as error:
        return [f"native is no JSON: {error}"]
    if not isinstance(asked, dict) or not isinstance(said, dict):
        return ["a request or an answer that is no object"]
    wrapped = "native" in asked
    if wrapped:
        asked = asked["native"]
    if "native" in said:
        said = said["native"]
    elif wrapped:
        return ["the request was wrapped in `native`, the answer is not"]
    return _native_parts(said, asked)


def _native_parts(said: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    faults = [] if (said.get("link") or {}).get("url") else ["no link"]
    given = {asset.get("id"): asset for asset in said.get("assets") or ()}
    wanted = {asset.get("id"): asset for asset in asked.get("assets") or ()}
    faults += [f"asset {each} was not asked for" for each in given.keys() - wanted.keys()]
    for number, asset in wanted.items():
        if number in given:
            faults += _asset_faults(asset, given[number])
        elif asset.get("required") == 1:
            faults.append(f"required asset {number} is missing")
    return faults


def _asset_faults(asked: dict[str, Any], said: dict[str, Any]) -> list[str]:
    number = asked.get("id")
    for kind in ("title", "img", "data", "video"):
        if kind in asked and kind not in said:
            return [f"asset {number} is no {kind}"]
    if "title" in asked:
        return _too_long(number, said["title"].get("text"), asked["title"].get("len"))
    if "data" in asked:
        return _too_long(number, said["data"].get("value"), asked["data"].get("len"))
    if "img" in asked:
        return _image_faults(number, asked["img"], said["img"])
    return []


def _too_long(number: Any, text: str | None, longest: int | None) -> list[str]:
    if not text:
        return [f"asset {number} is empty"]
    return [f"asset {number} is longer than {longest}"] if longest and len(text) > longest else []


def _image_faults(number: Any, asked: dict[str, Any], said: dict[str, Any]) -> list[str]:
    faults = [] if said.get("url") else [f"asset {number} has no address"]
    scaled = asked.get("wmin") or asked.get("hmin")  # a size beside them is only a wish
    for side in ("w", "h"):
        exact, least = None if scaled else asked.get(side), asked.get(f"{side}min")
        got = said.get(side) or 0
        if (exact and got != exact) or (not exact and least and got < least):
            faults.append(f"asset {number}: {side} {got} for {exact or least}")
    return faults
