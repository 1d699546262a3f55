"""How long to fuzz: shortly among the other tests, for minutes with `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Put it above `@given`: tries FUZZ_EXAMPLES inputs, those that failed the last time first."""
