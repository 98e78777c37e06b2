"""The bid request of OpenRTB 2.5/2.6 as types: the part of it that we read.

Principles as in ``transport.openrtb_imp``, which has the impressions.
"""

from __future__ import annotations

from transport.openrtb_imp import Imp, Int, Wire

FIRST_PRICE = 1
SECOND_PRICE = 2


class Publisher(Wire, frozen=True, gc=False):
    """Who sells the impression."""

    id: str = ""
    name: str = ""
    cattax: Int = 1
    cat: tuple[str, ...] = ()
    domain: str = ""


class Content(Wire, frozen=True, gc=False):
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


class Site(Wire, frozen=True, gc=False):
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


class App(Wire, frozen=True, gc=False):
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


class Dooh(Wire, frozen=True, gc=False):
    """The screens of a digital out-of-home impression."""

    id: str = ""
    name: str = ""
    venuetype: tuple[str, ...] = ()
    venuetypetax: Int = 1
    publisher: Publisher | None = None
    domain: str = ""
    keywords: str = ""
    content: Content | None = None


class Geo(Wire, frozen=True, gc=False):
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


class Device(Wire, frozen=True, gc=False):
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


class Segment(Wire, frozen=True, gc=False):
    """One audience that the user is said to belong to."""

    id: str = ""
    name: str = ""
    value: str = ""


class Data(Wire, frozen=True, gc=False):
    """What one provider knows of the user."""

    id: str = ""
    name: str = ""
    segment: tuple[Segment, ...] = ()


class Uid(Wire, frozen=True, gc=False):
    """One id of the user."""

    id: str = ""
    atype: Int = 0


class Eid(Wire, frozen=True, gc=False):
    """The user's ids in one id system; ``source`` is its domain."""

    source: str = ""
    uids: tuple[Uid, ...] = ()


class UserExt(Wire, frozen=True, gc=False):
    """Where 2.5 kept the consent string and the extended ids."""

    consent: str = ""
    eids: tuple[Eid, ...] = ()


class User(Wire, frozen=True, gc=False):
    """Who sees the ad; ``consent`` is an IAB TCF string."""

    id: str = ""
    buyeruid: str = ""
    yob: Int = 0
    gender: str = ""
    keywords: str = ""
    geo: Geo | None = None
    data: tuple[Data, ...] = ()
    consent: str = ""
    eids: tuple[Eid, ...] = ()
    ext: UserExt | None = None


class RegsExt(Wire, frozen=True, gc=False):
    """Where 2.5 kept the privacy signals; ``gpc`` "1" = Global Privacy Control."""

    gdpr: Int | None = None
    us_privacy: str = ""
    gpp: str = ""
    gpp_sid: tuple[Int, ...] = ()
    gpc: str = ""


class Regs(Wire, frozen=True, gc=False):
    """Laws in force: ``coppa`` 1 = children, ``gdpr`` 1 = applies, None = unknown."""

    coppa: Int = 0
    gdpr: Int | None = None
    us_privacy: str = ""
    gpp: str = ""
    gpp_sid: tuple[Int, ...] = ()
    ext: RegsExt | None = None


class SupplyChainNode(Wire, frozen=True, gc=False):
    """One seller between publisher and us; ``hp`` 1 = it is paid."""

    asi: str = ""
    sid: str = ""
    hp: Int = 0
    rid: str = ""
    name: str = ""
    domain: str = ""


class SupplyChain(Wire, frozen=True, gc=False):
    """The sellers from the publisher to us; ``complete`` 1 = none is missing."""

    complete: Int = 0
    nodes: tuple[SupplyChainNode, ...] = ()
    ver: str = ""


class SourceExt(Wire, frozen=True, gc=False):
    """Where 2.5 kept the supply chain."""

    schain: SupplyChain | None = None


class Source(Wire, frozen=True, gc=False):
    """Where the request came from; ``tid`` names the whole transaction."""

    fd: Int = 0
    tid: str = ""
    pchain: str = ""
    schain: SupplyChain | None = None
    ext: SourceExt | None = None


class BidwrightExt(Wire, frozen=True, gc=False):
    """Our own extension: 1 in ``explain`` asks for the story; ``exchange`` says who asks."""

    explain: Int = 0
    exchange: str = ""


class RequestExt(Wire, frozen=True, gc=False):
    """The part of ``ext`` that we read."""

    bidwright: BidwrightExt | None = None
    explain: Int = 0


class BidRequest(Wire, frozen=True, gc=False):
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
    wlangb: tuple[str, ...] = ()
    acat: tuple[str, ...] = ()
    bcat: tuple[str, ...] = ()
    cattax: Int = 1
    badv: tuple[str, ...] = ()
    bapp: tuple[str, ...] = ()
    source: Source | None = None
    regs: Regs | None = None
    ext: RequestExt | None = None
