"""Whether an ad fits a slot, as tables of cases."""

from __future__ import annotations

import pytest

from config.creatives import Creative, Image, MediaFile, NativeParts
from models.fitting import (
    DAAST_1,
    VAST_2,
    VAST_4_2,
    files_for,
    is_insecure,
    protocol_for,
    ready_made_protocol,
    why_unfit,
)
from models.native_fill import fill
from models.opportunity import NativeAsset, NativeForm, Slot

SMALL = MediaFile(url="https://c/s.mp4", mime="video/mp4", w=640, h=360, bitrate_kbps=500)
LARGE = MediaFile(url="https://c/l.webm", mime="video/webm", w=1280, h=720, bitrate_kbps=2500)
PARTS = NativeParts(
    titles=("Short", "A title that is longer"),
    image=Image(url="https://c/{w}x{h}.png", w=1200, h=600),
    icon=Image(url="https://c/i.png", w=80, h=80),
    data={1: ("Brand",), 2: ("Few words", "More words than few")},
)


def banner(**changes: object) -> Creative:
    fields = {"id": "b", "format": "banner", "w": 300, "h": 250, "title": "t", "adm": "<b>"}
    return Creative(**{**fields, **changes})  # type: ignore[arg-type]


def video(**changes: object) -> Creative:
    fields = {
        "id": "v",
        "format": "video",
        "mimes": ("video/mp4", "video/webm"),
        "duration_s": 15,
        "title": "t",
        "media": (LARGE, SMALL),
    }
    return Creative(**{**fields, **changes})  # type: ignore[arg-type]


def native(*assets: NativeAsset) -> Slot:
    return Slot("native", native=NativeForm(assets))


NATIVE = Creative(id="n", format="native", title="t", native=PARTS)
AUDIO = video(format="audio", mimes=("audio/mpeg",), media=(MediaFile(url="u", mime="audio/mpeg"),))

CASES = (
    (banner(), Slot("banner", 300, 250), None),
    (banner(), Slot("banner", 300, 251), "no_creative_of_size"),
    (banner(), Slot("video", 300, 250), "no_creative_of_size"),
    (banner(), Slot("banner", 300, 250, blocked_types=frozenset({1, 4})), None),
    (banner(), Slot("banner", 300, 250, blocked_types=frozenset({2})), "media_not_accepted"),
    (banner(banner_type=4), Slot("banner", 300, 250, blocked_types=frozenset({2})), None),
    (
        banner(adm="<SCRIPT src=x>"),
        Slot("banner", 300, 250, blocked_types=frozenset({3})),
        "media_not_accepted",
    ),
    (
        banner(adm="<iframe src=x>"),
        Slot("banner", 300, 250, blocked_types=frozenset({4})),
        "media_not_accepted",
    ),
    (banner(mimes=("image/png",)), Slot("banner", 300, 250, ("image/gif",)), "media_not_accepted"),
    (banner(mimes=("image/jpeg",)), Slot("banner", 300, 250, ("image/JPG",)), None),
    (banner(mimes=("image/png",)), Slot("banner", 300, 250, ("text/html",)), None),
    (banner(apis=(5, 6)), Slot("banner", 300, 250), "media_not_accepted"),
    (banner(apis=(5, 6)), Slot("banner", 300, 250, apis=(3,)), "media_not_accepted"),
    (banner(apis=(5, 6)), Slot("banner", 300, 250, apis=(3, 6)), None),
    (video(), Slot("video"), None),
    (video(), Slot("video", mimes=("video/webm",)), None),
    (video(), Slot("video", mimes=("video/ogg",)), "media_not_accepted"),
    (video(media=(), adm="<VAST/>"), Slot("video", mimes=("video/ogg",)), "media_not_accepted"),
    (video(), Slot("video", max_bitrate=1000), None),
    (video(), Slot("video", max_bitrate=100), "media_not_accepted"),
    (video(), Slot("video", min_bitrate=3000), "media_not_accepted"),
    (video(), Slot("video", mimes=("video/webm",), max_bitrate=1000), "media_not_accepted"),
    (video(), Slot("video", linearity=1), None),
    (video(), Slot("video", linearity=2), "media_not_accepted"),
    (video(), Slot("video", protocols=(2, 5)), None),
    (video(), Slot("video", protocols=(1, 5)), "media_not_accepted"),
    (video(), Slot("video", protocols=(9,)), "media_not_accepted"),
    (AUDIO, Slot("audio", protocols=(9,)), None),
    (AUDIO, Slot("audio", mimes=("audio/mp3",)), None),
    (video(skip_after_s=5), Slot("video", skippable=0), "media_not_accepted"),
    (video(skip_after_s=5), Slot("video", skippable=1), None),
    (video(), Slot("video", min_s=15, max_s=15), None),
    (video(), Slot("video", min_s=16), "duration"),
    (video(), Slot("video", max_s=14), "duration"),
    (video(), Slot("video", exact_s=(10, 15)), None),
    (video(), Slot("video", exact_s=(10, 30)), "duration"),
    (NATIVE, Slot("native"), "media_not_accepted"),
    (NATIVE, native(), "media_not_accepted"),
    (NATIVE, native(NativeAsset(1, "title", required=True)), None),
    (NATIVE, native(NativeAsset(1, "title", required=True, max_length=4)), "media_not_accepted"),
    (NATIVE, native(NativeAsset(1, "title"), NativeAsset(2, "video")), None),
    (NATIVE, native(NativeAsset(2, "video")), "media_not_accepted"),
    (
        NATIVE,
        native(NativeAsset(1, "title"), NativeAsset(2, "video", required=True)),
        "media_not_accepted",
    ),
    (NATIVE, native(NativeAsset(1, "data", required=True, data_type=3)), "media_not_accepted"),
    (NATIVE, native(NativeAsset(1, "icon", required=True, w=80, h=80)), None),
    (NATIVE, native(NativeAsset(1, "icon", required=True, w=64, h=64)), "media_not_accepted"),
    (NATIVE, native(NativeAsset(1, "icon", required=True, min_w=81)), "media_not_accepted"),
    (
        NATIVE,
        native(NativeAsset(1, "image", required=True, mimes=("image/gif",))),
        "media_not_accepted",
    ),
)


@pytest.mark.parametrize(("creative", "slot", "reason"), CASES)
def test_an_ad_fits_a_slot_or_the_reason_says_why_not(
    creative: Creative, slot: Slot, reason: str | None
) -> None:
    assert why_unfit(creative, slot) == reason


def test_of_the_texts_that_fit_the_longest_is_taken() -> None:
    asked = (
        NativeAsset(7, "title", max_length=90),
        NativeAsset(8, "title", max_length=10),
        NativeAsset(9, "data", data_type=2, max_length=12),
    )
    filled = fill(PARTS, NativeForm(asked))
    assert filled is not None
    assert [each.text for each in filled] == ["A title that is longer", "Short", "Few words"]


@pytest.mark.parametrize(
    ("asset", "size"),
    [
        (NativeAsset(1, "image"), (1200, 600)),
        (NativeAsset(1, "image", w=300, h=250), (300, 250)),
        (NativeAsset(1, "image", w=300), (300, 150)),
        (NativeAsset(1, "image", h=300), (600, 300)),
        (NativeAsset(1, "image", min_w=1500, min_h=10), (1500, 600)),
    ],
)
def test_an_image_that_can_be_cut_has_the_size_that_was_asked_for(
    asset: NativeAsset, size: tuple[int, int]
) -> None:
    filled = fill(PARTS, NativeForm((asset,)))
    assert filled is not None
    assert (filled[0].w, filled[0].h) == size
    assert filled[0].url == f"https://c/{size[0]}x{size[1]}.png"


def test_files_are_those_whose_type_and_bitrate_are_taken_best_first() -> None:
    assert files_for(video(), Slot("video")) == (LARGE, SMALL)
    assert files_for(video(), Slot("video", max_bitrate=600)) == (SMALL,)
    assert files_for(video(), Slot("video", mimes=("video/webm",))) == (LARGE,)


def test_a_file_has_its_type_under_the_name_that_the_placement_gives_it() -> None:
    (file,) = files_for(AUDIO, Slot("audio", mimes=("audio/ogg", "audio/mp3")))
    assert file.mime == "audio/mp3"


def test_the_protocol_is_the_newest_that_is_accepted() -> None:
    assert protocol_for(video(), Slot("video")) == VAST_4_2
    assert protocol_for(video(), Slot("video", protocols=(1, 2, 5))) == VAST_2
    assert protocol_for(AUDIO, Slot("audio", protocols=(2, 9))) == DAAST_1
    assert protocol_for(video(), Slot("video", protocols=(1,))) == 0


@pytest.mark.parametrize(
    ("adm", "protocol"),
    [
        ('<VAST version="2.0"><Ad><InLine>', 2),
        ("<VAST version='3.0'><Ad><Wrapper>", 6),
        ('<?xml version="1.0"?><VAST version="4.0">', 7),
        ('<VAST version="4.2"><Ad><Wrapper followAdditionalWrappers="0">', 14),
        ('<DAAST version="1.0">', 9),
        ("<VAST/>", 13),
    ],
)
def test_ready_made_markup_says_its_protocol_itself(adm: str, protocol: int) -> None:
    assert ready_made_protocol(adm) == protocol
    creative = video(media=(), adm=adm)
    assert why_unfit(creative, Slot("video", protocols=(protocol,))) is None
    assert why_unfit(creative, Slot("video", protocols=(1,))) == "media_not_accepted"


def test_ready_made_native_markup_must_answer_the_required_assets() -> None:
    creative = Creative(
        id="n", format="native", title="t", adm='{"native":{"assets":[{"id":3,"title":{}}]}}'
    )
    assert why_unfit(creative, native(NativeAsset(3, "title", required=True))) is None
    assert why_unfit(creative, native(NativeAsset(4, "title", required=True))) is not None
    broken = Creative(id="n", format="native", title="t", adm="no JSON")
    assert why_unfit(broken, native(NativeAsset(3, "title"))) == "media_not_accepted"


@pytest.mark.parametrize(
    ("creative", "insecure"),
    [
        (banner(adm='<img src="https://a/b">'), False),
        (banner(adm='<img src="http://a/b">'), True),
        (video(media=(), adm='<VAST xmlns:xsi="http://www.w3.org/2001/XMLSchema">'), False),
        (banner(adm="", image_url="http://a/b.png", landing_url="https://a"), True),
        (banner(adm="", image_url="https://a/b.png", landing_url="http://a"), False),
        (video(media=(MediaFile(url="http://c/s.mp4", mime="video/mp4"),)), True),
        (NATIVE, False),
    ],
)
def test_what_is_fetched_without_tls_to_show_the_ad_makes_it_insecure(
    creative: Creative, insecure: bool
) -> None:
    assert is_insecure(creative) is insecure
