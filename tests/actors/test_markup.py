"""What browsers, players and apps get, read by parsers that know nothing of how it was written."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from actors.markup.trackers import Trackers
from actors.markup.workshop import Workshop
from actors.reading.native_form import native_form_of
from config.campaigns import load_campaigns
from config.creatives import Creative, Image, MediaFile, NativeParts
from models.fitting import why_unfit
from models.opportunity import NativeAsset, NativeForm, Slot
from tests.openrtb.markup import banner_faults, insecure, native_faults, vast_faults

NAME = "kcIGbmFtZQ-_.AbC123_-"
BASE = "https://edge.example"
VIEW = f"{BASE}/view?b={NAME}"
CLICK = f"{BASE}/click?b={NAME}"
BILLING = (
    f"{BASE}/notice/billing?b={NAME}&p=${{AUCTION_PRICE}}&n=${{AUCTION_MULTIPLIER}}"
    "&c=${AUCTION_CURRENCY}"
)
NASTY = "<b>\"Fish\" & 'chips'</b> ]]> \x01é"

BANNER = Creative(
    id="b1",
    format="banner",
    w=300,
    h=250,
    title=NASTY,
    landing_url="https://shop.example/",
    image_url="https://cdn.example/b.png?a=1&b=2",
)
VIDEO = Creative(
    id="v<1>&",
    format="video",
    w=1280,
    h=720,
    mimes=("video/mp4", "video/webm"),
    duration_s=3675,
    title=NASTY,
    landing_url="https://shop.example/",
    skip_after_s=5,
    attributes=(16,),
    media=(
        MediaFile(
            url="https://cdn.example/v.mp4?a=1&b=2",
            mime="video/mp4",
            w=1280,
            h=720,
            bitrate_kbps=900,
        ),
        MediaFile(url="https://cdn.example/v.webm", mime="video/webm", w=640, h=360),
    ),
)
AUDIO = Creative(
    id="a1",
    format="audio",
    mimes=("audio/mpeg",),
    duration_s=20,
    title="Hear",
    landing_url="https://shop.example/",
    media=(MediaFile(url="https://cdn.example/a.mp3", mime="audio/mpeg", bitrate_kbps=128),),
)
NATIVE = Creative(
    id="n1",
    format="native",
    title="t",
    landing_url="https://shop.example/",
    native=NativeParts(
        titles=(NASTY,),
        image=Image(url="https://cdn.example/{w}x{h}.png", w=1200, h=627),
        icon=Image(url="https://cdn.example/i.png", w=80, h=80),
        data={1: ("Shop",)},
    ),
)
ASSETS = (
    NativeAsset(4, "title", required=True),
    NativeAsset(5, "image", w=300, h=200),
    NativeAsset(6, "icon"),
    NativeAsset(7, "data", data_type=1),
    NativeAsset(8, "data", data_type=3),
)


def markup(creative: Creative, slot: Slot) -> str:
    assert why_unfit(creative, slot) is None
    return Workshop(Trackers(BASE)).template(creative, slot).fill(NAME)


class Page(HTMLParser):
    """The tags of a page with their attributes, entities resolved."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_banner_is_an_image_in_a_link_and_a_pixel() -> None:
    link, image, pixel = Page(markup(BANNER, Slot("banner", 300, 250))).tags
    assert link[0] == "a"
    assert link[1]["href"] == CLICK
    assert image[0] == "img"
    assert image[1]["src"] == "https://cdn.example/b.png?a=1&b=2"
    assert (image[1]["width"], image[1]["height"]) == ("300", "250")
    assert image[1]["alt"] == NASTY
    assert pixel[1]["src"] == VIEW
    assert (pixel[1]["width"], pixel[1]["height"]) == ("1", "1")


def test_ready_made_html_gets_our_addresses_where_its_macros_are() -> None:
    adm = '<a href="${CLICK_URL}&u=x"><img src="${VIEW_URL}"></a>${AUCTION_ID}'
    text = markup(_ready(BANNER, adm), Slot("banner", 300, 250))
    assert text == f'<a href="{CLICK}&u=x"><img src="{VIEW}"></a>${{AUCTION_ID}}'


def test_ready_made_html_without_a_view_macro_gets_a_pixel_at_its_end() -> None:
    text = markup(_ready(BANNER, "<b>ad</b>"), Slot("banner", 300, 250))
    assert text.startswith("<b>ad</b><img ")
    assert Page(text).tags[-1][1]["src"] == VIEW


# The order of elements by the specifications: IAB's VAST 2.0, 3.0, 4.x and DAAST 1.0.
OLD_ORDER = {
    "InLine": ("AdSystem", "AdTitle", "Impression", "Creatives"),
    "Linear": ("Duration", "VideoClicks", "MediaFiles"),
    "Creative": ("Linear",),
}
DAAST_ORDER = {**OLD_ORDER, "Linear": ("Duration", "AdInteractions", "MediaFiles")}
NEW_ORDER = {
    "InLine": ("AdSystem", "Impression", "AdServingId", "AdTitle", "Creatives"),
    "Linear": ("Duration", "MediaFiles", "VideoClicks"),
    "Creative": ("Linear", "UniversalAdId"),
}
VAST_4_0_ORDER = {**NEW_ORDER, "InLine": ("AdSystem", "Impression", "AdTitle", "Creatives")}
PROTOCOLS = (
    (2, "VAST", "2.0", OLD_ORDER),
    (3, "VAST", "3.0", OLD_ORDER),
    (7, "VAST", "4.0", VAST_4_0_ORDER),
    (11, "VAST", "4.1", NEW_ORDER),
    (13, "VAST", "4.2", NEW_ORDER),
    (15, "VAST", "4.3", NEW_ORDER),
    (9, "DAAST", "1.0", DAAST_ORDER),
)


@pytest.mark.parametrize(
    ("protocol", "root", "version", "order", "creative"),
    [(*each, ad) for each in PROTOCOLS for ad in (VIDEO, AUDIO) if (each[0], ad) != (9, VIDEO)],
)
def test_every_protocol_has_its_elements_in_its_order(
    protocol: int, root: str, version: str, order: dict[str, Any], creative: Creative
) -> None:
    document = parsed(markup(creative, Slot(creative.format, protocols=(protocol,))))
    assert (document.tag, document.get("version")) == (root, version)
    for name, children in order.items():
        parents = list(document.iter(name))
        assert len(parents) == 1
        assert tuple(child.tag for child in parents[0]) == children
    ids = [ad.text for ad in document.iter("UniversalAdId")]
    assert ids == ([creative.id] if protocol in (7, 11, 13, 15) else [])


def test_a_video_says_all_that_a_player_needs() -> None:
    document = parsed(markup(VIDEO, Slot("video")))
    assert document.get("version") == "4.2"
    assert text_of(document, "AdTitle") == NASTY.replace("\x01", "")
    assert text_of(document, "AdServingId") == NAME
    assert text_of(document, "Impression") == BILLING
    assert text_of(document, "ClickThrough") == CLICK
    assert text_of(document, "Duration") == "01:01:15"
    linear = document.find(".//Linear")
    assert linear is not None
    assert linear.get("skipoffset") == "00:00:05"
    ad = document.find("Ad")
    assert ad is not None
    assert (ad.get("id"), ad.get("adType")) == ("v<1>&", None)
    files = [(file.attrib, file.text) for file in document.iter("MediaFile")]
    assert files == [
        (
            {
                "delivery": "progressive",
                "type": "video/mp4",
                "width": "1280",
                "height": "720",
                "bitrate": "900",
            },
            "https://cdn.example/v.mp4?a=1&b=2",
        ),
        (
            {"delivery": "progressive", "type": "video/webm", "width": "640", "height": "360"},
            "https://cdn.example/v.webm",
        ),
    ]


def test_only_files_that_the_placement_takes_are_named() -> None:
    document = parsed(markup(VIDEO, Slot("video", mimes=("video/webm",))))
    assert [file.text for file in document.iter("MediaFile")] == ["https://cdn.example/v.webm"]


def test_an_audio_ad_says_that_it_is_one() -> None:
    ad = parsed(markup(AUDIO, Slot("audio"))).find("Ad")
    assert ad is not None
    assert ad.get("adType") == "audio"


@pytest.mark.parametrize(
    ("adm", "expected"),
    [
        (
            '<VAST version="3.0"><Impression>x</Impression></VAST>',
            (
                f'<VAST version="3.0"><Impression><![CDATA[{BILLING}]]></Impression>'
                "<Impression>x</Impression></VAST>"
            ),
        ),
        ("<VAST><Error><![CDATA[${BILLING_URL}]]></Error></VAST>", None),
    ],
)
def test_ready_made_vast_gets_the_billing_address_once(adm: str, expected: str | None) -> None:
    creative = _ready(VIDEO, adm)
    template = Workshop(Trackers(BASE)).template(creative, Slot("video"))
    text = template.fill(NAME)
    assert template.bills
    assert text.count(BILLING) == 1
    assert expected is None or text == expected


def test_ready_made_vast_without_a_place_for_the_billing_address_does_not_bill() -> None:
    template = Workshop(Trackers(BASE)).template(_ready(VIDEO, "<VAST/>"), Slot("video"))
    assert not template.bills
    assert template.fill(NAME) == "<VAST/>"


def test_a_native_ad_answers_the_assets_by_their_numbers() -> None:
    document = json.loads(markup(NATIVE, Slot("native", native=NativeForm(ASSETS))))
    assert document == {
        "ver": "1.2",
        "assets": [
            {"id": 4, "required": 1, "title": {"text": NASTY}},
            {
                "id": 5,
                "img": {"type": 3, "url": "https://cdn.example/300x200.png", "w": 300, "h": 200},
            },
            {"id": 6, "img": {"type": 1, "url": "https://cdn.example/i.png", "w": 80, "h": 80}},
            {"id": 7, "data": {"type": 1, "value": "Shop"}},
        ],
        "link": {"url": CLICK},
        "eventtrackers": [{"event": 1, "method": 1, "url": VIEW}],
    }


def test_an_older_native_placement_is_answered_in_its_own_shape() -> None:
    form = NativeForm(ASSETS[:2], wrapped=True, version="1.1", event_trackers=False)
    document = json.loads(markup(NATIVE, Slot("native", native=form)))["native"]
    assert document["ver"] == "1.1"
    assert document["imptrackers"] == [VIEW]
    assert "eventtrackers" not in document
    assert "type" not in document["assets"][1]["img"]


def test_ready_made_native_markup_gets_our_trackers_beside_its_own() -> None:
    adm = json.dumps(
        {
            "native": {
                "assets": [{"id": 4}],
                "link": {"url": "x", "fallback": "f"},
                "imptrackers": ["i"],
            }
        }
    )
    creative = Creative(
        id="n", format="native", title="t", adm=adm, landing_url="https://shop.example/"
    )
    form = NativeForm(ASSETS[:1], wrapped=False, version="1.1", event_trackers=False)
    document = json.loads(markup(creative, Slot("native", native=form)))
    assert document["link"] == {"url": CLICK, "fallback": "f"}
    assert document["imptrackers"] == ["i", VIEW]


WISHES = {
    "ver": "1.2",
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 25}},
        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 300, "hmin": 157}},
        {"id": 3, "required": 1, "img": {"type": 1, "w": 64, "h": 64}},
        {"id": 4, "required": 1, "data": {"type": 1, "len": 25}},
        {"id": 5, "required": 1, "data": {"type": 2, "len": 90}},
        {"id": 6, "required": 1, "data": {"type": 12, "len": 15}},
        {"id": 7, "data": {"type": 3}},
    ],
}


def test_all_sample_ads_give_markup_that_an_independent_checker_accepts() -> None:
    shop = Workshop(Trackers(BASE))
    form = native_form_of(json.dumps(WISHES))
    for creative in (creative for campaign in load_campaigns() for creative in campaign.creatives):
        slot = Slot(creative.format, creative.w, creative.h, native=form)
        assert why_unfit(creative, slot) is None
        text = shop.template(creative, slot).fill(NAME)
        assert not insecure(text)
        if creative.format == "banner":
            assert not banner_faults(text, {1, 3, 4})
        elif creative.format == "native":
            assert not native_faults(text, json.dumps(WISHES))
        else:
            assert not vast_faults(text, {"mimes": list(creative.mimes)}, creative.duration_s)


def test_markup_is_made_once_for_each_kind_of_placement_and_forgotten_in_bounds() -> None:
    shop = Workshop(Trackers(BASE), max_templates=2)
    first = shop.template(BANNER, Slot("banner", 300, 250))
    assert shop.template(BANNER, Slot("banner", 300, 250, min_s=3)) is first
    one = shop.template(VIDEO, Slot("video", protocols=(2,)))
    assert shop.template(VIDEO, Slot("video", protocols=(3,))) is not one
    assert shop.template(BANNER, Slot("banner", 300, 250)) is not first


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def text_of(document: ET.Element, name: str) -> str | None:
    found = list(document.iter(name))
    assert len(found) == 1
    return found[0].text


def _ready(creative: Creative, adm: str) -> Creative:
    from msgspec.structs import replace

    return replace(creative, adm=adm, media=(), image_url="", skip_after_s=0)


@pytest.mark.parametrize(
    "creative",
    [creative for campaign in load_campaigns() for creative in campaign.creatives][::7],
    ids=lambda each: each.id,
)
def test_without_tls_of_ours_a_secure_placement_gets_markup_without_our_trackers(
    creative: Creative,
) -> None:
    form = native_form_of(json.dumps(WISHES))
    slot = Slot(creative.format, creative.w, creative.h, native=form)
    shop = Workshop(Trackers("http://edge.example", in_markup=False))
    template = shop.template(creative, slot)
    text = template.fill(NAME)
    assert "http://" not in text
    assert creative.landing_url.split("/")[2] in text
    assert not template.bills  # so the bid carries a billing notice


def test_ready_made_markup_for_secure_placements_leads_to_the_landing_page_itself() -> None:
    shop = Workshop(Trackers("http://edge.example", in_markup=False))
    creative = _ready(VIDEO, "<VAST><Impression>${BILLING_URL}</Impression>${CLICK_URL}</VAST>")
    template = shop.template(creative, Slot("video"))
    assert (
        template.fill(NAME)
        == f"<VAST><Impression>about:blank</Impression>{creative.landing_url}</VAST>"
    )
    assert not template.bills
