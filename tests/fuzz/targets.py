"""The decoders that read what strangers send, each as a function of bytes that may not fail.

A target calls a decoder as the product does. Only the errors that the decoder's contract names may
come out; what comes back is looked at for what must hold of it.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Final

import msgspec

from actors.edge.errors import NoticeFormError
from actors.edge.notices import KINDS, read_notice
from actors.edge.wire import head_of, inflate
from actors.reading.native_form import native_form_of
from actors.reading.opportunity import opportunity_of
from actors.reading.place import Reading
from config.errors import ConfigError
from config.rates import rates_in
from transport import gpp, tcf
from transport.codec import decode_request, refusal, sniff_format
from transport.envelope import Envelope, enclose, opened
from transport.errors import (
    InvalidRequestError,
    MalformedEventError,
    MalformedRequestError,
    NoticeError,
    UndecodableError,
)
from transport.messages import decode_event, encode_event
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable

    Target = Callable[[bytes], None]

MAX_BODY: Final = 65_536
SECRET: Final = b"a secret that is only for fuzzing"
SEAL: Final = b"0123456789abcdef"
UNIX_S: Final = 1_800_000_000.0
REQUEST: Final = {
    "id": "r",
    "at": 2,
    "tmax": 100,
    "cur": ["USD", "EUR"],
    "imp": [
        {
            "id": "1",
            "bidfloor": 0.5,
            "banner": {"w": 300, "h": 250, "format": [{"w": 728, "h": 90}], "battr": [1]},
            "video": {"mimes": ["video/mp4"], "durfloors": [{"mindur": 5, "bidfloor": 1.5}]},
            "native": {"request": '{"native":{"assets":[{"id":1,"title":{"len":9}}]}}'},
            "pmp": {"private_auction": 1, "deals": [{"id": "d", "bidfloor": 2, "at": 3}]},
        }
    ],
    "site": {"domain": "a.example", "cat": ["IAB1-2"], "cattax": 1},
    "device": {"ip": "81.2.69.142", "geo": {"country": "DEU", "utcoffset": 60}, "lmt": 0},
    "user": {"id": "u", "consent": "CPtcAgA", "eids": [{"source": "s", "uids": [{"id": "e"}]}]},
    "regs": {"gdpr": 1, "gpp": "DBABMA~CPXxRfAPXxRfAAfKABENB", "gpp_sid": [2]},
    "source": {"schain": {"complete": 1, "ver": "1.0", "nodes": [{"asi": "a", "sid": "1"}]}},
}


def request(data: bytes) -> None:
    """A bid request, and every look at it; a refusal must be readable in the request's format."""
    try:
        read, _ = decode_request(data, MAX_BODY)
    except (MalformedRequestError, InvalidRequestError) as error:
        answer = refusal(error, sniff_format(data))
        decode = msgspec.json.decode if answer[:1] == b"{" else msgspec.msgpack.decode
        assert decode(answer)["nbr"] == 2
        return
    for imp in read.imp:
        deals = imp.pmp.deals if imp.pmp is not None else ()
        for deal in (None, *deals[:2]):
            found = opportunity_of(read, imp, UNIX_S, Reading(vendor_id=7), deal)
            assert found.personal or not found.user_id
            assert 0 <= found.hour < 24
            assert 0 <= found.day < 7
            assert found.floor_micros >= 0


def tc_string(data: bytes) -> None:
    """A TC string."""
    text = data.decode("latin-1")
    leave = tcf.permits(text, 7, (1, 3, 4), (7,))
    try:
        tcf.decode(text)
    except UndecodableError:
        assert not leave


def gpp_string(data: bytes) -> None:
    """A GPP string with what may be in force, and a US privacy string."""
    text = data.decode("latin-1")
    gpp.gpp_says(text, (2, 6, 7, 8, 9, 10, 11, 12, 13))
    gpp.us_privacy_opts_out(text)


def native(data: bytes) -> None:
    """A native placement's own request."""
    native_form_of.__wrapped__(data.decode("utf-8", "replace"))


def event(data: bytes) -> None:
    """An event over nng; what was read is written and read again."""
    try:
        read = decode_event(data)
    except MalformedEventError:
        return
    assert decode_event(encode_event(read)) == read


def notice(data: bytes) -> None:
    """A notice over HTTP, and the key in it."""
    kind = KINDS[data[0] % len(KINDS)] if data else KINDS[0]
    try:
        read = read_notice(kind, data[1:], UNIX_S)
        if read is not None:
            encode_event(read)
            NoticeKey.decode(SECRET, read.key)
    except (NoticeFormError, NoticeError):
        return


def envelope(data: bytes) -> None:
    """A frame on a gateway socket: nobody makes an envelope without the seal."""
    found, body = opened(data, SEAL)
    assert found is None or SEAL in data
    if found is None:
        assert body == data
    whole = enclose(Envelope("adx", 1.5, may_explain=True), data, SEAL)
    assert opened(whole, SEAL) == (Envelope("adx", 1.5, may_explain=True), data)


def http_body(data: bytes) -> None:
    """A packed body, and what the edge reads of a body itself."""
    plain = inflate(data, MAX_BODY)
    assert plain is None or len(plain) <= MAX_BODY
    head = head_of(data if plain is None else plain)
    assert head.tmax_ms >= 0.0


def rates(data: bytes) -> None:
    """A table of rates."""
    try:
        table = rates_in(data, "fuzz")
    except ConfigError:
        return
    assert (table.micros_of("USD") or 1_000_000) == 1_000_000


TARGETS: Final[dict[str, Target]] = {
    each.__name__: each
    for each in (
        request,
        tc_string,
        gpp_string,
        native,
        event,
        notice,
        envelope,
        http_body,
        rates,
    )
}

_JSON = json.dumps(REQUEST).encode()
SEEDS: Final[dict[str, tuple[bytes, ...]]] = {
    "request": (_JSON, msgspec.msgpack.encode(REQUEST), b"{", b'{"id":"r","imp":[{}]}'),
    "tc_string": (
        b"CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
        b"COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA",
    ),
    "gpp_string": (b"DBABMA~CPXxRfAPXxRfAAfKABENB", b"DBABBg~BVVqAAAACg", b"1YNN"),
    "native": (REQUEST["imp"][0]["native"]["request"].encode(),),  # type: ignore[index]
    "event": (b'{"type":"win","key":"k","price_cpm":1.5}', b'{"type":"click","key":"k"}'),
    "notice": (b"\x00b=k&p=1.5&c=EUR", b"\x01b=k&p=AUDIT", b"\x02b=k&r=102&m=%24"),
    "envelope": (enclose(Envelope("adx", 1.5, may_explain=False), _JSON, SEAL), _JSON),
    "http_body": (gzip.compress(_JSON, mtime=0), _JSON),
    "rates": (b'{"dataAsOf":"2026-11-23","conversions":{"USD":{"EUR":0.86}}}',),
}


ALL: Final = "all"
"""The name of all targets in one: an input's first byte chooses."""


def target_of(name: str) -> Target:
    """Return a target by name, `ALL` included."""
    return _any if name == ALL else TARGETS[name]


def seeds_of(name: str) -> tuple[bytes, ...]:
    """Return the inputs that a target begins with."""
    if name != ALL:
        return SEEDS[name]
    return tuple(
        bytes((place,)) + seed for place, each in enumerate(TARGETS) for seed in SEEDS[each]
    )


def _any(data: bytes) -> None:
    if data:
        tuple(TARGETS.values())[data[0] % len(TARGETS)](data[1:])
