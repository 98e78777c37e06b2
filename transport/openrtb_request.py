"""The bid request of OpenRTB 2.5/2.6 as types: the part of it that we read.

Unknown fields are skipped, absent fields get the default of the specification (or a neutral
value: "", 0, empty), so that a reader never asks "is it there?" where a default is natural. Where
absence means "unknown" the type says ``| None``. Prices are CPM, as on the wire.
"""

from __future__ import annotations

import msgspec

FIRST_PRICE = 1
SECOND_PRICE = 2


class _Wire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Base: immutable, no reference cycles (so the collector need not track it)."""


class Format(_Wire, frozen=True, gc=False):
    """One size that a banner slot takes, in device-independent pixels."""

    w: int = 0
    h: int = 0
    wratio: int = 0
    hratio: int = 0
    wmin: int = 0


class Banner(_Wire, frozen=True, gc=False):
    """A display slot; sizes are ``format`` or else the single ``w`` x ``h`` (0 = not given)."""

    format: tuple[Format, ...] = ()
    w: int = 0
    h: int = 0
    btype: tuple[int, ...] = ()
    battr: tuple[int, ...] = ()
    pos: int = 0
    mimes: tuple[str, ...] = ()
    topframe: int = 0
    expdir: tuple[int, ...] = ()
    api: tuple[int, ...] = ()
    id: str = ""


class Video(_Wire, frozen=True, gc=False):
    """A video slot; durations in seconds, 0 = not limited."""

    mimes: tuple[str, ...] = ()
    minduration: int = 0
    maxduration: int = 0
    rqddurs: tuple[int, ...] = ()
    startdelay: int | None = None
    protocols: tuple[int, ...] = ()
    w: int = 0
    h: int = 0
    placement: int = 0
    plcmt: int = 0
    linearity: int = 0
    skip: int | None = None
    mincpmpersec: float = 0.0
    battr: tuple[int, ...] = ()
    minbitrate: int = 0
    maxbitrate: int = 0
    playbackmethod: tuple[int, ...] = ()
    delivery: tuple[int, ...] = ()
    pos: int = 0
    api: tuple[int, ...] = ()
    podid: str = ""
    poddur: int = 0
    maxseq: int = 0


class Audio(_Wire, frozen=True, gc=False):
    """An audio slot; durations in seconds, 0 = not limited."""

    mimes: tuple[str, ...] = ()
    minduration: int = 0
    maxduration: int = 0
    rqddurs: tuple[int, ...] = ()
    startdelay: int | None = None
    protocols: tuple[int, ...] = ()
    mincpmpersec: float = 0.0
    battr: tuple[int, ...] = ()
    minbitrate: int = 0
    maxbitrate: int = 0
    delivery: tuple[int, ...] = ()
    api: tuple[int, ...] = ()
    feed: int = 0
    stitched: int = 0
    nvol: int | None = None
    podid: str = ""
    poddur: int = 0
    maxseq: int = 0


class Native(_Wire, frozen=True, gc=False):
    """A native slot; ``request`` is a JSON document of the Native Ad specification, as text."""

    request: str = ""
    ver: str = ""
    api: tuple[int, ...] = ()
    battr: tuple[int, ...] = ()


class Deal(_Wire, frozen=True, gc=False):
    """A private deal; its floor's currency does not inherit from the impression."""

    id: str = ""
    bidfloor: float = 0.0
    bidfloorcur: str = "USD"
    at: int | None = None
    wseat: tuple[str, ...] = ()
    wadomain: tuple[str, ...] = ()
    guar: int = 0


class Pmp(_Wire, frozen=True, gc=False):
    """The private marketplace of an impression; 1 in ``private_auction`` forbids open bids."""

    private_auction: int = 0
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
    instl: int = 0
    tagid: str = ""
    bidfloor: float = 0.0
    bidfloorcur: str = "USD"
    secure: int | None = None
    rwdd: int = 0
    ssai: int = 0
    exp: int = 0
    qty: Quantity | None = None
    dt: float = 0.0


class Publisher(_Wire, frozen=True, gc=False):
    """Who sells the impression."""

    id: str = ""
    name: str = ""
    cattax: int = 1
    cat: tuple[str, ...] = ()
    domain: str = ""


class Content(_Wire, frozen=True, gc=False):
    """What the user reads, watches or hears; ``len`` in seconds."""

    id: str = ""
    title: str = ""
    series: str = ""
    genre: str = ""
    cattax: int = 1
    cat: tuple[str, ...] = ()
    url: str = ""
    context: int = 0
    contentrating: str = ""
    qagmediarating: int = 0
    keywords: str = ""
    livestream: int = 0
    len: int = 0
    language: str = ""
    langb: str = ""


class Site(_Wire, frozen=True, gc=False):
    """The website of a browser impression."""

    id: str = ""
    name: str = ""
    domain: str = ""
    cattax: int = 1
    cat: tuple[str, ...] = ()
    sectioncat: tuple[str, ...] = ()
    pagecat: tuple[str, ...] = ()
    page: str = ""
    ref: str = ""
    search: str = ""
    mobile: int = 0
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
    cattax: int = 1
    cat: tuple[str, ...] = ()
    sectioncat: tuple[str, ...] = ()
    pagecat: tuple[str, ...] = ()
    ver: str = ""
    paid: int = 0
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: str = ""


class Dooh(_Wire, frozen=True, gc=False):
    """The screens of a digital out-of-home impression."""

    id: str = ""
    name: str = ""
    venuetype: tuple[str, ...] = ()
    venuetypetax: int = 1
    publisher: Publisher | None = None
    domain: str = ""
    keywords: str = ""
    content: Content | None = None


class Geo(_Wire, frozen=True, gc=False):
    """A place; ``country`` is ISO-3166-1 alpha-3, ``utcoffset`` minutes from UTC."""

    lat: float | None = None
    lon: float | None = None
    type: int = 0
    country: str = ""
    region: str = ""
    metro: str = ""
    city: str = ""
    zip: str = ""
    utcoffset: int | None = None


class Device(_Wire, frozen=True, gc=False):
    """What the user holds; ``lmt`` 1 limits tracking, ``dnt`` 1 asks not to track."""

    geo: Geo | None = None
    dnt: int = 0
    lmt: int = 0
    ua: str = ""
    ip: str = ""
    ipv6: str = ""
    devicetype: int = 0
    make: str = ""
    model: str = ""
    os: str = ""
    osv: str = ""
    h: int = 0
    w: int = 0
    pxratio: float = 0.0
    js: int = 0
    language: str = ""
    langb: str = ""
    carrier: str = ""
    connectiontype: int = 0
    ifa: str = ""


class UserExt(_Wire, frozen=True, gc=False):
    """Where 2.5 kept the consent string."""

    consent: str = ""


class User(_Wire, frozen=True, gc=False):
    """Who sees the ad; ``consent`` is an IAB TCF string."""

    id: str = ""
    buyeruid: str = ""
    yob: int = 0
    gender: str = ""
    keywords: str = ""
    geo: Geo | None = None
    consent: str = ""
    ext: UserExt | None = None


class RegsExt(_Wire, frozen=True, gc=False):
    """Where 2.5 kept the privacy signals."""

    gdpr: int | None = None
    us_privacy: str = ""


class Regs(_Wire, frozen=True, gc=False):
    """Laws in force: ``coppa`` 1 = children, ``gdpr`` 1 = applies, None = unknown."""

    coppa: int = 0
    gdpr: int | None = None
    us_privacy: str = ""
    gpp: str = ""
    gpp_sid: tuple[int, ...] = ()
    ext: RegsExt | None = None


class SupplyChainNode(_Wire, frozen=True, gc=False):
    """One seller between publisher and us; ``hp`` 1 = it is paid."""

    asi: str = ""
    sid: str = ""
    hp: int = 0
    rid: str = ""
    name: str = ""
    domain: str = ""


class SupplyChain(_Wire, frozen=True, gc=False):
    """The sellers from the publisher to us; ``complete`` 1 = none is missing."""

    complete: int = 0
    nodes: tuple[SupplyChainNode, ...] = ()
    ver: str = ""


class SourceExt(_Wire, frozen=True, gc=False):
    """Where 2.5 kept the supply chain."""

    schain: SupplyChain | None = None


class Source(_Wire, frozen=True, gc=False):
    """Where the request came from; ``tid`` names the whole transaction."""

    fd: int = 0
    tid: str = ""
    pchain: str = ""
    schain: SupplyChain | None = None
    ext: SourceExt | None = None


class BidwrightExt(_Wire, frozen=True, gc=False):
    """Our own extension: 1 in ``explain`` asks for the story of the decision."""

    explain: int = 0


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
    test: int = 0
    at: int = SECOND_PRICE
    tmax: int = 0
    wseat: tuple[str, ...] = ()
    bseat: tuple[str, ...] = ()
    allimps: int = 0
    cur: tuple[str, ...] = ()
    wlang: tuple[str, ...] = ()
    acat: tuple[str, ...] = ()
    bcat: tuple[str, ...] = ()
    cattax: int = 1
    badv: tuple[str, ...] = ()
    bapp: tuple[str, ...] = ()
    source: Source | None = None
    regs: Regs | None = None
    ext: RequestExt | None = None
