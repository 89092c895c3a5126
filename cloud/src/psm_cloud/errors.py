"""The error that a command tells in one line."""


class CloudError(Exception):
    """Expected: says what, which value, what to do."""
