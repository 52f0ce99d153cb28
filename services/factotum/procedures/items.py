"""Lists whose items are `- name: {…}`: how the DSL writes tasks and cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


def single_items(
    value: object, example: str, make: Callable[[str, object], BaseModel], kept: type[BaseModel]
) -> list[Any]:
    """The items `- name: {…}` of a list, made typed; every fault of every item, at its pointer."""
    if not isinstance(value, list | tuple):
        raise PydanticCustomError("items", "must be a list, each item `{example}`", {"example": example})
    found: list[Any] = []
    faults: list[InitErrorDetails] = []
    for index, item in enumerate(value):
        if isinstance(item, kept):
            found.append(item)
            continue
        if not isinstance(item, Mapping) or len(item) != 1:
            error = PydanticCustomError("items", "must hold exactly one entry, `{example}`", {"example": example})
            faults.append(InitErrorDetails(type=error, loc=(index,), input=item))
            continue
        ((name, body),) = item.items()
        try:
            found.append(make(str(name), body))
        except ValidationError as error:
            faults += [moved(dict(fault), (index, str(name))) for fault in error.errors()]
        except PydanticCustomError as error:
            faults.append(InitErrorDetails(type=error, loc=(index, str(name)), input=body))
    if faults:
        raise ValidationError.from_exception_data("items", faults)
    names = [entry.name for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError("items", "two entries of one list are named {name}", {"name": name})
    return found


def moved(fault: dict[str, Any], prefix: tuple[int | str, ...]) -> InitErrorDetails:
    """A fault of an inner model as one of the outer, at its place."""
    # The message comes last: nothing in it is taken for a name of the context.
    context = {**fault.get("ctx", {}), "message": fault["msg"]}
    kind = PydanticCustomError(fault["type"], "{message}", context)
    return InitErrorDetails(type=kind, loc=(*prefix, *fault["loc"]), input=fault["input"])
