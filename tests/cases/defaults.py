"""What a case leaves out: a small request, one campaign of shoes, and how they are merged."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime
from typing import Any, Final
from zlib import crc32

REQUEST: Final[dict[str, Any]] = {
    "at": 1,
    "tmax": 100,
    "site": {"id": "s1", "domain": "news.example", "page": "https://news.example/today"},
    "device": {
        "ua": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36",
        "devicetype": 2,
        "os": "Windows",
        "language": "en",
        "geo": {"country": "USA"},
    },
}
IMP: Final[dict[str, Any]] = {"banner": {"w": 300, "h": 250}}
CAMPAIGN: Final[dict[str, Any]] = {
    "id": "shoes",
    "name": "Shoes",
    "advertiser_domain": "shoes.example",
    "categories": ["IAB18"],
    "budget_micros": 1_000_000_000_000,
    "default_bid_micros": 4_000,
    "max_bid_micros": 20_000,
    "value_per_conversion_micros": 20_000_000,
}
CREATIVE: Final[dict[str, Any]] = {
    "format": "banner",
    "w": 300,
    "h": 250,
    "mimes": ["image/png"],
    "title": "Shoes that fit",
    "adm": '<a href="https://shoes.example/"><img src="https://cdn.shoes.example/a.png"></a>',
}


def merged(base: Any, change: Any) -> Any:
    """Lay ``change`` over ``base``: tables are merged, ``None`` removes, all else replaces."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return deepcopy(change)
    result = {key: deepcopy(value) for key, value in base.items() if key not in change}
    for key, value in change.items():
        if value is not None:
            result[key] = merged(base.get(key, {}), value)
    return result


def request_of(name: str, change: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """Return the whole request of a case.

    Id, user and address are the case's own, so that cases that share a bidder never meet.

    Args:
        name: Of the case.
        change: What the case says about the request.
        number: Of the request within the case.
    """
    mark = crc32(name.encode())
    own = {
        "id": f"case-{mark:08x}-{number}",
        "user": {"id": f"user-{mark:08x}"},
        "device": {"ip": f"81.{mark >> 16 & 255}.{mark >> 8 & 255}.{mark & 255}"},
    }
    rest = {key: value for key, value in change.items() if key != "imp"}
    request: dict[str, Any] = merged(merged(REQUEST, own), rest)
    if "imp" not in change or change["imp"] is not None:
        imps = change.get("imp", [{}])
        request["imp"] = [
            merged({"id": str(place), **IMP}, imp) for place, imp in enumerate(imps, start=1)
        ]
    return request


def campaigns_of(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the whole campaigns of a case; creatives are merged over the default one."""
    campaigns = []
    for change in changes or [{}]:
        campaign = merged(CAMPAIGN, {**change, "creatives": None})
        creatives = change.get("creatives") or [{}]
        campaign["creatives"] = [
            merged({"id": f"{campaign['id']}-{place}", **CREATIVE}, creative)
            for place, creative in enumerate(creatives, start=1)
        ]
        campaigns.append(campaign)
    return campaigns


def campaign_file(campaigns: list[dict[str, Any]]) -> str:
    """Return the campaigns as a TOML document."""
    return f"campaigns = {_toml(campaigns)}\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(str(key))} = {_toml(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value)  # TOML's basic strings, numbers and booleans are written as JSON's
