"""The two JSON Schemas of this folder as validators."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

FOLDER = Path(__file__).parent


def schema_of(name: str) -> dict[str, Any]:
    """Return a schema: ``bid_request`` or ``bid_response``."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema_of(name))


def violations(name: str, document: Any) -> list[str]:
    """Return what a document violates in a schema, each with its place."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(name).iter_errors(document)
    ]
