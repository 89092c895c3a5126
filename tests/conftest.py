"""Fixtures that every test folder may use, and what every property test runs with."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["cluster_fixtures", "e2e_fixtures", "fault_record"]

# A busy machine is slow, not wrong: no example has a deadline.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("patient")
