"""What a condition of a policy has to know of a call before it can be decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from cedarpy import pst

ARGUMENTS = "arguments"
SECRETS = "secrets"

_SECRETS = pst.GetAttr(base=pst.Var(name="context"), attr=SECRETS)


class Unreadable(Exception):
    """A condition whose needs do not stand in its text; the message says how to write it."""


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """One argument as one type: `context.arguments.numbers.getTag("amount")` is ("numbers", "amount")."""

    view: str
    path: str


@dataclass(frozen=True, slots=True)
class Needs:
    """The attributes of the context that a condition reads, the arguments that it names, and the secrets that it asks
    `context.secrets` for."""

    attributes: frozenset[str]
    mentions: frozenset[Mention]
    secrets: frozenset[str] = frozenset()


def needs(clause: pst.Clause) -> Needs:
    """Raises `Unreadable` where it is not plain which arguments are meant."""
    attributes: set[str] = set()
    mentions: set[Mention] = set()
    secrets: set[str] = set()
    stack: list[Any] = [clause.expr]
    while stack:
        node = stack.pop()
        match node:
            case pst.BinaryOp(
                op="has_tag" | "get_tag",
                left=pst.GetAttr(base=pst.GetAttr(base=pst.Var(name="context"), attr="arguments"), attr=view),
                right=path,
            ):
                if not isinstance(path, pst.StringLit):
                    raise Unreadable(f"name the argument in {view}.hasTag and getTag by a text in quotes")
                attributes.add(ARGUMENTS)
                mentions.add(Mention(view, path.value))
            case (
                pst.GetAttr(base=pst.GetAttr(base=pst.Var(name="context"), attr="arguments"))
                | pst.GetAttr(base=pst.Var(name="context"), attr="arguments")
            ):
                raise Unreadable(
                    "of context.arguments only .hasTag and .getTag can be asked, as in "
                    'context.arguments.texts.hasTag("to")'
                )
            case pst.BinaryOp(left=left, right=right) if _SECRETS in (left, right):
                attributes.add(SECRETS)
                other = right if left == _SECRETS else left
                secrets.update(one.value for one in _within(other) if isinstance(one, pst.StringLit))
                stack.append(other)
            case pst.GetAttr(base=pst.Var(name="context"), attr=attribute):
                attributes.add(attribute)
            case pst.Var(name="context"):
                raise Unreadable("name an attribute of the context, as in context.procedure")
            case _:
                stack.extend(_parts(node))
    return Needs(frozenset(attributes), frozenset(mentions), frozenset(secrets))


def _within(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    yield node
    for part in _parts(node):
        yield from _within(part)


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple):
        yield from node
    elif isinstance(node, Mapping):
        yield from node.values()
    elif is_dataclass(node):
        for field in fields(node):
            yield getattr(node, field.name)
