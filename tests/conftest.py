"""What all tests share: properties are tried on the same examples in every run, on any machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: no deadline for an example, no complaint about slow drawing.
settings.register_profile(
    "bidwright",
    deadline=None,
    derandomize=True,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bidwright")
