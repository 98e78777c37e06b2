"""Bid requests by chance: from the schema, with values that matter, and spoilt on purpose.

Principle: the schema says what may be there; `HINTS` says which values make rules meet (our sizes,
our deals, our advertisers, floors about our prices), because blind values would never get a bid.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Final

from hypothesis import strategies as st

from tests.schemas.validators import schema_of

Json = Any
OPTIONAL_SHARE: Final = 3
"""About one of so many optional attributes is there, so that requests stay small."""

TEXT: Final = st.text(max_size=12)
SMALL: Final = st.integers(-2, 70)
LANGUAGES: Final = st.lists(st.sampled_from(["en", "de", "fr", "xx"]), max_size=2)
CATEGORIES: Final = st.lists(
    st.sampled_from([*(f"IAB{number}" for number in range(1, 27)), "IAB18-1", "IAB7-39", "x", ""]),
    max_size=4,
)
DOMAINS: Final = st.lists(
    st.sampled_from(["fernweh.example", "Autohaus-Volta.example", "example", "a.b.example", ""]),
    max_size=3,
)
SEATS: Final = st.lists(st.sampled_from(["bidwright", "other"]), max_size=2)
CURRENCY: Final = st.sampled_from(["USD", "EUR", "GBP", "JPY", "ZZZ", "", "usd"])
FLOOR: Final = st.one_of(st.just(0.0), st.floats(0, 8), st.sampled_from([0.01, 1e-9, 1e9]))
NATIVE: Final = st.builds(
    lambda assets, wrapped: json.dumps({"native": assets} if wrapped else assets),
    st.fixed_dictionaries(
        {
            "assets": st.lists(
                st.sampled_from(
                    [
                        {"id": 1, "required": 1, "title": {"len": 40}},
                        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 300, "hmin": 200}},
                        {"id": 3, "img": {"type": 1, "w": 50, "h": 50}},
                        {"id": 4, "data": {"type": 1, "len": 20}},
                        {"id": 5, "required": 1, "data": {"type": 2}},
                        {"id": 6, "required": 1, "video": {"mimes": ["video/mp4"]}},
                    ]
                ),
                max_size=4,
                unique_by=lambda asset: asset["id"],
            )
        },
        optional={"ver": st.sampled_from(["1.0", "1.1", "1.2", "9"]), "context": SMALL},
    ),
    st.booleans(),
)
HINTS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "at": st.sampled_from([1, 2, 3, 500]),
    "acat": CATEGORIES,
    "badv": DOMAINS,
    "bcat": CATEGORIES,
    "bidfloor": FLOOR,
    "bidfloorcur": CURRENCY,
    "bseat": SEATS,
    "cat": CATEGORIES,
    "cattax": st.sampled_from([1, 2, 5, 6, 7, 99]),
    "consent": st.sampled_from(["", "CPtcAgAPtcAgAAGABCENCZCAAAAAAAAAAAAAAAAAAAAA", "!", "1YNN"]),
    "coppa": st.sampled_from([0, 1]),
    "country": st.sampled_from(["USA", "DEU", "GBR", "usa", "US", ""]),
    "cur": st.lists(CURRENCY, max_size=2),
    "exp": st.integers(0, 4000),
    "gdpr": st.sampled_from([0, 1, 2]),
    "gpp": st.sampled_from(["", "DBABMA~CPXxRfAPXxRfAAfKABENB", "DBABBg~BVVqAAAACg", "~~"]),
    "gpp_sid": st.lists(st.sampled_from([-1, 2, 6, 7, 99]), max_size=2),
    "h": st.sampled_from([50, 90, 250, 360, 480, 600, 0, 1]),
    "ip": st.sampled_from(["81.2.69.142", "10.0.0.1", "::1", "not an address", ""]),
    "language": st.sampled_from(["en", "de", "EN", ""]),
    "maxduration": st.sampled_from([0, 6, 15, 30, 60]),
    "mimes": st.lists(
        st.sampled_from(["video/mp4", "audio/mpeg", "image/png", "text/html", ""]),
        min_size=1,
        max_size=3,
    ),
    "mincpmpersec": st.sampled_from([0.0, 0.05, 1.0]),
    "minduration": st.sampled_from([0, 5, 15]),
    "multiplier": st.floats(0.01, 500),
    "private_auction": st.sampled_from([0, 1]),
    "protocols": st.lists(st.integers(0, 14), max_size=5),
    "request": NATIVE,
    "rqddurs": st.lists(st.sampled_from([6, 15, 30]), max_size=2),
    "secure": st.sampled_from([0, 1]),
    "tmax": st.sampled_from([0, 5, 40, 100, 1000]),
    "us_privacy": st.sampled_from(["", "1YNN", "1YYN", "1---", "??"]),
    "utcoffset": st.integers(-900, 900),
    "w": st.sampled_from([300, 320, 640, 728, 160, 0, 1]),
    "wlang": LANGUAGES,
    "wlangb": LANGUAGES,
    "wseat": SEATS,
}


def requests(deal_ids: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of bid requests that conform to the schema.

    Args:
        deal_ids: Deals that campaigns hold, so that some are met.
    """
    schema = schema_of("bid_request")
    # Ids are told apart in answers, so they are never equal by chance.
    maker = _Maker(schema["$defs"], st.sampled_from([*deal_ids, "d-1", "d-2"]))
    return st.builds(_with_ids, maker.object_of(schema), st.uuids())


def _with_ids(request: dict[str, Any], number: Any) -> dict[str, Any]:
    request["id"] = str(number)
    for place, imp in enumerate(request["imp"], start=1):
        imp["id"] = f"imp-{place}"
        deals = (imp.get("pmp") or {}).get("deals") or []
        for extra, deal in enumerate(deals):
            if deal["id"] in {each["id"] for each in deals[:extra]}:
                deal["id"] += f"-{extra}"
    return request


class _Maker:
    """Turns the subset of JSON Schema that our schema uses into strategies, each object once."""

    def __init__(self, defs: dict[str, Any], deal_ids: st.SearchStrategy[str]) -> None:
        self._defs = defs
        self._deal_ids = deal_ids
        self._made: dict[str, st.SearchStrategy[Any]] = {}

    def object_of(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        required = set(schema.get("required", ()))
        title = schema["title"]
        parts = {
            name: self._deal_ids
            if title.startswith("Deal ") and name == "id"
            else self._of(part, name)
            for name, part in schema["properties"].items()
        }
        return st.composite(_object)(parts, required, schema)

    def _of(self, schema: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
        if name in HINTS and schema.get("type") != "object" and "$ref" not in schema:
            return HINTS[name]
        if "$ref" in schema:
            target = schema["$ref"].rpartition("/")[2]
            if target not in self._made:
                self._made[target] = st.deferred(lambda: self.object_of(self._defs[target]))
            return self._made[target]
        if schema["type"] == "array":
            least = schema.get("minItems", 0)
            return st.lists(self._of(schema["items"], ""), min_size=least, max_size=2)
        return _scalar(schema)


def _scalar(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema["type"]:
        case "string":
            return TEXT
        case "integer":
            return SMALL.filter(lambda number: number >= schema.get("minimum", -99))
        case "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", -180))
            return st.floats(least, 180, exclude_min="exclusiveMinimum" in schema)
        case _:
            return st.dictionaries(TEXT, st.one_of(st.none(), SMALL, TEXT), max_size=2)


def _object(
    draw: st.DrawFn,
    parts: dict[str, st.SearchStrategy[Any]],
    required: set[str],
    schema: dict[str, Any],
) -> dict[str, Any]:
    """Draw an object: what is required, one of `anyOf`, some of the rest, no forbidden pair."""
    wanted = set(required)
    if "anyOf" in schema:
        wanted |= set(draw(st.sampled_from(schema["anyOf"]))["required"])
    chosen = wanted | {
        name for name in parts if name not in wanted and draw(st.integers(1, OPTIONAL_SHARE)) == 1
    }
    for rule in schema.get("allOf", ()):
        pair = rule["not"]["required"]
        if set(pair) <= chosen:
            chosen.discard(pair[draw(st.integers(0, 1))])
    return {name: draw(parts[name]) for name in parts if name in chosen}


# --- spoilt on purpose ---------------------------------------------------------------------------

NASTY: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63), 2**64, 10**30, 1e308, -0.0, 1e-320]),
    st.sampled_from(["", "0", "NaN", "\x00", "\ud7ff\ue000", "a" * 5000, "💶", "${AUCTION_PRICE}"]),
    st.sampled_from([[], {}, [[]], [None], {"": None}, [{}] * 50, {"ext": {"ext": {"ext": {}}}}]),
    st.recursive(SMALL, lambda inner: st.lists(inner, max_size=3), max_leaves=20),
)


@st.composite
def spoilt(draw: st.DrawFn, sound: st.SearchStrategy[dict[str, Any]]) -> Any:
    """Draw a sound request and change one to four places in it to something that is not."""
    document = deepcopy(draw(sound))
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(document))
        owner, key = places[draw(st.integers(0, len(places) - 1))]
        what = draw(st.integers(0, 3))
        if what == 0:
            del owner[key]
        elif what == 1 and isinstance(owner, list):
            owner.extend([owner[key]] * draw(st.integers(1, 40)))
        elif what == 2 and isinstance(owner, dict):
            owner[draw(TEXT)] = owner[key]
        else:
            owner[key] = deepcopy(draw(NASTY))  # what is drawn is shared, and spoilt further here
        if not document:
            break
    return document


def _places(document: Json) -> Any:
    """Every place in a document, as owner and key."""
    if isinstance(document, dict | list):
        keys = list(document) if isinstance(document, dict) else range(len(document))
        for key in keys:
            yield document, key
            yield from _places(document[key])
