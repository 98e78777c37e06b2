"""Reading what a native placement asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.reading.native_form import native_form_of
from models.opportunity import NativeAsset
from transport.native_request import MAX_ASSETS, read_native_request

FULL = """{"ver":"1.2","assets":[
 {"id":1,"required":1,"title":{"len":90}},
 {"id":2,"required":0,"img":{"type":3,"wmin":300,"hmin":200,"w":600,"h":400}},
 {"id":3,"img":{"type":1,"w":50,"h":50,"mimes":["image/png"]}},
 {"id":4,"required":1,"data":{"type":2,"len":140}},
 {"id":5,"video":{"mimes":["video/mp4"],"minduration":1,"maxduration":9,"protocols":[2]}}],
 "eventtrackers":[{"event":1,"methods":[1,2]}]}"""


def test_every_kind_of_asset_is_read() -> None:
    form = native_form_of(FULL)
    assert form is not None
    assert form.assets == (
        NativeAsset(1, "title", required=True, max_length=90),
        NativeAsset(2, "image", min_w=300, min_h=200),
        NativeAsset(3, "icon", w=50, h=50, mimes=("image/png",)),
        NativeAsset(4, "data", required=True, data_type=2, max_length=140),
        NativeAsset(5, "video"),
    )
    assert (form.version, form.wrapped, form.event_trackers) == ("1.2", False, True)


def test_the_older_versions_have_an_object_around_it() -> None:
    form = native_form_of('{"native":{"ver":1,"assets":[{"id":"7","title":{"len":"25"}}]}}')
    assert form is not None
    assert form.wrapped
    assert form.version == "1"
    assert form.assets == (NativeAsset(7, "title", max_length=25),)


def test_event_trackers_are_used_where_impressions_may_be_counted_by_an_image() -> None:
    text = '{"assets":[{"id":1,"title":{}}],"eventtrackers":%s}'
    for trackers, expected in (
        ('[{"event":1,"methods":[2]}]', False),
        ('[{"event":2,"methods":[1]},{"event":1,"methods":[1]}]', True),
        ('"odd"', False),
    ):
        request = read_native_request(text % trackers)
        assert request is not None
        assert request.tracks_impressions is expected


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "{}", '{"assets":{}}', '{"assets":[]}', '{"assets":[{},3]}']
)
def test_what_asks_for_nothing_has_no_form(text: str) -> None:
    assert native_form_of(text) is None


def test_the_version_of_the_placement_counts_where_the_text_has_none() -> None:
    text = '{"assets":[{"id":1,"title":{}}]}'
    assert native_form_of(text, "1.1").version == "1.1"  # type: ignore[union-attr]
    assert native_form_of(text).version == "1.2"  # type: ignore[union-attr]


def test_no_more_assets_are_read_than_a_placement_can_mean() -> None:
    many = ",".join('{"id":1,"title":{}}' for _ in range(MAX_ASSETS + 5))
    request = read_native_request(f'{{"assets":[{many}]}}')
    assert request is not None
    assert len(request.assets) == MAX_ASSETS


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("id", "img", "title", "data", "len", "type", "w", "required")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.text() | st.lists(_json, max_size=3).map(lambda raw: _text({"assets": raw})))
def test_whatever_the_text_says_reading_it_ends_in_a_form_or_none(text: str) -> None:
    form = native_form_of(text)
    assert form is None or all(asset.id is not None for asset in form.assets)


def _text(document: object) -> str:
    import json

    return json.dumps(document)
