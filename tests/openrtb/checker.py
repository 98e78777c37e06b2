"""Does an answer keep every promise that OpenRTB 2.6 asks of a bidder? Checked from outside.

Principle: it reads a request and an answer as an exchange would, by the specification's words, with
code of its own: nothing of the bidder is imported, so a rule that was misread there is not misread
here as well. What a bidder could lie about (its ad's categories) is looked up in the campaign file.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.openrtb.markup import banner_faults, insecure, native_faults, vast_faults
from tests.openrtb.money import Rates, floor_of, rates_of, worth

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
MEDIA: Final = {1: "banner", 2: "video", 3: "audio", 4: "native"}
FIXED_PRICE: Final = 3
ROUNDING: Final = 1e-9
OURS: Final = "http://127.0.0.1:8080 localhost"
"""Where a node on this machine wants its notices; a request may name this machine, too."""
LONG_ENOUGH: Final = 8
"""Shorter ids of users can't be told from other text."""


@dataclass(frozen=True)
class Facts:
    """What is known besides request and answer.

    Attributes:
        campaigns: As in the campaign file, by id; empty where it is not known.
        rates: Units of each currency for one US dollar.
    """

    campaigns: dict[str, Json] = field(default_factory=dict)
    rates: Rates = field(default_factory=lambda: {"USD": 1.0})


def facts_of(campaign_file: Path, rate_file: Path) -> Facts:
    """Read the campaign file and the table of rates, raw."""
    campaigns = tomllib.loads(campaign_file.read_text(encoding="utf-8"))["campaigns"]
    rates = rates_of(json.loads(rate_file.read_text(encoding="utf-8")))
    return Facts({campaign["id"]: campaign for campaign in campaigns}, rates)


def faults_of(request: Json, answer: Json, facts: Facts) -> list[str]:
    """Return every rule that the answer to a valid request breaks, in words."""
    found = [] if answer.get("id", "") == request["id"] else [f"id {answer.get('id')!r}"]
    found += _personal_faults(request, answer)
    bids = [
        (bid, seat.get("seat", "")) for seat in answer.get("seatbid", ()) for bid in seat["bid"]
    ]
    if not bids:
        said_why = "nbr" in answer and (answer.get("ext") or {}).get("reason")
        return found if said_why else [*found, "no bid and no reason"]
    currency = answer.get("cur", "USD")
    if currency not in (request.get("cur") or ["USD"]):
        found.append(f"currency {currency} for {request.get('cur')}")
    found += _repeated([bid for bid, _ in bids])
    imps = {imp["id"]: imp for imp in request["imp"]}
    for bid, seat in bids:
        imp = imps.get(bid["impid"])
        if imp is None:
            found.append(f"impid {bid['impid']}")
        else:
            wrong = _Check(request, imp, bid, seat, currency, facts).faults()
            found += [f"imp {imp['id']}, {bid.get('crid')}: {each}" for each in wrong]
    return found


def _repeated(bids: list[Json]) -> list[str]:
    markets = [(bid["impid"], bid.get("dealid")) for bid in bids]
    ids = [bid["id"] for bid in bids]
    found = ["two bids have one id"] if len(set(ids)) < len(ids) else []
    return [*found, "two bids in one market"] if len(set(markets)) < len(markets) else found


def _personal_faults(request: Json, answer: Json) -> list[str]:
    """Nothing that names a user may come back in an answer: it travels through other hands."""
    user, device = request.get("user") or {}, request.get("device") or {}
    named = [user.get("id"), user.get("buyeruid"), device.get("ifa"), device.get("ip")]
    named += [uid.get("id") for eid in user.get("eids") or () for uid in eid.get("uids") or ()]
    said = json.dumps({**answer, "id": ""})
    echoed = json.dumps([imp["id"] for imp in request["imp"]])
    return [
        f"{each!r} of the user is in the answer"
        for each in named
        if each and len(each) >= LONG_ENOUGH and each in said and each not in echoed + OURS
    ]


class _Check:
    """One bid against its impression."""

    def __init__(
        self, request: Json, imp: Json, bid: Json, seat: str, currency: str, facts: Facts
    ) -> None:
        self.request, self.imp, self.bid = request, imp, bid
        self.seat, self.currency, self.facts = seat, currency, facts
        self.medium = MEDIA.get(bid.get("mtype", 0), "?")
        deals = (imp.get("pmp") or {}).get("deals") or ()
        self.deal = next((deal for deal in deals if deal.get("id") == bid.get("dealid")), None)
        self.campaign = facts.campaigns.get(bid.get("cid", ""), {})

    def faults(self) -> list[str]:
        """Return all that is wrong."""
        if not isinstance(self.imp.get(self.medium), dict):
            return [f"a {self.medium} where none was asked for"]
        return [
            *self._market(),
            *self._price(),
            *self._seats(),
            *self._advertiser(),
            *self._categories(),
            *self._creative(),
            *self._place(),
            *self._markup(),
        ]

    def _market(self) -> list[str]:
        pmp = self.imp.get("pmp") or {}
        if self.bid.get("dealid"):
            return [] if self.deal else [f"deal {self.bid['dealid']} was not offered"]
        return ["an open bid in a private auction"] if pmp.get("private_auction") == 1 else []

    def _price(self) -> list[str]:
        price = self.bid["price"]
        if not price > 0:
            return [f"price {price}"]
        floor, currency = floor_of(self.imp, self.deal, self.medium, self.bid.get("dur", 0))
        least = worth(floor, currency, self.currency, self.facts.rates)
        if floor <= 0:
            return []
        if least is None:
            return [f"a floor of {floor} {currency} cannot be compared"]
        found = [f"price {price} below {least}"] if price < least - ROUNDING else []
        fixed = self.deal is not None and self.deal.get("at") == FIXED_PRICE
        if fixed and self.deal and self.deal.get("bidfloor") and price > least * 1.01 + 0.01:
            found.append(f"price {price} above the agreed {least}")
        return found

    def _seats(self) -> list[str]:
        request, deal = self.request, self.deal or {}
        found = []
        if request.get("wseat") and self.seat not in request["wseat"]:
            found.append(f"seat {self.seat} is not among {request['wseat']}")
        if self.seat in (request.get("bseat") or ()):
            found.append(f"seat {self.seat} is blocked")
        if deal.get("wseat") and self.seat not in deal["wseat"]:
            found.append(f"the deal is for {deal['wseat']}, not for {self.seat}")
        return found

    def _advertiser(self) -> list[str]:
        domains = {domain.lower() for domain in self.bid.get("adomain", ())}
        if self.campaign:
            domains.add(self.campaign["advertiser_domain"].lower())
        blocked = {domain.lower().strip() for domain in self.request.get("badv") or ()}
        found = [
            f"advertiser {domain} is blocked by {each}"
            for domain in domains
            for each in blocked
            if each and (domain == each or domain.endswith(f".{each}"))
        ]
        allowed = {domain.lower() for domain in (self.deal or {}).get("wadomain") or ()}
        if allowed and not domains & allowed:
            found.append(f"the deal is for {sorted(allowed)}, not for {sorted(domains)}")
        apps = {self.bid.get("bundle"), self.campaign.get("advertised_bundle")} - {None, ""}
        return found + [
            f"app {app} is blocked" for app in apps & set(self.request.get("bapp") or ())
        ]

    def _categories(self) -> list[str]:
        request, taxonomy = self.request, self.request.get("cattax") or 1
        if not (request.get("bcat") or request.get("acat")):
            return []
        if (self.bid.get("cattax") or 1) != taxonomy:
            return [f"categories in taxonomy {self.bid.get('cattax')}, not in {taxonomy}"]
        codes = set(self.bid.get("cat") or ())
        if taxonomy == 1:
            codes |= set(self.campaign.get("categories", ()))
        blocked = set(request.get("bcat") or ())
        found = [f"category {code} is blocked" for code in codes if _family(code) & blocked]
        allowed = set(request.get("acat") or ())
        if allowed and not any(_family(code) & allowed for code in codes):
            found.append(f"none of {sorted(codes)} is allowed")
        return found

    def _creative(self) -> list[str]:
        bid, medium = self.bid, self.imp[self.medium]
        found = [
            f"attribute {each} is blocked"
            for each in bid.get("attr", ())
            if each in (medium.get("battr") or ())
        ]
        wanted = {code[:2].lower() for code in self.request.get("wlang") or ()}
        wanted |= {code[:2].lower() for code in self.request.get("wlangb") or ()}
        if wanted and bid.get("language") and bid["language"] not in wanted:
            found.append(f"language {bid['language']} is not among {sorted(wanted)}")
        if self.imp.get("exp") and not 0 < bid.get("exp", 0) <= self.imp["exp"]:
            found.append(f"exp {bid.get('exp')} is longer than {self.imp['exp']}")
        protocols = medium.get("protocols") or ()
        if bid.get("protocol") and protocols and bid["protocol"] not in protocols:
            found.append(f"protocol {bid['protocol']} is not among {protocols}")
        missing = set(bid.get("apis", ())) - set(medium.get("api") or ())
        return [*found, f"apis {sorted(missing)} are not there"] if missing else found

    def _place(self) -> list[str]:
        bid, medium = self.bid, self.imp[self.medium]
        if self.medium == "banner":
            sizes = {(size.get("w"), size.get("h")) for size in medium.get("format") or ()}
            sizes.add((medium.get("w"), medium.get("h")))
            sizes = {size for size in sizes if all(size)}
            got = bid.get("w"), bid.get("h")
            return (
                [f"size {got} is not among {sorted(sizes)}"] if sizes and got not in sizes else []
            )
        if self.medium == "native":
            return []
        length = bid.get("dur", 0)
        exact = [each for each in medium.get("rqddurs") or () if each > 0]
        found = [f"{length} s is not among {exact}"] if exact and length not in exact else []
        if not exact and length < (medium.get("minduration") or 0):
            found.append(f"{length} s is shorter than {medium['minduration']}")
        longest = medium.get("maxduration") or 0
        if not exact and longest > 0 and length > longest:
            found.append(f"{length} s is longer than {longest}")
        return found

    def _markup(self) -> list[str]:
        bid, medium = self.bid, self.imp[self.medium]
        markup = bid.get("adm", "")
        if self.medium == "banner":
            found = banner_faults(markup, set(medium.get("btype") or ()))
        elif self.medium == "native":
            found = native_faults(markup, medium["request"])
        else:
            found = vast_faults(markup, medium, bid.get("dur", 0))
        if self.imp.get("secure") == 1:
            found += [f"insecure {url}" for url in insecure(markup) + insecure(bid.get("iurl", ""))]
        return found


def _family(code: str) -> set[str]:
    """A category and its parent (``IAB7-39`` belongs to ``IAB7``)."""
    return {code, code.partition("-")[0]}
