from __future__ import annotations

import pickle
import tomllib
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.layers import flatten
from config.sections import Section
from config.settings import DEFAULT_FILE, Settings, load_settings, origins

NOTHING: dict[str, str] = {}


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def sections(kind: type[Section]) -> list[type[Section]]:
    inner = [field.annotation for field in kind.model_fields.values()]
    found = [each for each in inner if isinstance(each, type) and issubclass(each, Section)]
    return [kind, *(deeper for each in found for deeper in sections(each))]


def test_without_any_layer_the_defaults_hold() -> None:
    settings = load_settings(None, {}, NOTHING)
    assert settings == Settings()
    assert settings.gateway.port == 7400
    assert settings.gateway.event_port == 7300
    assert settings.node.bidders == 1


def test_the_default_file_names_every_setting_with_the_default_of_the_code() -> None:
    in_file = flatten(tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8")))
    in_code = flatten(Settings().model_dump(mode="json"))
    assert in_file.keys() == in_code.keys()
    in_file["node.data_dir"] = str(Path(str(in_file["node.data_dir"])).expanduser())
    assert in_file == in_code


@pytest.mark.parametrize("section", sections(Settings), ids=lambda each: each.__name__)
def test_every_setting_says_what_it_does(section: type[Section]) -> None:
    silent = [name for name, field in section.model_fields.items() if not field.description]
    assert not silent


def test_a_later_layer_wins_key_by_key(tmp_path: Path) -> None:
    file = written(tmp_path, "[gateway]\nport = 1001\nevent_port = 1002\nmax_in_flight = 5\n")
    environment = {"BIDWRIGHT_GATEWAY__EVENT_PORT": "2002", "BIDWRIGHT_NODE__BIDDERS": "3"}
    settings = load_settings(file, {"node": {"bidders": 4}}, environment)
    assert settings.gateway.port == 1001
    assert settings.gateway.event_port == 2002
    assert settings.gateway.max_in_flight == 5
    assert settings.node.bidders == 4


def test_every_value_tells_where_it_comes_from(tmp_path: Path) -> None:
    file = written(tmp_path, "[gateway]\nport = 1001\n")
    found = origins(file, {"node": {"bidders": 4}}, {"BIDWRIGHT_LOGS__LEVEL": "debug"})
    assert found["gateway.port"] == (1001, f"file {file}")
    assert found["node.bidders"] == (4, "command line")
    assert found["logs.level"] == ("debug", "environment variable BIDWRIGHT_LOGS__LEVEL")
    assert found["gateway.event_port"] == (7300, "default")
    assert found.keys() == flatten(Settings().model_dump()).keys()


def test_nested_sections_can_be_set_from_the_environment() -> None:
    environment = {"BIDWRIGHT_AGENTS__STEP_SHARES__VET": "0.5"}
    assert load_settings(None, {}, environment).agents.step_shares.vet == 0.5


def test_environment_variables_that_name_no_setting_are_left_alone() -> None:
    environment = {"BIDWRIGHT_CONFIG": "x", "BIDWRIGHTX__Y": "1", "HOME": "/root"}
    assert load_settings(None, {}, environment) == Settings()


def test_every_fault_is_reported_at_once_with_its_place(tmp_path: Path) -> None:
    file = written(tmp_path, '[node]\nbidders = "many"\nbider = 2\n')
    environment = {"BIDWRIGHT_GATEWAY__PORT": "99999", "BIDWRIGHT_GATEWY__PORT": "1"}
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {}, environment)
    assert len(caught.value.problems) == 4
    text = str(caught.value)
    assert f"node.bider: no such setting (file {file})" in text
    assert "node.bidders:" in text
    assert "got 'many'" in text
    assert "gateway.port:" in text
    assert "environment variable BIDWRIGHT_GATEWAY__PORT" in text
    assert "gatewy: no such setting (environment variable BIDWRIGHT_GATEWY__PORT)" in text


def test_a_value_where_a_section_belongs_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="gateway is given both as a section and as the value 'x'"
    ):
        load_settings(None, {"gateway": "x"}, NOTHING)


def test_a_section_where_a_value_belongs_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"node\.name is given both as a section"):
        load_settings(None, {"node": {"name": {"first": "n"}}}, NOTHING)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("node.bidders", 0),
        ("node.name", "no spaces"),
        ("gateway.port", 0),
        ("gateway.max_body_bytes", 10),
        ("agents.step_shares.vet", 0),
        ("agents.step_shares.vet", 1.5),
        ("money.lease_s", float("nan")),
        ("money.lease_s", float("inf")),
        ("money.price_cap_micros", 0),
        ("inference.device", "gpu"),
        ("profiler.vector_dim", 32),
        ("logs.level", "loud"),
        ("metrics.prefix", "a:b"),
    ],
)
def test_a_value_out_of_its_range_is_refused(key: str, value: object) -> None:
    tables: object = value
    for part in reversed(key.split(".")):
        tables = {part: tables}
    assert isinstance(tables, dict)
    with pytest.raises(ConfigError, match=key):
        load_settings(None, tables, NOTHING)


def test_ports_for_requests_and_for_events_may_not_overlap() -> None:
    with pytest.raises(ConfigError, match="overlap"):
        load_settings(None, {"gateway": {"port": 7301}, "node": {"bidders": 2}}, NOTHING)


def test_the_last_bidder_needs_a_port_too() -> None:
    with pytest.raises(ConfigError, match="above 65535"):
        load_settings(None, {"gateway": {"port": 65_535}, "node": {"bidders": 2}}, NOTHING)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml", {}, NOTHING)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node\.toml is not valid TOML"):
        load_settings(written(tmp_path, "[node\n"), {}, NOTHING)


def test_a_relative_data_folder_becomes_absolute() -> None:
    settings = load_settings(None, {"node": {"data_dir": "here"}}, NOTHING)
    assert settings.node.data_dir == Path.cwd() / "here"


def test_settings_are_frozen_and_cross_to_other_processes() -> None:
    settings = load_settings(None, {"node": {"bidders": 2}}, NOTHING)
    with pytest.raises(ValueError, match="frozen"):
        settings.node.bidders = 3
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: TID251 - our own


def test_the_settings_of_a_running_node_read_back_from_json() -> None:
    settings = load_settings(None, {"gateway": {"port": 7500}}, NOTHING)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("blank", ["", " "])
def test_a_forgotten_folder_is_not_the_current_one(blank: str) -> None:
    with pytest.raises(ConfigError, match=r"node\.data_dir: it is empty"):
        load_settings(None, {}, {"BIDWRIGHT_NODE__DATA_DIR": blank})


@pytest.mark.parametrize("section", ["gateway", "edge"])
def test_a_forgotten_address_is_not_every_address(section: str) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.host: it is empty"):
        load_settings(None, {section: {"host": ""}}, NOTHING)


@pytest.mark.parametrize("key", ["campaigns", "profiles"])
def test_a_file_is_found_from_another_folder(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {"node": {key: "mine.toml"}}, NOTHING)
    assert getattr(settings.node, key) == str(tmp_path / "mine.toml")


def test_a_rule_of_ours_is_told_in_our_words() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {"gateway": {"port": 7300}}, NOTHING)
    assert "Value error" not in str(caught.value)


def test_the_password_of_a_database_is_masked_where_settings_are_shown() -> None:
    where = "postgresql+psycopg://me:hunter2@db.example/ledger"
    found = origins(None, {"money": {"database": where}}, {})
    assert found["money.database"][0] == "postgresql+psycopg://me:***@db.example/ledger"
    assert load_settings(None, {"money": {"database": where}}, {}).money.database == where


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        load_settings(None, {"money": {"timezone": "Mars/Olympus"}}, {})
