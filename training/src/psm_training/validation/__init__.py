"""Data validation: raw, silver and gold against Great Expectations suites; the verdict travels with the model package."""
