"""Hypothesis profiles: `dev` by default, `ci` derandomised, `deep` for a long search."""

import os

from hypothesis import HealthCheck, settings

# No deadline: how long one example takes is the machine's business.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("deep", max_examples=20_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
