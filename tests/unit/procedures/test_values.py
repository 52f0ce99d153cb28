"""What text may hold before it is looked at as a document."""

from __future__ import annotations

import pytest

from factotum.procedures import values
from factotum.procedures.fault import Fault, FaultyDocument


def refused(text: str) -> Fault:
    with pytest.raises(FaultyDocument) as found:
        values.read(text)
    (fault,) = found.value.faults
    return fault


def test_every_pointer_has_its_place_and_an_alias_that_of_what_it_stands_for() -> None:
    value, places = values.read("a: &x [1, 2020-01-01]\nb/c: *x\n")
    assert value == {"a": [1, "2020-01-01"], "b/c": [1, "2020-01-01"]}
    assert places["/a/1"] == places["/b~1c/1"] == (1, 11)
    assert places["/b~1c"] == (2, 1)


def test_a_few_lines_of_aliases_do_not_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert refused("\n".join(lines)).message == "the document is too large with its aliases written out"


def test_values_are_counted_also_without_an_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_VALUES", 10)
    assert values.read(f"[{', '.join('0' * 9)}]")[0] == [0] * 9
    assert "too large" in refused(f"[{', '.join('0' * 10)}]").message


@pytest.mark.parametrize(
    "text",
    [
        f"a: &a {'x' * 400_000}\nb: [{', '.join(['*a'] * 1000)}]",
        f"? {'x' * 100_000}\n: [{', '.join(['0'] * 1000)}]",
    ],
    ids=["text", "key"],
)
def test_a_long_text_is_counted_as_often_as_it_is_repeated(text: str) -> None:
    assert "too large" in refused(text).message


def test_an_alias_of_what_it_stands_in_is_too_deep() -> None:
    assert "nested deeper than 64" in refused("a: &a [*a]").message


def test_merge_keys_are_refused_where_they_stand() -> None:
    assert str(refused("a: &a {x: 1}\nb: {<<: *a}\n")) == (
        "2:5: /: merge keys are not read. Write out what `<<` stands for"
    )
    assert values.read("'<<': 1\n")[0] == {"<<": 1}
