"""Fixtures that every test folder may use."""

pytest_plugins = ["cluster_fixtures"]
