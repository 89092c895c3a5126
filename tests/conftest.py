"""Fixtures that every test folder may use."""

pytest_plugins = ["cluster_fixtures", "e2e_fixtures", "fault_record"]
