"""What is said of a collection that is not this release's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import DataType

from factotum.memory.store.columns import faults, missing
from factotum.memory.store.schema import definition

Columns = dict[str, dict[str, Any]]


def there() -> Columns:
    fields = definition(8, partitioned=True).to_dict()["fields"]
    return {each["name"]: {**each, "is_function_output": each["name"] == "sparse"} for each in fields}


def of(columns: Columns) -> list[str]:
    return faults(definition(8, partitioned=False), list(columns.values()))


def test_this_releases_own_is_none() -> None:
    columns = there()
    columns["text"]["params"]["max_length"] = "65535"  # as some servers say it, and more than is needed
    columns["later"] = {"name": "later", "type": DataType.INT64, "nullable": True}
    assert of(columns) == []


CHANGES: list[tuple[Callable[[Columns], Any], str]] = [
    (lambda c: c.pop("importance"), "it lacks the column `importance`"),
    (lambda c: c["kind"].update(type=DataType.INT64), "`kind` is INT64 and not VARCHAR"),
    (lambda c: c["subject_keys"].update(element_type=DataType.INT64), "ARRAY of INT64 and not ARRAY of VARCHAR"),
    (lambda c: c["dense"]["params"].update(dim=9), "`dense` has vectors of 9 numbers and not of 8"),
    (lambda c: c["text"]["params"].update(max_length=100), "`text` has a max_length of 100 and not of 8192"),
    (lambda c: c["key"].pop("is_primary"), "`key` is not its primary key"),
    (lambda c: c["sparse"].pop("is_function_output"), "`sparse` is not made by the server"),
    (lambda c: c.update(more={"name": "more", "type": DataType.INT64}), "it wants a column `more`"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[said for _, said in CHANGES])
def test_each_difference_is_told(change: Callable[[Columns], Any], said: str) -> None:
    columns = there()
    change(columns)
    (found,) = of(columns)
    assert said in found


def test_columns_of_which_only_the_name_is_known() -> None:
    assert missing(("key", "none"), list(there().values())) == ["it lacks the column `none`"]
