"""The HTTP edge against its own description: schemathesis asks, `docs/openapi.yaml` answers.

Requests come from the description, good and bad ones; each answer must be one that it names, with
the content that it names, and never a 5xx.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.node import running_node

if TYPE_CHECKING:
    from collections.abc import Iterator

DESCRIPTION = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
SCHEMA = schemathesis.openapi.from_path(str(DESCRIPTION))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS: list[Any] = [each.ok() for each in SCHEMA.get_all_operations()]  # type: ignore[union-attr]
GOOD, BAD = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
ASKED = [
    pytest.param(each, mode, id=f"{mode.value} {each.label}")
    for each in OPERATIONS
    # Where there is nothing to say, nothing wrong can be said.
    for mode in ((GOOD, BAD) if each.body or each.query or each.path_parameters else (GOOD,))
]
LONG = bool(os.environ.get("BIDWRIGHT_SOAK"))
# Requests by chance from so large a schema take their time; `test_generated` has more of them.
EXAMPLES = {"POST": 300 if LONG else 3, "GET": 1_000 if LONG else 15}

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_node() as node:
        yield f"http://127.0.0.1:{node.http_port}"
        assert all(each["restarts"] == 0 for each in node.nodes().values()), "something crashed"


@pytest.mark.parametrize(("operation", "mode"), ASKED)
def test_the_edge_answers_as_it_is_described(address: str, operation: Any, mode: Any) -> None:
    @settings(
        max_examples=EXAMPLES[operation.method.upper()],
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=(Phase.generate, Phase.shrink),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(base_url=address, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)

    ask()
