"""Views, clicks and conversions: answered at once, told to bidders, and leading nowhere strange."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.edge.landings import Landings, landings_of
from actors.edge.tracking import PIXEL
from tests.actors.edges import HOSTS, PAGES, SECRET, UNIX_S, World, in_world
from tests.actors.samples import campaign
from transport.errors import NoticeError
from transport.messages import Click, Conversion, EventAck, Impression, decode_event, encode_ack
from transport.notices import NoticeKey

KEY = NoticeKey("b-1", "shoes", "lease-1", 2_000, "shoes-1").encode(SECRET)
HOMELESS = NoticeKey("b-2", "plain", "lease-1", 2_000, "plain").encode(SECRET)
PAGE = PAGES["shoes-1"]
LANDINGS = Landings(PAGES, HOSTS, SECRET)


def confirms(_body: bytes) -> bytes:
    return encode_ack(EventAck(ok=True))


async def told(world: World, path: str, query: str, **more: Any) -> tuple[Any, list[Any]]:
    """What a browser gets, and what the bidders hear."""
    desk = world.bidder("e1", confirms)
    await world.settle()
    answer = await world.call(more.pop("method", "GET"), path, query=query.encode(), **more)
    await world.settle()
    return answer, [decode_event(body) for body in desk.asked]


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/view", Impression(KEY, ts=UNIX_S)),
        ("/conversion", Conversion(KEY, ts=UNIX_S, value_micros=5_000)),
    ],
)
def test_a_view_or_conversion_is_answered_with_a_pixel_and_told(path: str, event: Any) -> None:
    async def story(world: World) -> None:
        answer, heard = await told(world, path, f"b={KEY}&value_micros=5000")
        assert (answer.status, answer.body) == (200, PIXEL)
        assert answer.headers["content-type"] == "image/gif"
        assert answer.headers["cache-control"] == "no-store"
        assert heard == [event]

    in_world(story)


def test_the_pixel_is_a_gif_of_one_pixel() -> None:
    assert PIXEL.startswith(b"GIF89a\x01\x00\x01\x00")
    assert PIXEL.endswith(b"\x00;")


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("", PAGE),
        ("https://shoes.example/sale?size=9#top", "https://shoes.example/sale?size=9#top"),
        ("https://outlet.example", "https://outlet.example"),
        ("https://evil.example/", PAGE),
    ],
)
def test_a_click_is_told_and_leads_to_an_allowed_place(wanted: str, target: str) -> None:
    async def story(world: World) -> None:
        answer, heard = await told(world, "/click", f"b={KEY}&u={quote(wanted, safe='')}")
        assert (answer.status, answer.headers["location"]) == (302, target)
        assert heard == [Click(KEY, ts=UNIX_S)]

    in_world(story)


def test_a_click_on_an_ad_without_a_landing_page_is_told_and_leads_nowhere() -> None:
    async def story(world: World) -> None:
        answer, heard = await told(world, "/click", f"b={HOMELESS}&u=https://evil.example")
        assert answer.status == 404
        assert "location" not in answer.headers
        assert len(heard) == 1

    in_world(story)


@pytest.mark.parametrize("path", ["/view", "/click", "/conversion"])
@pytest.mark.parametrize("query", ["", "b=", "b=forged.token", f"b={KEY[:-2]}AA", "b=%ff"])
def test_who_names_no_bid_of_ours_is_not_listened_to(path: str, query: str) -> None:
    async def story(world: World) -> None:
        answer, heard = await told(world, path, query)
        assert (answer.status, heard) == (400, [])
        assert "location" not in answer.headers

    in_world(story)


@pytest.mark.parametrize(
    "more",
    [
        {"method": "HEAD"},
        {"headers": ((b"sec-purpose", b"prefetch;prerender"),)},
        {"headers": ((b"purpose", b"preview"),)},
    ],
)
def test_who_only_looks_ahead_has_not_clicked(more: dict[str, Any]) -> None:
    async def story(world: World) -> None:
        answer, heard = await told(world, "/click", f"b={KEY}", **more)
        assert (answer.status, heard) == (302, [])

    in_world(story)


def test_a_click_does_not_wait_for_bidders_that_are_away() -> None:
    async def story(world: World) -> None:
        answered = world.loop.create_future()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                answered.set_result(True)

        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/click"}
        scope |= {"headers": [], "root_path": ""}
        scope["query_string"] = f"b={KEY}".encode()
        task = world.loop.create_task(world.app(scope, receive, send))
        assert await answered
        assert not task.done()
        task.cancel()

    in_world(story)


# --- where a click may lead ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "//shoes.example/",
        "///shoes.example/",
        "/shoes",
        "shoes.example",
        "https:shoes.example",
        "https:/shoes.example",
        "https:\\\\shoes.example\\",
        "https://shoes.example\\@evil.example/",
        "https://shoes.example@evil.example/",
        "https://shoes.example:x@evil.example/",
        "https://shoes.example:80@evil.example/",
        "https://user@shoes.example/",
        "https://user:secret@shoes.example/",
        "https://@shoes.example/",
        "https://shoes.example.evil.example/",
        "https://evil.example/shoes.example",
        "https://evil.example#shoes.example",
        "https://evil.example?shoes.example",
        "https://notshoes.example/",
        "https://sub.shoes.example/",
        "https://shoes.example./",
        "https://.shoes.example/",
        "https://shoes.example:444/",
        "https://shoes.example:/",
        "https://shoes.example:0443/",
        "https://shoes.example%2eevil.example/",
        "https://shoes.example%00.evil.example/",
        "https://shoes.example\t/",
        "https://shoes.example/\r\nset-cookie: a=b",
        "https://shoes.example/ x",
        " https://shoes.example/",
        "https://shoes.example/\n",
        "https://shoes。example/",
        "https://\u0455hoes.example/",
        "https://[::1]/",
        "https://127.0.0.1/",
        "https://local.example/",
        "https://local.example:8444/",
        "ftp://shoes.example/",
        "javascript:alert(1)",
        "javascript://shoes.example/%0aalert(1)",
        "data:text/html,x",
        "https%3A%2F%2Fshoes.example%2F",
        "https://shoes.example/" + "x" * 4096,
    ],
)
def test_no_trick_leads_anywhere_but_to_the_landing_page(url: str) -> None:
    assert LANDINGS.target(KEY, url) == PAGE
    assert LANDINGS.target(HOMELESS, url) == ""


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("HTTPS://Shoes.EXAMPLE/Path", "https://shoes.example/Path"),
        ("https://shoes.example:443/", "https://shoes.example/"),
        ("http://shoes.example:80?q=//evil", "http://shoes.example?q=//evil"),
        ("https://LOCAL.example:8443/x", "https://local.example:8443/x"),
    ],
)
def test_an_allowed_address_is_passed_on_in_its_plain_form(url: str, target: str) -> None:
    assert LANDINGS.target(KEY, url) == target


@given(st.text(max_size=40), st.sampled_from(["https://shoes.example", "https://", "//", ""]))
def test_whatever_is_asked_for_a_click_ends_on_a_listed_host(text: str, start: str) -> None:
    target = LANDINGS.target(KEY, start + text)
    host = target.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    assert host in {"shoes.example", "outlet.example", "local.example:8443"}


def test_only_signed_names_open_the_way() -> None:
    with pytest.raises(NoticeError):
        LANDINGS.target("forged", "https://shoes.example/")


def test_the_landing_pages_of_all_campaigns_are_allowed() -> None:
    shoes = campaign("shoes")
    made = landings_of([shoes], ["Other.example"], SECRET)
    page = shoes.creatives[0].landing_url
    assert made.target(KEY, "https://other.example/a") == "https://other.example/a"
    assert made.target(KEY, "https://evil.example/") == page
