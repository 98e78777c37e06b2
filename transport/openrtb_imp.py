"""An impression of OpenRTB 2.5/2.6 as types: the part of it that we read.

Unknown fields are skipped, absent fields get the default of the specification (or a neutral
value: "", 0, empty), so that a reader never asks "is it there?" where a default is natural. Where
absence means "unknown" the type says ``| None``. Prices are CPM, as on the wire.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""No field of OpenRTB needs more; larger numbers are nonsense that arithmetic may choke on."""


class Wire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Base: immutable, no reference cycles (so the collector need not track it)."""


class Format(Wire, frozen=True, gc=False):
    """One size that a banner slot takes, in device-independent pixels."""

    w: Int = 0
    h: Int = 0
    wratio: Int = 0
    hratio: Int = 0
    wmin: Int = 0


class DurationFloors(Wire, frozen=True, gc=False):
    """The floor of ads from ``mindur`` to ``maxdur`` seconds (0 = not bounded), in CPM."""

    mindur: Int = 0
    maxdur: Int = 0
    bidfloor: float = 0.0


class Banner(Wire, frozen=True, gc=False):
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


class Timed(Wire, frozen=True, gc=False):
    """What video and audio slots have in common; durations in seconds, 0 = not limited."""

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
    podid: str = ""
    poddur: Int = 0
    maxseq: Int = 0
    durfloors: tuple[DurationFloors, ...] = ()


class Video(Timed, frozen=True, gc=False):
    """A video slot; sizes in device-independent pixels, 0 = not given."""

    w: Int = 0
    h: Int = 0
    placement: Int = 0
    plcmt: Int = 0
    linearity: Int = 0
    skip: Int | None = None
    playbackmethod: tuple[Int, ...] = ()
    pos: Int = 0


class Audio(Timed, frozen=True, gc=False):
    """An audio slot."""

    feed: Int = 0
    stitched: Int = 0
    nvol: Int | None = None


class Native(Wire, frozen=True, gc=False):
    """A native slot; ``request`` is a JSON document of the Native Ad specification, as text."""

    request: str = ""
    ver: str = ""
    api: tuple[Int, ...] = ()
    battr: tuple[Int, ...] = ()


class Deal(Wire, frozen=True, gc=False):
    """A private deal; its floor's currency does not inherit from the impression."""

    id: str = ""
    bidfloor: float = 0.0
    bidfloorcur: str = "USD"
    at: Int | None = None
    wseat: tuple[str, ...] = ()
    wadomain: tuple[str, ...] = ()
    guar: Int = 0
    mincpmpersec: float = 0.0
    durfloors: tuple[DurationFloors, ...] = ()


class Pmp(Wire, frozen=True, gc=False):
    """The private marketplace of an impression; 1 in ``private_auction`` forbids open bids."""

    private_auction: Int = 0
    deals: tuple[Deal, ...] = ()


class Quantity(Wire, frozen=True, gc=False):
    """How many people one play reaches (digital out-of-home)."""

    multiplier: float = 1.0


class Imp(Wire, frozen=True, gc=False):
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
