"""The bid request of OpenRTB 2.5/2.6 as types: the part of it that we read.

Unknown fields are skipped, absent fields get the default of the specification (or a neutral
value: "", 0, empty), so that a reader never asks "is it there?" where a default is natural. Where
absence means "unknown" the type says ``| None``. Prices are CPM, as on the wire.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""No field of OpenRTB needs more; larger numbers are nonsense that arithmetic may choke on."""

FIRST_PRICE = 1
SECOND_PRICE = 2


class _Wire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Base: immutable, no reference cycles (so the collector need not track it)."""


class Format(_Wire, frozen=True, gc=False):
    """One size that a banner slot takes, in device-independent pixels."""

    w: Int = 0
    h: Int = 0
    wratio: Int = 0
    hratio: Int = 0
    wmin: Int = 0


class Banner(_Wire, frozen=True, gc=False):
    """A display slot; sizes are ``format`` or else the single ``w`` x ``h`` (0 = not given)."""

    format: tuple[Format, ...] = ()
    w: Int = 0
    h: Int = 0
    btype: tuple[Int, ...] = ()
    battr: tuple[Int, ...] = ()
    pos: Int = 0
    mimes: tuple[str, ...] = ()
    topframe: Int = 0
    expdir: tuple[Int, ...] = ()
    api: tuple[Int, ...] = ()
    id: str = ""


class Video(_Wire, frozen=True, gc=False):
    """A video slot; durations in seconds, 0 = not limited."""

    mimes: tuple[str, ...] = ()
    minduration: Int = 0
    maxduration: Int = 0
    rqddurs: tuple[Int, ...] = ()
    startdelay: Int | None = None
    protocols: tuple[Int, ...] = ()
    w: Int = 0
    h: Int = 0
    placement: Int = 0
    plcmt: Int = 0
    linearity: Int = 0
    skip: Int | None = None
    mincpmpersec: float = 0.0
    battr: tuple[Int, ...] = ()
    minbitrate: Int = 0
    maxbitrate: Int = 0
    playbackmethod: tuple[Int, ...] = ()
    delivery: tuple[Int, ...] = ()
    pos: Int = 0
    api: tuple[Int, ...] = ()
    podid: str = ""
    poddur: Int = 0
    maxseq: Int = 0


class Audio(_Wire, frozen=True, gc=False):
    """An audio slot; durations in seconds, 0 = not limited."""

    mimes: tuple[str, ...] = ()
    minduration: Int = 0
    maxduration: Int = 0
    rqddurs: tuple[Int, ...] = ()
    startdelay: Int | None = None
    protocols: tuple[Int, ...] = ()
    mincpmpersec: float = 0.0
    battr: tuple[Int, ...] = ()
    minbitrate: Int = 0
    maxbitrate: Int = 0
    delivery: tuple[Int, ...] = ()
    api: tuple[Int, ...] = ()
    feed: Int = 0
    stitched: Int = 0
    nvol: Int | None = None
    podid: str = ""
    poddur: Int = 0
    maxseq: Int = 0


class Native(_Wire, frozen=True, gc=False):
    """A native slot; ``request`` is a JSON document of the Native Ad specification, as text."""

    request: str = ""
    ver: str = ""
    api: tuple[Int, ...] = ()
    battr: tuple[Int, ...] = ()


class Deal(_Wire, frozen=True, gc=False):
    """A private deal; its floor's currency does not inherit from the impression."""

    id: str = ""
    bidfloor: float = 0.0
    bidfloorcur: str = "USD"
    at: Int | None = None
    wseat: tuple[str, ...] = ()
    wadomain: tuple[str, ...] = ()
    guar: Int = 0


class Pmp(_Wire, frozen=True, gc=False):
    """The private marketplace of an impression; 1 in ``private_auction`` forbids open bids."""

    private_auction: Int = 0
    deals: tuple[Deal, ...] = ()


class Quantity(_Wire, frozen=True, gc=False):
    """How many people one play reaches (digital out-of-home)."""

    multiplier: float = 1.0


class Imp(_Wire, frozen=True, gc=False):
    """One impression on offer; ``bidfloor`` is CPM in ``bidfloorcur``."""

    id: str
    banner: Banner | None = None
    video: Video | None = None
    audio: Audio | None = None
    native: Native | None = None
    pmp: Pmp | None = None
    instl: Int = 0
    tagid: str = ""
    bidfloor: float = 0.0
    bidfloorcur: str = "USD"
    secure: Int | None = None
    rwdd: Int = 0
    ssai: Int = 0
    exp: Int = 0
    qty: Quantity | None = None
    dt: float = 0.0


class Publisher(_Wire, frozen=True, gc=False):
    """Who sells the impression."""

    id: str = ""
    name: str = ""
    cattax: Int = 1
    cat: tuple[str, ...] = ()
    domain: str = ""


class Content(_Wire, frozen=True, gc=False):
    """What the user reads, watches or hears; ``len`` in seconds."""

    id: str = ""
    title: str = ""
    series: str = ""
    genre: str = ""
    cattax: Int = 1
    cat: tuple[str, ...] = ()
    url: str = ""
    context: Int = 0
    contentrating: str = ""
    qagmediarating: Int = 0
    keywords: str = ""
    livestream: Int = 0
    len: Int = 0
    language: str = ""
    langb: str = ""


class Site(_Wire, frozen=True, gc=False):
    """The website of a browser impression."""

    id: str = ""
    name: str = ""
    domain: str = ""
    cattax: Int = 1
    cat: tuple[str, ...] = ()
    sectioncat: tuple[str, ...] = ()
    pagecat: tuple[str, ...] = ()
    page: str = ""
    ref: str = ""
    search: str = ""
    mobile: Int = 0
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: str = ""


class App(_Wire, frozen=True, gc=False):
    """The application of an in-app impression."""

    id: str = ""
    name: str = ""
    bundle: str = ""
    domain: str = ""
    storeurl: str = ""
    cattax: Int = 1
    cat: tuple[str, ...] = ()
    sectioncat: tuple[str, ...] = ()
    pagecat: tuple[str, ...] = ()
    ver: str = ""
    paid: Int = 0
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: str = ""


class Dooh(_Wire, frozen=True, gc=False):
    """The screens of a digital out-of-home impression."""

    id: str = ""
    name: str = ""
    venuetype: tuple[str, ...] = ()
    venuetypetax: Int = 1
    publisher: Publisher | None = None
    domain: str = ""
    keywords: str = ""
    content: Content | None = None


class Geo(_Wire, frozen=True, gc=False):
    """A place; ``country`` is ISO-3166-1 alpha-3, ``utcoffset`` minutes from UTC."""

    lat: float | None = None
    lon: float | None = None
    type: Int = 0
    country: str = ""
    region: str = ""
    metro: str = ""
    city: str = ""
    zip: str = ""
    utcoffset: Int | None = None


class Device(_Wire, frozen=True, gc=False):
    """What the user holds; ``lmt`` 1 limits tracking, ``dnt`` 1 asks not to track."""

    geo: Geo | None = None
    dnt: Int = 0
    lmt: Int = 0
    ua: str = ""
    ip: str = ""
    ipv6: str = ""
    devicetype: Int = 0
    make: str = ""
    model: str = ""
    os: str = ""
    osv: str = ""
    h: Int = 0
    w: Int = 0
    pxratio: float = 0.0
    js: Int = 0
    language: str = ""
    langb: str = ""
    carrier: str = ""
    connectiontype: Int = 0
    ifa: str = ""


class UserExt(_Wire, frozen=True, gc=False):
    """Where 2.5 kept the consent string."""

    consent: str = ""


class User(_Wire, frozen=True, gc=False):
    """Who sees the ad; ``consent`` is an IAB TCF string."""

    id: str = ""
    buyeruid: str = ""
    yob: Int = 0
    gender: str = ""
    keywords: str = ""
    geo: Geo | None = None
    consent: str = ""
    ext: UserExt | None = None


class RegsExt(_Wire, frozen=True, gc=False):
    """Where 2.5 kept the privacy signals."""

    gdpr: Int | None = None
    us_privacy: str = ""


class Regs(_Wire, frozen=True, gc=False):
    """Laws in force: ``coppa`` 1 = children, ``gdpr`` 1 = applies, None = unknown."""

    coppa: Int = 0
    gdpr: Int | None = None
    us_privacy: str = ""
    gpp: str = ""
    gpp_sid: tuple[Int, ...] = ()
    ext: RegsExt | None = None


class SupplyChainNode(_Wire, frozen=True, gc=False):
    """One seller between publisher and us; ``hp`` 1 = it is paid."""

    asi: str = ""
    sid: str = ""
    hp: Int = 0
    rid: str = ""
    name: str = ""
    domain: str = ""


class SupplyChain(_Wire, frozen=True, gc=False):
    """The sellers from the publisher to us; ``complete`` 1 = none is missing."""

    complete: Int = 0
    nodes: tuple[SupplyChainNode, ...] = ()
    ver: str = ""


class SourceExt(_Wire, frozen=True, gc=False):
    """Where 2.5 kept the supply chain."""

    schain: SupplyChain | None = None


class Source(_Wire, frozen=True, gc=False):
    """Where the request came from; ``tid`` names the whole transaction."""

    fd: Int = 0
    tid: str = ""
    pchain: str = ""
    schain: SupplyChain | None = None
    ext: SourceExt | None = None


class BidwrightExt(_Wire, frozen=True, gc=False):
    """Our own extension: 1 in ``explain`` asks for the story of the decision."""

    explain: Int = 0


class RequestExt(_Wire, frozen=True, gc=False):
    """The part of ``ext`` that we read."""

    bidwright: BidwrightExt | None = None


class BidRequest(_Wire, frozen=True, gc=False):
    """One auction. ``tmax`` is ms for the answer, network included; 0 = not given."""

    id: str
    imp: tuple[Imp, ...]
    site: Site | None = None
    app: App | None = None
    dooh: Dooh | None = None
    device: Device | None = None
    user: User | None = None
    test: Int = 0
    at: Int = SECOND_PRICE
    tmax: Int = 0
    wseat: tuple[str, ...] = ()
    bseat: tuple[str, ...] = ()
    allimps: Int = 0
    cur: tuple[str, ...] = ()
    wlang: tuple[str, ...] = ()
    acat: tuple[str, ...] = ()
    bcat: tuple[str, ...] = ()
    cattax: Int = 1
    badv: tuple[str, ...] = ()
    bapp: tuple[str, ...] = ()
    source: Source | None = None
    regs: Regs | None = None
    ext: RequestExt | None = None
