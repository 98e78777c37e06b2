"""OpenRTB requests as an exchange sends them, from a user's truth and a source of chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from models.opportunity import category_code

if TYPE_CHECKING:
    import random

Json = dict[str, Any]

_APPLE: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
AGENTS: Final = {
    "phone": f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {_APPLE} Mobile/15E148",
    "tablet": f"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) {_APPLE} Mobile/15E148",
    "desktop": f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE} Version/18.1 Safari/605",
    "tv": "Mozilla/5.0 (SMART-TV; Linux; Tizen 8.0) AppleWebKit/537.36 TV Safari/537.36",
    "other": f"Mozilla/5.0 (PlayStation 5) {_APPLE}",
}
_SYSTEMS: Final = {
    "phone": "iOS",
    "tablet": "iPadOS",
    "desktop": "macOS",
    "tv": "Tizen",
    "other": "Other",
}
_DEVICE_TYPES: Final = {"phone": 4, "tablet": 5, "desktop": 2, "tv": 3, "other": 6}
_LANGUAGES: Final = {"DEU": "de", "FRA": "fr", "BRA": "pt", "JPN": "ja", "ESP": "es"}
_SIZES: Final = {
    "phone": ((320, 50), (300, 250), (300, 250)),
    "tablet": ((300, 250), (728, 90), (468, 60)),
    "desktop": ((300, 250), (728, 90), (160, 600), (300, 600), (970, 250), (120, 600)),
    "tv": ((300, 250),),
    "other": ((300, 250),),
}
_BLOCKED_DOMAINS: Final = (
    "oldcask.example",
    "pixelforge.example",
    "northbank.example",
    "volta.example",
)
_BLOCKED_CATEGORIES: Final = ("IAB8-5", "IAB7", "IAB13", "IAB23", "IAB25", "IAB26")
_VIDEO: Final = {
    "mimes": ["video/mp4"],
    "minduration": 5,
    "maxduration": 30,
    "w": 1280,
    "h": 720,
}
_NATIVE: Final = {
    "request": '{"ver":"1.2","assets":[{"id":1,"title":{"len":90}}]}',
    "ver": "1.2",
}
_GDPR_COUNTRIES: Final = ("DEU", "FRA", "ESP")


def page_request(
    rng: random.Random, request_id: str, category: int, person: tuple[str, str]
) -> Json:
    """Return a request for one page view, without a user.

    Args:
        rng: Source of chance.
        request_id: Becomes the id of the request.
        category: Index of the page's category.
        person: Country (ISO alpha-3) and kind of device.
    """
    country, kind = person
    request: Json = {
        "id": request_id,
        "imp": _impressions(rng, kind),
        "at": 1 if rng.random() < 0.5 else 2,
        "tmax": 100,
        "cur": ["USD"],
        "device": _device(rng, country, kind),
        "source": {"tid": request_id, "fd": 1},
    }
    request.update(_place(rng, category, kind))
    request.update(_rules(rng, country))
    return request


def _impressions(rng: random.Random, kind: str) -> list[Json]:
    count = 2 if kind == "desktop" and rng.random() < 0.15 else 1
    return [_impression(rng, str(number + 1), kind) for number in range(count)]


def _impression(rng: random.Random, imp_id: str, kind: str) -> Json:
    """Return one impression: mostly a banner, and what the device can play."""
    imp: Json = {"id": imp_id, "secure": 1, "tagid": f"tag-{imp_id}"}
    draw = rng.random()
    if kind == "tv" or draw < 0.14:
        imp["video"] = dict(_VIDEO)
        typical_cpm = 6.0
    elif draw < 0.26:
        imp["native"] = dict(_NATIVE)
        typical_cpm = 2.2
    elif draw < 0.30:
        imp["audio"] = {"mimes": ["audio/mpeg"], "minduration": 5, "maxduration": 60}
        typical_cpm = 4.0
    else:
        imp["banner"] = _banner(rng, kind)
        typical_cpm = 1.6
    if rng.random() < 0.5:
        imp["bidfloor"] = round(typical_cpm * rng.uniform(0.1, 0.6), 3)
        imp["bidfloorcur"] = "USD"
    return imp


def _banner(rng: random.Random, kind: str) -> Json:
    sizes = _SIZES[kind]
    w, h = sizes[int(rng.random() * len(sizes))]
    banner: Json = {"w": w, "h": h, "format": [{"w": w, "h": h}], "pos": 1}
    if kind == "desktop" and (w, h) == (300, 600):
        banner["format"].append({"w": 300, "h": 250})
    if rng.random() < 0.1:
        banner["battr"] = [3, 8]
    return banner


def _device(rng: random.Random, country: str, kind: str) -> Json:
    # 198.18.0.0/15 is set aside for benchmarks: nobody real is ever named.
    address = f"198.18.{int(rng.random() * 256)}.{int(rng.random() * 254) + 1}"
    return {
        "ua": AGENTS[kind],
        "ip": address,
        "devicetype": _DEVICE_TYPES[kind],
        "os": _SYSTEMS[kind],
        "language": _LANGUAGES.get(country, "en"),
        "geo": {"country": country},
    }


def _place(rng: random.Random, category: int, kind: str) -> Json:
    """Return the site or app on which the view happens."""
    code = category_code(category)
    number = int(rng.random() * 40)
    publisher = {"id": f"pub-{number % 12}"}
    if kind in {"phone", "tablet", "tv"} and rng.random() < 0.5:
        bundle = f"example.app{category}.n{number}"
        return {"app": {"id": bundle, "bundle": bundle, "cat": [code], "publisher": publisher}}
    domain = f"{code.lower()}-{number}.example"
    page = f"https://{domain}/{int(rng.random() * 1000)}"
    site = {"id": domain, "domain": domain, "page": page, "cat": [code], "publisher": publisher}
    return {"site": site}


def _rules(rng: random.Random, country: str) -> Json:
    """Return what the publisher forbids and what the law asks."""
    rules: Json = {}
    if rng.random() < 0.15:
        rules["badv"] = [domain for domain in _BLOCKED_DOMAINS if rng.random() < 0.5]
    if rng.random() < 0.15:
        rules["bcat"] = [code for code in _BLOCKED_CATEGORIES if rng.random() < 0.5]
    regs: Json = {}
    if country in _GDPR_COUNTRIES:
        regs["gdpr"] = 1
    if rng.random() < 0.02:
        regs["coppa"] = 1
    if regs:
        rules["regs"] = regs
    return rules
