"""The page about OpenRTB names every field that is read, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from transport import openrtb_imp, openrtb_request

PAGE = Path(__file__).resolve().parents[2] / "docs" / "OPENRTB.md"
ROW = re.compile(r"^\| ([\w, ]+?) \(3\.2[\d., ]+\) \|(.*)\|$", re.MULTILINE)
#: What several objects have in common, and no object of the specification itself.
BASES = ("Wire", "Timed")
NAMED = {
    "Dooh": "DOOH",
    "Quantity": "Qty",
    "DurationFloors": "DurFloors",
    "Segment": "Data, Segment",
    "Data": "Data, Segment",
    "SupplyChain": "SupplyChain and its nodes",
    "SupplyChainNode": "SupplyChain and its nodes",
    "Eid": "EID, UID",
    "Uid": "EID, UID",
}


def fields_of_types() -> dict[str, set[str]]:
    """Fields by the row in which they should stand; where 2.5 kept its fields is another page."""
    found: dict[str, set[str]] = {}
    for module in (openrtb_imp, openrtb_request):
        for name, kind in vars(module).items():
            is_object = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
            if is_object and name not in BASES and not name.endswith("Ext"):
                found.setdefault(NAMED.get(name, name), set()).update(kind.__struct_fields__)
    return found


def rows() -> dict[str, set[str]]:
    text = PAGE.read_text(encoding="utf-8")
    return {name: set(re.findall(r"`(\w+)`", cells)) for name, cells in ROW.findall(text)}


@pytest.mark.parametrize("name", sorted(fields_of_types()))
def test_a_row_names_just_the_fields_that_are_read(name: str) -> None:
    assert rows()[name] == fields_of_types()[name]


def test_every_row_is_about_an_object_that_is_read() -> None:
    assert set(rows()) == set(fields_of_types())
