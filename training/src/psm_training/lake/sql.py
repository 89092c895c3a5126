"""Texts as SQL, where a statement takes no parameters."""


def quoted(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
