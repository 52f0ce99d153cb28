"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On a machine that is busy, or that makes hypothesis's tables of characters for the first time, the first example
# is slow: no fault of the test's.
settings.register_profile("factotum", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("factotum")
