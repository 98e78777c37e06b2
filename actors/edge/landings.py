"""Where a click may lead: the landing pages of the campaigns, and hosts that the operator allows.

Principle: a redirect lends our name to its target, so nothing is guessed. An address is taken only
if it is written in the one plain way that all browsers read alike (RFC 3986, section 3; no user
information, ASCII only, no backslash), and only if its host, with its port if that is an unusual
one, is on the list. Anything else leads to the ad's own landing page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from config.campaigns import Campaign

MAX_URL_LENGTH: Final = 4096
_PLAIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?#][!#-\[\]-~]*)?)",
    re.IGNORECASE,
)
_USUAL_PORTS: Final = {"http": "80", "https": "443"}


class Landings:
    """The places that clicks may lead to.

    Args:
        pages: Landing page by creative.
        hosts: Further hosts, each with ``:PORT`` if only that port is meant.
        secret: Signs the names of bids.
    """

    def __init__(self, pages: Mapping[str, str], hosts: Iterable[str], secret: bytes) -> None:
        self._pages = {
            creative_id: page for creative_id, url in pages.items() if (page := self._plain(url)[0])
        }
        own = (self._plain(url)[1] for url in pages.values())
        self._hosts = frozenset({*own, *(host.lower() for host in hosts)} - {""})
        self._secret = secret

    def target(self, key: str, wanted: str) -> str:
        """Return where a click goes, "" if there is no place.

        Args:
            key: The signed name of the bid that was clicked.
            wanted: The address that the click asks for, "" for none.

        Raises:
            NoticeError: The name is not one that we signed.
        """
        notice = self.read(key)
        url, host = self._plain(wanted)
        return url if host in self._hosts else self._pages.get(notice.creative_id, "")

    def read(self, key: str) -> NoticeKey:
        """Read the signed name of a bid.

        Raises:
            NoticeError: It is not one that we signed.
        """
        return NoticeKey.decode(self._secret, key)

    @staticmethod
    def _plain(url: str) -> tuple[str, str]:
        """Return an address in its plain form, and its host (with an unusual port); both may be "".

        The host is never "" where the address is not.
        """
        found = _PLAIN.fullmatch(url) if len(url) <= MAX_URL_LENGTH else None
        if found is None:
            return "", ""
        scheme, host = found["scheme"].lower(), found["host"].lower()
        port = found["port"]
        if port is not None and port != _USUAL_PORTS[scheme]:
            host = f"{host}:{port}"
        return f"{scheme}://{host}{found['rest']}", host


def landings_of(campaigns: Iterable[Campaign], hosts: Iterable[str], secret: bytes) -> Landings:
    """Return where clicks on the ads of these campaigns may lead."""
    pages = {
        creative.id: creative.landing_url
        for campaign in campaigns
        for creative in campaign.creatives
        if creative.landing_url
    }
    return Landings(pages, hosts, secret)
