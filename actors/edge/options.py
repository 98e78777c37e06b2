"""What the edge serves, and how: made once by the node, read by the thread that serves."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actors.edge.errors import AccessError
from actors.edge.landings import landings_of
from config.addresses import dial_url
from config.campaigns import load_campaigns
from transport.envelope import seal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.edge.landings import Landings
    from config.paths import NodePaths
    from config.settings import Settings
    from transport.frames import LinkFactory


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """What the thread serves, and how.

    Attributes:
        links: Makes sockets to the bidders; must be safe to use in another thread.
        gateway_urls: Where bidders take bid requests, one address each.
        event_urls: Where bidders take events, one address each.
        max_body_bytes: Larger bid requests are refused.
        default_tmax_ms: Time for requests that name none.
        unix_clock: Seconds since 1970.
        clock: Monotonic seconds, the same as the loop's.
        seal: Proves to bidders that an envelope is the node's.
        landings: Where clicks may lead.
        margin_s: Part of a request's time that is kept for sending the answer.
        sheds: More requests than can be answered in time are answered without a bid, unread.
        max_waiting: Requests that may wait for bidders at one time.
        explain_from: Networks whose callers are told why there was no bid.
        token_file: Bearer tokens that bid requests must carry; None = none.
        certificate: Chain to serve HTTPS with; None = plain HTTP.
        key: Private key of the certificate.
    """

    links: LinkFactory
    gateway_urls: tuple[str, ...]
    event_urls: tuple[str, ...]
    max_body_bytes: int
    default_tmax_ms: float
    unix_clock: Callable[[], float]
    clock: Callable[[], float]
    seal: bytes
    landings: Landings
    margin_s: float = 0.004
    sheds: bool = True
    max_waiting: int = 8192
    explain_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def edge_options(
    settings: Settings,
    paths: NodePaths,
    links: LinkFactory,
    unix_clock: Callable[[], float],
    clock: Callable[[], float],
) -> EdgeOptions:
    """Return what the edge of a node serves.

    Args:
        settings: Of the node.
        paths: Of the node.
        links: Makes sockets to the bidders.
        unix_clock: Seconds since 1970.
        clock: Monotonic seconds.
    """
    gateway, edge = settings.gateway, settings.edge
    secret = paths.secret_file.read_bytes()
    campaigns = load_campaigns(settings.node.campaign_file)
    return EdgeOptions(
        links=links,
        gateway_urls=tuple(dial_url(gateway.host, port) for port in settings.gateway_ports),
        event_urls=tuple(dial_url(gateway.host, port) for port in settings.event_ports),
        max_body_bytes=gateway.max_body_bytes,
        default_tmax_ms=gateway.default_tmax_ms,
        unix_clock=unix_clock,
        clock=clock,
        seal=seal_of(secret),
        landings=landings_of(campaigns, edge.click_hosts, secret),
        margin_s=edge.margin_ms / 1000,
        sheds=settings.overload.shed,
        max_waiting=edge.max_waiting,
        explain_from=edge.explain_from,
        token_file=_file(edge.token_file),
        certificate=_file(edge.tls_certificate),
        key=_file(edge.tls_key),
    )


def _file(name: str) -> Path | None:
    return Path(name) if name else None


_last_whole: dict[tuple[Path, Path | None], ssl.SSLContext] = {}


def recall_tls_context(
    certificate: Path, key: Path | None
) -> tuple[ssl.SSLContext, AccessError | None]:
    """Do as :func:`tls_context`; while the files are spoilt, return what was last read whole.

    That is by this process, or by one that it was forked from: a node reads the pair before its
    first fork. So a certificate that spoils on disk ends no edge that starts again.

    Returns:
        The context, and what is wrong with the files if it had to be recalled.

    Raises:
        AccessError: As :func:`tls_context`, and nothing has been read before.
    """
    pair = (certificate, key)
    try:
        _last_whole[pair] = tls_context(certificate, key)
    except AccessError as error:
        if pair not in _last_whole:
            raise
        return _last_whole[pair], error
    return _last_whole[pair], None


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return what a listening socket needs to speak TLS 1.2 or later.

    Args:
        certificate: Chain (PEM).
        key: Private key (PEM); None = in the certificate's file.

    Raises:
        AccessError: They cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Without a password function a protected key would be asked for on the terminal.
    no_password = str
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise AccessError(
            f"edge.tls_certificate, edge.tls_key: {certificate} with {key or certificate} cannot "
            f"be used ({error}); give a PEM chain and its unprotected key"
        ) from error
    return context
