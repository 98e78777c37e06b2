"""Campaign files: what is read, and what is refused with the place that is wrong."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.campaigns import SAMPLE_CAMPAIGNS, load_campaigns
from config.creatives import addresses
from config.errors import ConfigError
from models.fitting import is_insecure

ROOT = Path(__file__).parents[2]

GOOD = """
[[campaigns]]
id = "c1"
advertiser_domain = "a.example"
name = "A"
categories = ["IAB1"]
budget_micros = 1_000_000
default_bid_micros = 1_000
max_bid_micros = 2_000
value_per_conversion_micros = 1_000_000
creatives = [{ id = "k1", format = "banner", w = 300, h = 250, adm = "<a>", title = "t" }]
"""
VIDEO = 'format = "video", mimes = ["video/mp4"], duration_s = 9'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "campaigns.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_samples_cover_every_format_and_the_usual_banner_sizes() -> None:
    creatives = [creative for c in load_campaigns() for creative in c.creatives]
    sizes = {(k.w, k.h) for k in creatives if k.format == "banner"}
    assert {k.format for k in creatives} == {"banner", "video", "native", "audio"}
    usual = {(300, 250), (728, 90), (320, 50), (160, 600), (300, 600), (970, 250), (468, 60)}
    assert usual | {(120, 600)} == sizes
    assert 20 <= len(load_campaigns()) <= 25


def test_sample_budgets_are_between_20k_and_500k_dollars() -> None:
    for campaign in load_campaigns():
        assert 20_000 <= campaign.budget_micros / 1_000_000 <= 500_000


def test_sample_ads_are_made_of_secure_parts_and_lead_to_their_advertiser() -> None:
    for campaign in load_campaigns():
        for creative in campaign.creatives:
            assert not creative.adm
            assert addresses(creative)
            assert not is_insecure(creative)
            host = urlsplit(creative.landing_url).hostname or ""
            assert host.endswith(f".{campaign.advertiser_domain}")


def test_the_samples_show_deals_segments_caps_and_audio() -> None:
    campaigns = load_campaigns()
    assert [c.id for c in campaigns if not c.open_auction and c.deals] == ["meridian-hotels"]
    assert [c.id for c in campaigns if c.targeting.segments] == ["seilwerk-climbing"]
    assert [c.id for c in campaigns if c.caps] == ["seilwerk-climbing", "hoerbar-audiobooks"]
    audio = [
        file for c in campaigns for k in c.creatives if k.format == "audio" for file in k.media
    ]
    assert {file.bitrate_kbps for file in audio} == {128, 192, 96}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (campaign,) = load_campaigns(written(tmp_path, GOOD))
    assert (campaign.id, campaign.creatives[0].w, campaign.active) == ("c1", 300, True)


def test_without_a_path_the_samples_are_read() -> None:
    assert load_campaigns() == load_campaigns(SAMPLE_CAMPAIGNS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("budget_micros = 1_000_000", "budget_micros = 0"), "budget_micros"),
        (
            ("budget_micros = 1_000_000", 'budget_micros = "x"'),
            r"\$\.campaigns\[0\]\.budget_micros",
        ),
        (("max_bid_micros = 2_000", "max_bid_micros = 10"), "default_bid_micros"),
        (("value_per_conversion_micros = 1_000_000", "value_per_conversion_micros = 0"), "value_"),
        (('name = "A"', 'nmae = "A"'), "nmae"),
        (('"banner", w = 300', '"banner", w = 0'), "w and h"),
        (('"banner"', '"hologram"'), "hologram"),
        (('"banner"', '"video"'), "mimes and duration_s"),
        (('id = "k1"', 'id = "c1"'), "used twice"),
        (("creatives = [{", "starts_at = 2026-01-01T00:00:00\ncreatives = [{"), "time zone"),
        (("[[campaigns]]", "[[campaigns"), "campaigns.toml"),
    ],
)
def test_a_mistake_is_refused_and_named(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_campaigns(written(tmp_path, GOOD.replace(*change)))


@pytest.mark.parametrize(
    ("creative", "complaint"),
    [
        (
            'format = "banner", w = 300, h = 250, image_url = "https://c.example/a.png"',
            "landing_url",
        ),
        ('format = "banner", w = 300, h = 250, landing_url = "https://a.example"', "image_url"),
        ('format = "native", landing_url = "https://a.example"', "needs native"),
        (
            'format = "native", landing_url = "https://a.example", native = { titles = [] }',
            "native.titles",
        ),
        (VIDEO, "media"),
        (
            f'{VIDEO}, landing_url = "https://a", media = [{{ url = "https://c", mime = "b/c" }}]',
            "b/c",
        ),
        (
            f'{VIDEO}, adm = "<VAST/>", media = [{{ url = "https://c", mime = "video/mp4" }}]',
            "both adm and parts",
        ),
        (
            'format = "audio", mimes = ["a/b"], duration_s = 9, adm = "x", skip_after_s = 9',
            "within",
        ),
        ('format = "audio", mimes = ["a/b"], duration_s = 9, adm = "x", skip_after_s = 5', "16"),
        ('format = "banner", w = 1, h = 1, adm = "x", banner_type = 5', "banner_type"),
        (
            'format = "banner", w = 1, h = 1, image_url = "c.png", landing_url = "https://a.example"',
            "c.png",
        ),
        (
            'format = "banner", w = 1, h = 1, image_url = "https://c/a b", landing_url = "https://a"',
            "without spaces",
        ),
    ],
)
def test_an_ad_that_cannot_be_shown_is_refused_and_named(
    tmp_path: Path, creative: str, complaint: str
) -> None:
    whole = GOOD.split("creatives", maxsplit=1)[0]
    text = f'{whole}creatives = [{{ id = "k1", title = "t", {creative} }}]\n'
    with pytest.raises(ConfigError, match=complaint):
        load_campaigns(written(tmp_path, text))


def test_texts_and_categories_by_number_are_read(tmp_path: Path) -> None:
    whole = GOOD.split("creatives", maxsplit=1)[0]
    native = '{ titles = ["t"], data = { 2 = ["long", "s"] } }'
    ad = f'id = "k1", title = "t", format = "native", landing_url = "https://a", native = {native}'
    text = f"{whole}categories_in = {{ 6 = ['483'] }}\ncreatives = [{{ {ad} }}]\n"
    (campaign,) = load_campaigns(written(tmp_path, text))
    assert campaign.categories_in == {6: ("483",)}
    parts = campaign.creatives[0].native
    assert parts is not None
    assert parts.data == {2: ("long", "s")}


def test_a_flight_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    flight = "starts_at = 2026-02-01T00:00:00Z\nends_at = 2026-01-01T00:00:00Z\ncreatives"
    with pytest.raises(ConfigError, match="after starts_at"):
        load_campaigns(written(tmp_path, GOOD.replace("creatives", flight, 1)))


def test_a_campaign_without_creatives_is_refused(tmp_path: Path) -> None:
    text = GOOD.split("creatives", maxsplit=1)[0] + "creatives = []\n"
    with pytest.raises(ConfigError, match="no creatives"):
        load_campaigns(written(tmp_path, text))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no .*campaigns"):
        load_campaigns(written(tmp_path, "campaigns = []"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_campaigns(tmp_path / "nowhere.toml")


def test_the_example_of_the_page_about_ads_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "CREATIVES.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    whole = GOOD.split("creatives", maxsplit=1)[0]
    (campaign,) = load_campaigns(written(tmp_path, f"{whole}\n{example}"))
    assert campaign.creatives[0].native is not None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("goal_cpa_micros = 5\ngoal_roas = 2.0", "give it one goal"),
        ("daily_budget_micros = 0", "daily_budget_micros must be above 0"),
        ("goal_cpa_micros = 0", "goal_cpa_micros must be above 0"),
        ("goal_roas = 0.0", "goal_roas must be above 0"),
        ("goal_roas = inf", "goal_roas must be above 0"),
        ("max_cpm_micros = 999", "max_cpm_micros must be at least 1000"),
        ("hour_weights = [1.0, 2.0]", "hour_weights are 24 numbers"),
        (f"hour_weights = {[0.0] * 24}", "hour_weights are 24 numbers"),
        (f"hour_weights = {[-1.0] + [1.0] * 23}", "hour_weights are 24 numbers"),
        (f"hour_weights = [nan{', 1.0' * 23}]", "hour_weights are 24 numbers"),
    ],
)
def test_goals_and_hours_that_make_no_sense_are_refused(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = written(tmp_path, GOOD.replace("creatives", f"{line}\ncreatives"))
    with pytest.raises(ConfigError, match=complaint):
        load_campaigns(path)


@pytest.mark.parametrize(
    ("max_cpm", "limit_micros"), [(None, 2_000), (1_500_000, 1_500), (9e9, 2_000)]
)
def test_a_bid_is_limited_by_the_impression_and_by_the_thousand(
    tmp_path: Path, max_cpm: float | None, limit_micros: int
) -> None:
    line = "" if max_cpm is None else f"max_cpm_micros = {int(max_cpm)}\n"
    path = written(tmp_path, GOOD.replace("creatives", f"{line}creatives"))
    assert load_campaigns(path)[0].limit_micros == limit_micros
