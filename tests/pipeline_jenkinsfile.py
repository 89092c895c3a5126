"""A Jenkinsfile as a tree of blocks, read by a real Groovy grammar: `stage('x') { steps { sh 'make y' } }`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_groovy
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_groovy.language()))


class NotGroovyError(Exception):
    """The file is not Groovy; the message says where."""


@dataclass(frozen=True)
class Block:
    """A call with or without a body.

    Attributes:
        name: What is called.
        words: Its plain strings.
        body: Calls in its closure.
        settings: Assignments in its closure.
        line: Where, from 1.
    """

    name: str
    words: tuple[str, ...]
    body: tuple["Block", ...]
    settings: tuple[tuple[str, str], ...]
    line: int

    def walk(self, name: str) -> Iterator["Block"]:
        """Every block of a name in here."""
        for block in self.body:
            if block.name == name:
                yield block
            yield from block.walk(name)

    def only(self, name: str) -> "Block | None":
        """The child of a name."""
        found = [block for block in self.body if block.name == name]
        assert len(found) < 2, f"line {self.line}: {len(found)} blocks {name}"
        return found[0] if found else None


def read_jenkinsfile(path: Path) -> Block:
    """The file's `pipeline` block.

    Raises:
        NotGroovyError: it cannot be parsed.
    """
    root = _PARSER.parse(path.read_bytes()).root_node
    if root.has_error:
        raise NotGroovyError(f"{path.name} is not Groovy from line {_first_error(root)} on")
    (pipeline,) = _blocks(root)
    assert pipeline.name == "pipeline"
    return pipeline


def _first_error(node: Node) -> int:
    lines = [node.start_point[0] + 1] if node.is_error or node.is_missing else []
    lines += [_first_error(child) for child in node.children if child.has_error]
    return max(lines, default=node.start_point[0] + 1)


def _blocks(node: Node) -> Iterator[Block]:
    for child in node.named_children:
        if child.type in ("method_invocation", "juxt_function_call"):
            yield _block(child)
        elif child.type != "closure":
            yield from _blocks(child)


def _block(call: Node) -> Block:
    name, *arguments = call.named_children
    words: list[str] = []
    body: list[Block] = []
    settings: list[tuple[str, str]] = []
    for argument in arguments:
        closures = (
            [argument] if argument.type == "closure" else [c for c in argument.named_children if c.type == "closure"]
        )
        for closure in closures:
            body += _blocks(closure)
            settings += _settings(closure)
        if argument.type != "closure":
            words += [_text(part) for part in _strings(argument)]
    return Block(_text(name), tuple(words), tuple(body), tuple(settings), call.start_point[0] + 1)


def _settings(closure: Node) -> Iterator[tuple[str, str]]:
    for child in closure.named_children:
        inner = child.named_children[0] if child.type == "expression_statement" else child
        if inner.type == "assignment_expression":
            name, value = inner.named_children
            yield _text(name), _text(value)


def _strings(node: Node) -> Iterator[Node]:
    if node.type in ("string_literal", "character_literal"):
        yield node
    elif node.type != "closure":
        for child in node.named_children:
            yield from _strings(child)


def _text(node: Node) -> str:
    text = (node.text or b"").decode()
    return text[1:-1] if text[:1] in "'\"" else text
