"""GitHub's expressions, as far as our workflows use them: contexts, strings, ==, !=, &&, ||, !, and status functions."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|==|!=|&&|\|\||[!()]|[\w.-]+)")
_EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}")

_LITERALS = {"true": True, "false": False}

Context = Mapping[str, Any]


class UnknownExpressionError(Exception):
    """An expression uses what this reader, or the given context, does not know."""


def filled(text: str, context: Context) -> str:
    """A text with every ${{ }} in it replaced."""
    return _EMBEDDED.sub(lambda found: _as_text(evaluate(found.group(1), context)), text)


def holds(condition: str, context: Context, *, has_failed: bool) -> bool:
    """Whether a step with this `if` runs; without a status function it does only while nothing has failed."""
    functions: dict[str, Callable[[], bool]] = {
        "always": lambda: True,
        "failure": lambda: has_failed,
        "success": lambda: not has_failed,
    }
    value = bool(evaluate(condition, {**context, "()": functions}))
    return value if any(f"{name}()" in condition for name in functions) else value and not has_failed


def evaluate(expression: str, context: Context) -> Any:
    """The value of an expression."""
    tokens = _TOKEN.findall(expression)
    if "".join(tokens).replace(" ", "") != re.sub(r"\s", "", expression):
        raise UnknownExpressionError(f"{expression!r} has what is not known here")
    reader = _Reader(tokens, context)
    value = reader.either()
    if reader.tokens:
        raise UnknownExpressionError(f"{expression!r}: {reader.tokens} is left over")
    return value


class _Reader:
    def __init__(self, tokens: list[str], context: Context) -> None:
        self.tokens = tokens
        self._context = context

    def either(self) -> Any:
        value = self._both()
        while self._takes("||"):
            other = self._both()
            value = value or other
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._takes("&&"):
            other = self._compared()
            value = value and other
        return value

    def _compared(self) -> Any:
        value = self._single()
        if self._takes("=="):
            return value == self._single()
        if self._takes("!="):
            return value != self._single()
        return value

    def _single(self) -> Any:
        if self._takes("!"):
            return not self._single()
        if self._takes("("):
            value = self.either()
            self._expect(")")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._takes("("):
            self._expect(")")
            return self._known(self._context.get("()", {}), token)()
        if token in _LITERALS:
            return _LITERALS[token]
        value = self._context
        for name in token.split("."):
            value = self._known(value, name)
        return value

    def _takes(self, token: str) -> bool:
        if self.tokens[:1] == [token]:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._takes(token):
            raise UnknownExpressionError(f"{token} is expected before {self.tokens}")

    @staticmethod
    def _known(values: Any, name: str) -> Any:
        if name not in values:
            raise UnknownExpressionError(f"{name} is not among {sorted(values)}")
        return values[name]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
