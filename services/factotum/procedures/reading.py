"""From the text of a jq program to its tree. Source: jq 1.8.2, `parser.y`.

Reads all of jq but `def`, `label`, `break`, `import`, `include` and `module`, and reads some programs
that jq does not: jq itself has the last word, when it compiles them.
"""

from __future__ import annotations

from factotum.procedures import syntax
from factotum.procedures.lexing import SyntaxFault, Token, tokens

MOST_CHARACTERS = 8_000
MOST_BRACKETS = 50
DEEPEST = 100
KEYWORDS = frozenset(
    """
    as def module import include if then else elif end and or reduce foreach try catch label break
    """.split()  # noqa: SIM905
)
REFUSED = frozenset(("def", "module", "import", "include", "label", "break"))
# From what binds least to what binds most; all but `//` and the assignments associate to the left.
_LEVELS = (
    ("//",),
    ("=", "|=", "+=", "-=", "*=", "/=", "%=", "//="),
    ("or",),
    ("and",),
    ("==", "!=", "<", ">", "<=", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)
_BINDS = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
_DEFINED_OR, _ASSIGNING = 0, 1
_END = Token("end", "", 0, 0)


def read(program: str) -> syntax.Node:
    """The tree of a program. Raises `SyntaxFault`."""
    if len(program) > MOST_CHARACTERS:
        raise SyntaxFault(f"an expression has at most {MOST_CHARACTERS} characters")
    reader = _Reader(list(tokens(program)))
    tree = reader.query()
    if reader.here is not _END:
        raise reader.fault()
    if syntax.depth(tree) > DEEPEST:
        raise SyntaxFault(f"it is nested deeper than {DEEPEST} levels")
    return tree


class _Reader:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._position = 0
        self._open = 0

    @property
    def here(self) -> Token:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def fault(self) -> SyntaxFault:
        token = self.here
        if token is _END:
            return SyntaxFault("syntax error: it ends too early")
        if token.text in REFUSED:
            return SyntaxFault(f"`{token.text}` is not allowed in an expression")
        return SyntaxFault(f"syntax error: `{token.text}` is not expected here")

    def _next(self) -> Token:
        token = self.here
        if token is _END:
            raise self.fault()
        self._position += 1
        return token

    def _is(self, *texts: str) -> bool:
        return self.here.kind in ("other", "name") and self.here.text in texts

    def _take(self, *texts: str) -> bool:
        if self._is(*texts):
            self._position += 1
            return True
        return False

    def _need(self, text: str) -> Token:
        if not self._is(text):
            raise self.fault()
        return self._next()

    @property
    def _end(self) -> int:
        return self._tokens[self._position - 1].end

    def query(self) -> syntax.Node:
        """Pipes and bindings, which reach as far to the right as there is."""
        self._open += 1
        if self._open > MOST_BRACKETS:
            raise SyntaxFault(f"it is nested deeper than {MOST_BRACKETS} brackets")
        start = self.here.start
        stages = [self._commas()]
        while self._take("|"):
            stages.append(self._commas())
        self._open -= 1
        return stages[0] if len(stages) == 1 else syntax.Pipe(start, self._end, tuple(stages))

    def _commas(self) -> syntax.Node:
        start = self.here.start
        parts = [self._binding_or_expression()]
        while self._take(","):
            parts.append(self._binding_or_expression())
        return parts[0] if len(parts) == 1 else syntax.Comma(start, self._end, tuple(parts))

    def _binding_or_expression(self) -> syntax.Node:
        start = self.here.start
        source = self._expression()
        if not self._take("as"):
            return source
        pattern = self._patterns()
        self._need("|")
        body = self.query()
        return syntax.Binding(start, self._end, source, pattern, body)

    def _expression(self, least: int = 0) -> syntax.Node:
        start = self.here.start
        left = self._term()
        while self.here.kind in ("other", "name") and (level := _BINDS.get(self.here.text, -1)) >= least:
            operator = self._next().text
            right = self._expression(level if level == _DEFINED_OR else level + 1)
            make = syntax.Assignment if level == _ASSIGNING else syntax.Binary
            left = make(start, self._end, operator, left, right)
        return left

    def _term(self) -> syntax.Node:
        start = self.here.start
        if self._take("-"):
            return syntax.Negation(start, self._end, self._nested_term())
        if self._take("try"):
            body = self._nested_term()
            handler = self._nested_term() if self._take("catch") else None
            return syntax.Try(start, self._end, body, handler)
        return self._postfix(self._primary())

    def _nested_term(self) -> syntax.Node:
        self._open += 1
        if self._open > MOST_BRACKETS:
            raise SyntaxFault(f"it is nested deeper than {MOST_BRACKETS} terms")
        term = self._term()
        self._open -= 1
        return term

    def _postfix(self, term: syntax.Node) -> syntax.Node:
        start = term.start
        while True:
            if self.here.kind == "field":
                term = self._field(term)
            elif self._is("?"):
                self._next()
                term = syntax.Try(start, self._end, term, None)
            elif self._is("["):
                term = self._brackets(term)
            elif self._is("."):
                self._next()
                if self.here.kind in ("quote", "format"):
                    key = self._text()
                    term = syntax.Index(start, self._end, term, key)
                elif self._is("["):
                    term = self._brackets(term)
                else:
                    raise self.fault()
            else:
                return term

    def _field(self, target: syntax.Node) -> syntax.Node:
        token = self._next()
        key = syntax.Text(token.start + 1, token.end, token.text[1:], (), "text")
        return syntax.Index(target.start, token.end, target, key)

    def _brackets(self, target: syntax.Node) -> syntax.Node:
        self._need("[")
        if self._take("]"):
            return syntax.Each(target.start, self._end, target)
        first = None if self._is(":") else self.query()
        if self._take(":"):
            last = None if first is not None and self._is("]") else self.query()
            self._need("]")
            return syntax.Slice(target.start, self._end, target, first, last)
        self._need("]")
        assert first is not None
        return syntax.Index(target.start, self._end, target, first)

    def _primary(self) -> syntax.Node:
        token = self.here
        start = token.start
        if token.kind == "number":
            self._next()
            return syntax.Number(start, token.end, float(token.text))
        if token.kind == "quote":
            return self._text()
        if token.kind == "format":
            self._next()
            if self.here.kind == "quote":
                return self._text(token)
            return syntax.Format(start, token.end, token.text[1:])
        if token.kind == "field":
            return self._field(syntax.Identity(start, start))
        if token.kind == "variable":
            self._next()
            return syntax.Variable(start, token.end, token.text[1:])
        if token.kind == "name":
            return self._word()
        return self._bracketed()

    def _bracketed(self) -> syntax.Node:
        start = self.here.start
        if self._take(".."):
            return syntax.Descent(start, self._end)
        if self._take("."):
            if self.here.kind in ("quote", "format"):
                key = self._text()
                return syntax.Index(start, self._end, syntax.Identity(start, start), key)
            return syntax.Identity(start, self._end)
        if self._take("("):
            inner = self.query()
            self._need(")")
            return inner
        if self._take("["):
            content = None if self._is("]") else self.query()
            self._need("]")
            return syntax.Collection(start, self._end, content)
        if self._take("{"):
            return self._object(start)
        raise self.fault()

    def _text(self, style: Token | None = None) -> syntax.Text:
        if style is None and self.here.kind == "format":
            style = self._next()
        if self.here.kind != "quote":
            raise self.fault()
        start = self._next().start if style is None else style.start
        if style is not None:
            self._next()
        texts, inserted = [], []
        while (token := self._next()).kind != "unquote":
            if token.kind == "text":
                texts.append(token.text)
            elif token.kind == "insert":
                inserted.append(self.query())
                if self.here.kind != "resume":
                    raise self.fault()
        name = style.text[1:] if style is not None else "text"
        return syntax.Text(start, self._end, "".join(texts), tuple(inserted), name)

    def _word(self) -> syntax.Node:
        token = self.here
        start = token.start
        if token.text in REFUSED:
            raise self.fault()
        self._next()
        if token.text in ("null", "true", "false"):
            return syntax.Constant(start, token.end)
        if token.text == "if":
            return self._choice(start)
        if token.text in ("reduce", "foreach"):
            return self._fold(start, token.text)
        if token.text in KEYWORDS:
            self._position -= 1
            raise self.fault()
        arguments: list[syntax.Node] = []
        if self._take("("):
            arguments.append(self.query())
            while self._take(";"):
                arguments.append(self.query())
            self._need(")")
        return syntax.Call(start, self._end, token.text, tuple(arguments))

    def _choice(self, start: int) -> syntax.Node:
        condition = self.query()
        self._need("then")
        then = self.query()
        if self._is("elif"):
            inner = self._next().start
            self._open += 1
            if self._open > MOST_BRACKETS:
                raise SyntaxFault(f"it has more than {MOST_BRACKETS} branches")
            otherwise = self._choice(inner)
            self._open -= 1
            return syntax.Choice(start, self._end, condition, then, otherwise)
        otherwise = self.query() if self._take("else") else syntax.Identity(self._end, self._end)
        self._need("end")
        return syntax.Choice(start, self._end, condition, then, otherwise)

    def _fold(self, start: int, word: str) -> syntax.Node:
        source = self._expression()
        self._need("as")
        pattern = self._patterns()
        self._need("(")
        initial = self.query()
        self._need(";")
        update = self.query()
        extract: syntax.Node | None = None
        if word == "foreach":
            extract = self.query() if self._take(";") else syntax.Identity(self._end, self._end)
        self._need(")")
        return syntax.Fold(start, self._end, source, pattern, initial, update, extract)

    def _object(self, start: int) -> syntax.Node:
        entries = []
        while not self._is("}"):
            entries.append(self._entry())
            if not self._is("}"):
                self._need(",")
        self._need("}")
        return syntax.Object(start, self._end, tuple(entries))

    def _entry(self) -> syntax.Entry:
        token = self.here
        start = token.start
        short: syntax.Node | None
        if token.kind == "name":
            self._next()
            key: syntax.Node = syntax.Text(start, token.end, token.text, (), "text")
            short = syntax.Index(start, token.end, syntax.Identity(start, start), key)
        elif token.kind == "variable":
            self._next()
            key = short = syntax.Variable(start, token.end, token.text[1:])
        elif token.kind in ("quote", "format"):
            key = self._text()
            short = syntax.Index(start, self._end, syntax.Identity(start, start), key)
        elif token.text == "(":
            self._next()
            key, short = self.query(), None
            self._need(")")
        else:
            raise self.fault()
        if short is None or self._is(":"):
            self._need(":")
            value = self._entry_value()
        else:
            value = short
        return syntax.Entry(start, self._end, key, value)

    def _entry_value(self) -> syntax.Node:
        start = self.here.start
        stages = [self._expression()]
        while self._take("|"):
            stages.append(self._expression())
        return stages[0] if len(stages) == 1 else syntax.Pipe(start, self._end, tuple(stages))

    def _patterns(self) -> syntax.Pattern:
        start = self.here.start
        names, keys = list[str](), list[syntax.Node]()
        self._pattern(names, keys)
        alternatives = False
        while self._take("?//"):
            alternatives = True
            self._pattern(names, keys)
        return syntax.Pattern(start, self._end, tuple(names), tuple(keys), alternatives)

    def _pattern(self, names: list[str], keys: list[syntax.Node]) -> None:
        self._open += 1
        if self._open > MOST_BRACKETS:
            raise SyntaxFault(f"it is nested deeper than {MOST_BRACKETS} brackets")
        if self.here.kind == "variable":
            names.append(self._next().text[1:])
        elif self._take("["):
            self._pattern(names, keys)
            while self._take(","):
                self._pattern(names, keys)
            self._need("]")
        elif self._take("{"):
            self._pattern_entry(names, keys)
            while self._take(","):
                self._pattern_entry(names, keys)
            self._need("}")
        else:
            raise self.fault()
        self._open -= 1

    def _pattern_entry(self, names: list[str], keys: list[syntax.Node]) -> None:
        token = self.here
        if token.kind == "variable":
            names.append(self._next().text[1:])
            if not self._take(":"):
                return
        else:
            if token.kind == "name":
                self._next()
            elif token.kind in ("quote", "format"):
                keys.append(self._text())
            elif self._take("("):
                keys.append(self.query())
                self._need(")")
            else:
                raise self.fault()
            self._need(":")
        self._pattern(names, keys)
