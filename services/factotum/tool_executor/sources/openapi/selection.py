"""Which operations are meant by a pattern, and what their tools are called. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from factotum.connectors.protocols.openapi_document import Described
from factotum.tool_executor.sources.openapi.config import OpenapiConfig, Terms
from factotum.tool_executor.sources.source import SourceInvalid


def label(one: Described) -> str:
    """What an operation is called in messages."""
    return one.id or f"{one.method} {one.path}"


def fits(pattern: str, one: Described) -> bool:
    """`tag:…` is of tags, what has a space of method and path, all else of operationIds; an operation without one is
    taken by `**` alone."""
    if pattern.startswith("tag:"):
        wanted = _compiled(pattern.removeprefix("tag:"))
        return any(wanted.fullmatch(tag) for tag in one.tags)
    if " " in pattern:
        method, _, path = pattern.partition(" ")
        return _compiled(method.upper()).fullmatch(one.method) is not None and (
            _compiled(path.strip()).fullmatch(one.path) is not None
        )
    return _compiled(pattern).fullmatch(label(one)) is not None


def selected(operations: Sequence[Described], config: OpenapiConfig) -> list[Described]:
    """Those that are taken. Raises `SourceInvalid` for a pattern that fits none: it is a mistake, which must not look
    like a rule that holds."""
    if not config.operations:
        raise SourceInvalid("no operations are taken: name some under operations, e.g. [issues/*], or ['**'] for all")
    for pattern in (*config.operations, *config.without):
        if not any(fits(pattern, one) for one in operations):
            some = ", ".join(sorted(filter(None, (one.id for one in operations)))[:10])
            # A star ends at a slash, which many ids have.
            wider = pattern.replace("**", "*").replace("*", "**")
            if wider != pattern and any(fits(wider, one) for one in operations):
                raise SourceInvalid(f"the document has no operation {pattern!r}: * ends at a slash, so write {wider!r}")
            raise SourceInvalid(f"the document has no operation {pattern!r}; it has {some or 'none with an id'}")
    taken = [
        one
        for one in operations
        if any(fits(pattern, one) for pattern in config.operations)
        and not any(fits(pattern, one) for pattern in config.without)
    ]
    for where, patterns in (("terms", config.terms), ("paging", config.paging)):
        for pattern in patterns:
            if not any(fits(pattern, one) for one in taken):
                raise SourceInvalid(f"{where} are given for {pattern!r}, which is no operation that is taken")
    return taken


def terms_of(one: Described, config: OpenapiConfig) -> Terms:
    """The terms of all patterns that fit, a later one's before an earlier one's."""
    found: dict[str, object] = {}
    for pattern, terms in config.terms.items():
        if fits(pattern, one):
            found |= {name: getattr(terms, name) for name in terms.model_fields_set}
    for pattern, paging in config.paging.items():
        if fits(pattern, one):
            found["paging"] = paging
    return Terms.model_validate(found)


def names(operations: Iterable[Described]) -> dict[tuple[str, str], str]:
    """By method and path, what each operation's tool is called: `issues_create` of `issues/create`.

    Of several that would be called the same, each has a part of a hash of its method and path besides; which
    operations are taken makes no difference.
    """
    given = {(one.method, one.path): snake(one.id or f"{one.method.lower()} {one.path}") for one in operations}
    several = {name for name, count in Counter(given.values()).items() if count > 1}
    return {
        place: f"{name}_{hashlib.sha256(' '.join(place).encode()).hexdigest()[:6]}" if name in several else name
        for place, name in given.items()
    }


def snake(text: str) -> str:
    """`issues/createLabel` as `issues_create_label`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = re.sub(r"[^a-z0-9]+", "_", parts.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"op_{name}"


def found(reference: str, operations: Mapping[str, Described]) -> Described:
    """The operation of an id, or of `METHOD /path`. Raises `SourceInvalid`."""
    one = operations.get(reference)
    if one is None:
        raise SourceInvalid(f"the document has no operation {reference!r}")
    return one


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(signs.get(part, re.escape(part)) for part in parts))
