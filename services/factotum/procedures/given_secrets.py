"""Which of a document's secrets a call is given, as far as that stands in the document.

What is told for certain is so in every call that is made: of a program that may have no result, or another one by
the data that it is given, only what holds in any case. An expression that fails makes no call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factotum.procedures import expressions, reading
from factotum.procedures.checks.secrets import SECRETS, path_of
from factotum.procedures.parse import Source
from factotum.procedures.secret_paths import secret_paths
from factotum.procedures.syntax import (
    Binary,
    Binding,
    Call,
    Choice,
    Collection,
    Comma,
    Constant,
    Descent,
    Format,
    Identity,
    Index,
    Negation,
    Node,
    Number,
    Object,
    Pipe,
    Text,
    Variable,
    children,
)

Json = Any
Names = frozenset[str]
_NONE: Names = frozenset()
# Of jq's own functions, some that have a result or fail.
_SURE_CALLS = frozenset(
    ("add", "ascii_downcase", "ascii_upcase", "keys", "length", "not", "tojson", "tonumber", "tostring")
)


@dataclass(frozen=True, slots=True)
class GivenSecrets:
    """The secrets that the arguments of a call are given.

    Attributes:
        names: those that they hold for certain, sorted.
        others: they may hold more of those that the document declares.
        hidden: JSON pointers into the arguments, of texts that hold one for certain.
    """

    names: tuple[str, ...] = ()
    others: bool = False
    hidden: tuple[str, ...] = ()


def given_secrets(arguments: Json, source: Source, *, templates: bool = False) -> GivenSecrets:
    """Of arguments as they are written, in strict mode. A text that is a secret's name counts as the secret, as it does
    where a tool is told to use one by its name.

    Args:
        templates: texts may be URI templates, too.
    """
    declared = frozenset(source.document.use.secrets)
    if not declared:
        return GivenSecrets()
    parted = frozenset(path[:end] for path in secret_paths(source.raw) for end in range(len(path)))
    reader = _Reader(declared, parted, templates=templates)
    found = [(pointer, *reader.of_text(text)) for pointer, text in _texts(arguments, "")]
    names = declared & frozenset[str]().union(*(named for _, named, _, _ in found))
    hidden = tuple(f"{pointer}{below}" for pointer, _, inside, _ in found for below in inside)
    return GivenSecrets(tuple(sorted(names)), names != declared and any(open_ for *_, open_ in found), hidden)


def unknown_secrets(source: Source) -> GivenSecrets:
    """Of arguments that tell nothing of what the tool is given."""
    return GivenSecrets(others=bool(source.document.use.secrets))


class _Reader:
    """Reads programs.

    Args:
        parted: paths behind `$secrets` at which an object stands, since the document names keys below them.
    """

    def __init__(self, declared: Names, parted: frozenset[tuple[str, ...]], *, templates: bool) -> None:
        self._declared = declared
        self._parted = parted
        self._templates = templates

    def of_text(self, text: str) -> tuple[Names, tuple[str, ...], bool]:
        """The names in what becomes of a text, the pointers below it of texts with a secret, and whether there may be
        more."""
        try:
            found = expressions.interpolations(text)
            programs = [reading.read(program) for _, _, program in found]
        except ValueError:
            return _NONE, (), True
        if not found:
            template = self._templates and "{" in text
            return _NONE if template else frozenset((text,)), (), template
        names = _NONE.union(*(self.names(program) for program in programs if _sure(program)))
        if len(found) > 1 or text.strip() != text[found[0][0] : found[0][1]]:
            return names, ("",) if names else (), True
        return names, tuple(self._hidden(programs[0])) if names else (), True

    def names(self, node: Node) -> Names:
        """Those in the first result of a program, if it has one."""
        if path := path_of(node):
            return frozenset(path[:1]) & self._declared
        match node:
            case Text(inserted=parts, format="text"):
                return _NONE.union(*map(self.names, parts))
            case Object():
                return _NONE.union(*(self.names(value) for value in _fields(node).values()))
            case Collection(content=Comma(parts=parts)):
                return _NONE.union(*(self.names(part) for part in parts if _sure(part)))
            case Collection(content=content) if content is not None and _sure(content):
                return self.names(content)
            case Comma(parts=(first, *others)):
                return self.names(first) if _sure(first) else self.names(first).intersection(*map(self.names, others))
            case Binary(operator="+", left=left, right=right):
                # An object on the right takes the place of what the one on the left has under the same keys.
                kept = self._is_text(left) or self._is_text(right) or isinstance(left, Collection)
                return self.names(right) | (self.names(left) if kept else _NONE)
            case Binary(operator="//", left=left, right=right):
                whole = len(path_of(left) or ()) == 1
                return self.names(left) if whole else self.names(left) & self.names(right)
            case Pipe(stages=(*_, last)):
                return self.names(last)
            case Choice(then=then, otherwise=otherwise):
                return self.names(then) & self.names(otherwise)
            case Binding(pattern=pattern, body=body) if SECRETS not in pattern.names:
                return self.names(body)
            case _:
                return _NONE

    def _is_text(self, node: Node) -> bool:
        if path := path_of(node):
            return path not in self._parted
        match node:
            case Text():
                return True
            case Binary(operator="+", left=left, right=right):
                return self._is_text(left) or self._is_text(right)
            case Pipe(stages=(*_, last)):
                return self._is_text(last)
            case _:
                return False

    def _hidden(self, node: Node) -> Iterator[str]:
        """Pointers into the result of a program, of the texts with a secret that it certainly has."""
        match node:
            case Pipe(stages=(*_, last)):
                yield from self._hidden(last)
            case Object():
                for key, value in _fields(node).items():
                    yield from (f"/{expressions.escape(key)}{below}" for below in self._hidden(value))
            case _ if self._is_text(node) and self.names(node):
                yield ""


def _fields(node: Object) -> Mapping[str, Node]:
    """What an object is made of, if its keys stand there; of two of one name the last."""
    found: dict[str, Node] = {}
    for entry in node.entries:
        match entry.key:
            case Text(text=key, inserted=()) if "\\" not in key and entry.key is not entry.value:
                found[key] = entry.value
            case _:
                return {}
    return found


def _sure(node: Node) -> bool:
    """Whether a program has a result on any data on which it does not fail."""
    match node:
        case Identity() | Descent() | Number() | Constant() | Variable() | Format() | Collection():
            return True
        case Call(name=name, arguments=()):
            return name in _SURE_CALLS
        case Binary(operator="//", right=right):
            return _sure(right)
        case Comma(parts=parts):
            return any(map(_sure, parts))
        case Binding(source=source, pattern=pattern, body=body):
            return not (pattern.keys or pattern.alternatives) and _sure(source) and _sure(body)
        case Object(entries=entries):
            return all(_sure(entry.key) and _sure(entry.value) for entry in entries)
        case Text() | Index() | Negation() | Binary() | Pipe() | Choice():
            return all(map(_sure, children(node)))
        case _:
            return False


def _texts(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    """Every text in a value, with its pointer."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{pointer}/{expressions.escape(str(key))}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{pointer}/{index}")
