"""YAML of strangers, of a bounded size when its aliases are written out. Pure, and slow: read it in a thread."""

from __future__ import annotations

from typing import Any

import yaml

# What aliases write out in full can be far more than the text is long.
MOST_VALUES = 3_000_000
_MOST_CHARACTERS = 64 * 1024 * 1024
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """Dates are texts, as they are in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - of the library, by this name
        first: [(tag, expression) for tag, expression in found if tag != _TIMESTAMP]
        for first, found in _Safe.yaml_implicit_resolvers.items()
    }


def loaded(content: bytes | str, *, most_values: int = MOST_VALUES) -> Any:
    """What it holds, its keys such as JSON can write. Raises `ValueError`, which says why not."""
    try:
        found = yaml.load(content, Loader=_Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"is no YAML: {str(error)[:500]}") from error
    _check(found, most_values)
    return found


def _check(value: Any, most_values: int) -> None:
    waiting, seen, characters = [value], 0, 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if isinstance(one, str | bytes):
            characters += len(one)
        elif isinstance(one, dict):
            for key in one:
                if not isinstance(key, str | int | float | None):
                    raise ValueError(f"has a key that is no text: {str(key)[:80]}")
                characters += len(key) if isinstance(key, str) else 0
            waiting.extend(one.values())
        elif isinstance(one, list | tuple | set):
            waiting.extend(one)
        if seen > most_values or characters > _MOST_CHARACTERS:
            raise ValueError(
                f"has more than {most_values} values or {_MOST_CHARACTERS} characters, aliases written out"
            )
