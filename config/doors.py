"""Settings of the doors: where bid requests and events come in, and who may come in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.sections import LAST_PORT, FileName, Host, Names, Positive, Section


class GatewaySettings(Section):
    """Where bid requests and events come in."""

    host: Host = "127.0.0.1"
    """Address that the sockets listen on."""
    port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 7400
    """Port of bidder 1 for bid requests; bidder i listens on port + i - 1."""
    event_port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 7300
    """Port of bidder 1 for wins, losses and clicks; bidder i listens on event_port + i - 1."""
    max_in_flight: Positive = 1024
    """Requests of one bidder that may be undecided at one time; more get a quick no-bid."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 262_144
    """Largest request body that is read."""
    default_tmax_ms: Positive = 100
    """Time allowed for an answer when the request names none."""
    network_margin_ms: Annotated[int, Field(ge=0)] = 10
    """Part of the request's time kept for the network."""
    min_time_ms: Annotated[int, Field(ge=0)] = 2
    """With less time left than this a request gets a no-bid at once."""
    explain: bool = True
    """Tell whoever asks on the nng sockets why there was no bid (`ext.explain`)."""


class EdgeSettings(Section):
    """The HTTP edge: bid requests and notices over HTTP, health, metrics."""

    enabled: bool = True
    """Run it at all."""
    host: Host = "127.0.0.1"
    """Address that it listens on."""
    port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 8080
    """Port that it listens on."""
    public_url: Annotated[str, Field(pattern=r"^(https?://[^\s?#]+[^/\s?#])?$")] = ""
    """What exchanges reach it by, for the notices in a bid; empty means host and port."""
    margin_ms: Annotated[int, Field(ge=0)] = 4
    """Part of the request's time kept for sending the answer; bidders keep more of it."""
    max_waiting: Positive = 8192
    """Requests that may wait for bidders at one time; more get a quick no-bid."""
    tls_certificate: FileName = ""
    """Certificate chain (PEM) to serve HTTPS with; empty means plain HTTP."""
    tls_key: FileName = ""
    """Private key (PEM) of the certificate."""
    token_file: FileName = ""
    """File with the bearer tokens that bid requests must carry, one a line; empty means none."""
    explain_from: Names = ("127.0.0.0/8", "::1/128")
    """Networks whose callers are told why there was no bid, if they ask (`ext.explain`)."""
    click_hosts: Names = ()
    """Hosts that clicks may be sent on to, besides the landing pages of the campaigns."""


class OverloadSettings(Section):
    """What is done with more requests than can be decided."""

    shed: bool = True
    """Answer what can't be decided in time with a quick no-bid, before it is read."""
