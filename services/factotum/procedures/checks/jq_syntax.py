"""From the text of a jq program to its tree.

Source: the grammar of the jq 1.8 manual, without definitions, modules and labels, which no expression may
have. Whether a program is jq at all, jq itself is asked: this reads only what it took.
"""

from __future__ import annotations

import json
import re

from factotum.procedures.checks.jq_tree import (
    Array,
    Binary,
    Bind,
    Call,
    Fold,
    Identity,
    If,
    Index,
    Iterate,
    Literal,
    Negative,
    Node,
    Object,
    Slice,
    Text,
    Try,
    Variable,
)


class Unread(ValueError):
    """A program that this grammar does not have."""


_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>")
  | (?P<format>@[a-z0-9]+)
  | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
  | (?P<variable>\$[A-Za-z_][A-Za-z0-9_]*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<sign>\?//|\.\.|//=|\|=|[-+*/%]=|==|!=|<=|>=|//|[-+*/%<>=|,.:;()\[\]{}?])
    """,
    re.VERBOSE,
)
_STRING_PIECE = re.compile(r'[^"\\]+|\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])')

# Of each operator: how tightly it binds, and the same for what stands to its right.
_OPERATORS = {
    "|": (1, 1),
    ",": (2, 3),
    "//": (3, 3),
    **dict.fromkeys(("=", "|=", "+=", "-=", "*=", "/=", "%=", "//="), (4, 5)),
    "or": (5, 6),
    "and": (6, 7),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), (7, 8)),
    **dict.fromkeys(("+", "-"), (8, 9)),
    **dict.fromkeys(("*", "/", "%"), (9, 10)),
}
_COMMA = 2
_DEEPEST = 200


def read(program: str) -> Node:
    """The tree of a program. Raises `Unread`."""
    reader = _Reader(program)
    node = reader.expression(0)
    if reader.kind != "end":
        raise Unread(f"`{reader.text}` is not expected")
    return node


class _Reader:
    def __init__(self, program: str) -> None:
        self._program = program
        self._position = 0
        self._depth = 0
        self.kind = self.text = ""
        self.advance()

    def advance(self) -> str:
        """Goes on to the next token; gives the text of the one left behind."""
        left = self.text
        while True:
            if self._position >= len(self._program):
                self.kind = self.text = "end"
                return left
            found = _TOKEN.match(self._program, self._position)
            if found is None:
                raise Unread(f"{self._program[self._position]!r} is not expected")
            self._position = found.end()
            if found.lastgroup != "space":
                self.kind, self.text = found.lastgroup or "", found.group()
                return left

    def at(self, *texts: str) -> bool:
        return self.kind in ("sign", "name") and self.text in texts

    def _at_text(self) -> bool:
        return self.kind == "string"

    def take(self, text: str) -> bool:
        if self.at(text):
            self.advance()
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise Unread(f"`{text}` is expected, not `{self.text}`")

    def expression(self, tightness: int) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unread("nested too deep")
        node = self._bound(self._postfix())
        while self.kind in ("sign", "name") and (binds := _OPERATORS.get(self.text)) and binds[0] >= tightness:
            operator = self.advance()
            node = Binary(operator, node, self.expression(binds[1]))
        self._depth -= 1
        return node

    def _bound(self, node: Node) -> Node:
        """What follows `as`, which reaches to the end of the pipe."""
        if not self.take("as"):
            return node
        names, keys, simple = self._patterns()
        self.expect("|")
        return Bind(node, names, simple, keys, self.expression(0))

    def _patterns(self) -> tuple[tuple[str, ...], tuple[Node, ...], bool]:
        names: list[str] = []
        keys: list[Node] = []
        simple = self.kind == "variable"
        self._pattern(names, keys)
        while self.take("?//"):
            simple = False
            self._pattern(names, keys)
        return tuple(names), tuple(keys), simple

    def _pattern(self, names: list[str], keys: list[Node]) -> None:
        if self.kind == "variable":
            names.append(self.advance()[1:])
        elif self.take("["):
            self._pattern(names, keys)
            while self.take(","):
                self._pattern(names, keys)
            self.expect("]")
        else:
            self.expect("{")
            while not self.take("}"):
                if self.kind == "variable":
                    names.append(self.advance()[1:])
                else:
                    keys.append(self._key())
                if self.take(":"):
                    self._pattern(names, keys)
                self.take(",")

    def _postfix(self) -> Node:
        node = self._term()
        while True:
            if self.kind == "field":
                node = Index(node, Literal(self.advance()[1:]), self.take("?"))
            elif self.at(".") and self._next_is('"'):
                self.advance()
                node = Index(node, self._string(), self.take("?"))
            elif self.at(".") and self._next_is("["):
                self.advance()
            elif self.at("["):
                node = self._bracket(node)
            elif self.take("?"):
                node = Try(node)
            else:
                return node

    def _next_is(self, text: str) -> bool:
        return self._program[self._position :].lstrip().startswith(text)

    def _bracket(self, base: Node) -> Node:
        self.expect("[")
        if self.take("]"):
            return Iterate(base, self.take("?"))
        start = None if self.at(":") else self.expression(0)
        if self.take(":"):
            end = None if self.at("]") else self.expression(0)
            self.expect("]")
            return Slice(base, start, end)
        self.expect("]")
        assert start is not None
        return Index(base, start, self.take("?"))

    def _term(self) -> Node:
        match self.kind:
            case "number":
                text = self.advance()
                number = float(text)
                return Literal(int(number) if number.is_integer() and abs(number) < 2**53 else number)
            case "string":
                return self._string()
            case "format":
                name = self.advance()
                return self._string(name) if self._at_text() else Call(name)
            case "field":
                return Index(Identity(), Literal(self.advance()[1:]), self.take("?"))
            case "variable":
                return Variable(self.advance()[1:])
            case "name":
                return self._word()
            case _:
                return self._sign()

    def _sign(self) -> Node:
        if self.take("."):
            return Index(Identity(), self._string(), self.take("?")) if self.kind == "string" else Identity()
        if self.take(".."):
            return Call("recurse")
        if self.take("-"):
            return Negative(self._postfix())
        if self.take("("):
            node = self.expression(0)
            self.expect(")")
            return node
        if self.take("["):
            content = None if self.at("]") else self.expression(0)
            self.expect("]")
            return Array(content)
        if self.take("{"):
            return self._object()
        raise Unread(f"`{self.text}` is not expected")

    def _object(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self.take("}"):
            if self.kind == "variable":
                name = self.advance()[1:]
                key, value = Literal(name), Variable(name)
                entries.append((key, value))
            else:
                made = self._key()
                if self.take(":"):
                    entries.append((made, self._object_value()))
                else:
                    entries.append((made, Index(Identity(), made)))
            if not self.at("}"):
                self.expect(",")
        return Object(tuple(entries))

    def _object_value(self) -> Node:
        """Values are terms joined by `|`, or in jq 1.7 and later anything that binds tighter than a comma."""
        node = self.expression(_COMMA + 1)
        while self.take("|"):
            node = Binary("|", node, self.expression(_COMMA + 1))
        return node

    def _key(self) -> Node:
        if self.kind == "name":
            return Literal(self.advance())
        if self.kind == "number":
            return self._term()
        if self.kind == "string":
            return self._string()
        if self.kind == "format":
            return self._string(self.advance())
        self.expect("(")
        node = self.expression(0)
        self.expect(")")
        return node

    def _word(self) -> Node:
        word = self.advance()
        match word:
            case "null" | "true" | "false":
                return Literal({"null": None, "true": True, "false": False}[word])
            case "if":
                return self._if()
            case "try":
                body = self._postfix()
                return Try(body, self._postfix() if self.take("catch") else None)
            case "reduce" | "foreach":
                source = self._postfix()
                self.expect("as")
                names, keys, _ = self._patterns()
                return Fold(source, names, keys, self._arguments())
            case "def" | "label" | "import" | "include" | "then" | "elif" | "else" | "end" | "as" | "catch":
                raise Unread(f"`{word}` is not expected")
            case _:
                return Call(word, self._arguments() if self.at("(") else ())

    def _arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        found = [self.expression(0)]
        while self.take(";"):
            found.append(self.expression(0))
        self.expect(")")
        return tuple(found)

    def _if(self) -> Node:
        branches: list[tuple[Node, Node]] = []
        otherwise = None
        while True:
            condition = self.expression(0)
            self.expect("then")
            branches.append((condition, self.expression(0)))
            if self.take("elif"):
                continue
            if self.take("else"):
                otherwise = self.expression(0)
            self.expect("end")
            return If(tuple(branches), otherwise)

    def _string(self, format_: str = "") -> Node:
        """The string whose opening quote is the current token."""
        if self.kind != "string":
            raise Unread(f"a text is expected, not `{self.text}`")
        parts: list[Node] = []
        plain = ""
        while True:
            if self._program.startswith('"', self._position):
                self._position += 1
                break
            if self._program.startswith("\\(", self._position):
                self._position += 2
                parts += [Literal(plain)] if plain else []
                plain = ""
                self.advance()
                parts.append(self.expression(0))
                if not self.at(")"):
                    raise Unread("`\\(` is not closed")
                continue  # the text goes on right behind the parenthesis
            found = _STRING_PIECE.match(self._program, self._position)
            if found is None:
                raise Unread("a text is not closed")
            plain += json.loads(f'"{found.group()}"', strict=False)
            self._position = found.end()
        self.advance()
        if not parts and not format_:
            return Literal(plain)
        return Text((*parts, *([Literal(plain)] if plain else [])), format_)
