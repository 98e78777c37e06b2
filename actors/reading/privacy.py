"""May personal data be used for this request? One answer, from every law and wish it carries.

Principle: leave is given, never assumed. Each signal may only take it away; a signal that cannot be
read takes it away too. What follows from the answer is done where the request is read
(``actors.reading.opportunity``): without leave nothing personal goes any further.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final

import msgspec

from transport.gpp import gpp_says, us_privacy_opts_out
from transport.openrtb import (
    consent_of,
    eids_of,
    gdpr_applies,
    gpp_of,
    gpp_sections_of,
    sends_gpc,
    us_privacy_of,
)
from transport.tcf import permits

if TYPE_CHECKING:
    from actors.reading.place import Reading
    from transport.openrtb import BidRequest, Device, User

_KEPT_IPV6_BITS: Final = 48
_IPV6_BITS: Final = 128
_ADDRESS_PARTS: Final = 4
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""What a device says whose user has switched the advertising id off."""


class Privacy(msgspec.Struct, frozen=True, gc=False):
    """What the law and the user allow.

    Attributes:
        personal: Personal data may be used.
        gdpr: GDPR is in force.
        consent: Under the TCF the user agreed to what we do.
        coppa: The audience is children.
        limited: The user asked not to be tracked, or not to be sold.
    """

    personal: bool
    gdpr: bool = False
    consent: bool = False
    coppa: bool = False
    limited: bool = False


def privacy_of(request: BidRequest, reading: Reading) -> Privacy:
    """Read every privacy signal of a request (OpenRTB 2.6, sections 3.2.3, 3.2.18, 3.2.20).

    A flag with a value that the specification does not know counts as set.

    Args:
        request: The whole request.
        reading: Who we are.
    """
    regs, device = request.regs, request.device
    limited = device is not None and (device.lmt != 0 or device.dnt != 0)
    tc_string = consent_of(request)
    if regs is None:
        return Privacy(not limited, consent=_consents(tc_string, "", reading), limited=limited)
    gpp = gpp_says(gpp_of(request), gpp_sections_of(request))
    opted_out = gpp.opted_out or us_privacy_opts_out(us_privacy_of(request))
    limited = limited or opted_out or sends_gpc(request)
    gdpr = gpp.eu or gdpr_applies(request)
    consent = _consents(tc_string, gpp.tc_string, reading)
    coppa = regs.coppa != 0
    personal = not (coppa or limited) and (consent or not gdpr)
    return Privacy(personal, gdpr, consent, coppa, limited)


def _consents(tc_string: str, in_gpp: str, reading: Reading) -> bool:
    """Tell whether every consent string that was sent lets us do what we do."""
    strings = [text for text in (tc_string, in_gpp) if text]
    return bool(strings) and all(
        permits(text, reading.vendor_id, reading.consent_purposes, reading.interest_purposes)
        for text in strings
    )


def user_id_of(user: User | None, device: Device, exchange: str) -> str:
    """Return by what name the user is known, "" for nobody.

    Our own name of the user comes first, for it is the same everywhere; then the exchange's, which
    is told apart from other exchanges' (where the exchange is known); then the device's advertising
    id; then the first extended id, with the id system's name.

    Args:
        user: Of the request.
        device: Of the request.
        exchange: Who asks, "" if not known.
    """
    if user is not None:
        if user.buyeruid:
            return user.buyeruid
        if user.id:
            return f"{exchange}:{user.id}" if exchange else user.id
    if device.ifa and device.ifa != _NOBODY:
        return device.ifa
    for eid in eids_of(user) if user is not None else ():
        for uid in eid.uids:
            if uid.id:
                return f"{eid.source}:{uid.id}"
    return ""


def coarse_address(address: str) -> str:
    """Cut an address off so that it names a network, not a person: IPv4 to /24, IPv6 to /48.

    Returns:
        The network's first address; "" for what is no address.
    """
    if ":" in address:
        try:
            bits = int(IPv6Address(address.partition("%")[0]))
        except AddressValueError:
            return ""
        dropped = _IPV6_BITS - _KEPT_IPV6_BITS
        return str(IPv6Address(bits >> dropped << dropped))
    parts = address.split(".")
    if len(parts) != _ADDRESS_PARTS or not all(_is_byte(part) for part in parts[:3]):
        return ""
    return ".".join((*parts[:3], "0"))


def _is_byte(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < _ADDRESS_PARTS
