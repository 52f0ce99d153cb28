"""Texts without the values of secrets, in every form in which a value can stand in one. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from factotum.sdk.secret_forms import forms as forms_of

MASK = "***"
# More than any process of one house has at hand; the rest of a process's life is not looked through for old ones.
_MOST_KNOWN = 1000
_FORGOTTEN = 100


class Mask:
    """The values of some secrets, and texts without them.

    Masked is every form of `factotum.sdk.secret_forms`.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._forms)

    def add(self, *values: str) -> None:
        forms = set(self._forms).union(*map(forms_of, values))
        # The longest first: a value may hold another.
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def json(self, text: str) -> str:
        """JSON text, also of numbers and keys; it stays JSON."""
        if not any(form in text for form in self._forms):
            return text
        masked = texts(from_json(text), self.text, keys=True, numbers=True)
        return json.dumps(masked, ensure_ascii=False, separators=(",", ":"))


class Known:
    """What a whole process was given of late, whoever it was for: the net under its logs and traces."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, None] = OrderedDict()
        self._mask = Mask()

    def add(self, value: str) -> None:
        if value in self._values:
            self._values.move_to_end(value)
            return
        self._values[value] = None
        self._mask.add(value)
        if len(self._values) > _MOST_KNOWN:
            for _ in range(_FORGOTTEN):
                self._values.popitem(last=False)
            self._mask = Mask()
            self._mask.add(*self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, text: str) -> str:
        return self._mask.text(text)

    def value(self, value: Any) -> Any:
        """The same of whatever is written down as JSON; what is of no type of JSON becomes its `repr`."""
        return texts(value, self.text, keys=True, numbers=True, other=repr) if self._values else value


def texts(
    value: Any,
    change: Callable[[str], str],
    *,
    keys: bool = False,
    numbers: bool = False,
    other: Callable[[Any], str] | None = None,
) -> Any:
    """A JSON value with its texts changed, and on demand its keys, and its numbers where that makes them another."""

    def of(inner: Any) -> Any:
        if isinstance(inner, str):
            return change(inner)
        if isinstance(inner, dict):
            return {(change(key) if keys and isinstance(key, str) else key): of(one) for key, one in inner.items()}
        if isinstance(inner, list | tuple):
            return [of(one) for one in inner]
        if inner is None or isinstance(inner, bool):
            return inner
        if isinstance(inner, int | float):
            written = json.dumps(inner) if numbers else ""
            return inner if change(written) == written else change(written)
        return inner if other is None else change(other(inner))

    return of(value)
