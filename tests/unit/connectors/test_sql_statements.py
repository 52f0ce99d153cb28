"""What a statement begins with, and its parameters."""

from __future__ import annotations

import pytest

from factotum.connectors.sql.settings import Database
from factotum.connectors.sql.statements import READING, bound, first_word
from factotum.connectors.sql.values import plain, table
from factotum.sdk.errors import InvalidArgument


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select 1", "SELECT"),
        ("  -- select\n\tDelete from x", "DELETE"),
        ("/* a */ /* b */(( select 1", "SELECT"),
        ("-- only", ""),
        ("/* open", ""),
        # PostgreSQL's comments nest; for others the first end is the end: neither is to be believed.
        ("/* /* */ SELECT */ DELETE", ""),
        ("/*! DELETE */ SELECT 1", ""),
        ("/*+ hint */ SELECT 1", ""),
        ("", ""),
    ],
)
def test_first_words(sql: str, word: str) -> None:
    assert first_word(sql) == word


def test_parameters_are_those_that_the_statement_names() -> None:
    assert str(bound("SELECT :a, ':b' AS c, x::int FROM t", {"a": 1, "b": 2}, words=READING))
    with pytest.raises(InvalidArgument, match=":b, which"):
        bound("SELECT :a, :b", {"a": 1}, words=READING)
    with pytest.raises(InvalidArgument, match="not name :b"):
        bound("SELECT :a", {"a": 1, "b": 2}, words=READING)


def test_two_columns_of_one_name_are_not_answered() -> None:
    with pytest.raises(InvalidArgument, match="named x"):
        table(["x", "x"], [(1, 2)], max_rows=5, max_bytes=100)


def test_values_are_what_every_reader_of_json_reads_alike() -> None:
    assert plain([2**53, 2**53 - 1, float("inf"), (b"\xff",)]) == [str(2**53), 2**53 - 1, "inf", ["/w=="]]


@pytest.mark.parametrize(
    "given",
    [
        {"url": "postgresql://ada:hunter2@host/x"},
        {"url": "sqlite://"},
        {"url": "sqlite:///relative.db"},
        {"url": "sqlite:////x.db", "password": "secret://x"},
        {"url": "nothing"},
        {"url": "postgresql://host/x", "effects_table": "effects"},
        {"url": "postgresql://host/x", "writable": True, "effects_table": "effects; DROP TABLE x"},
    ],
)
def test_settings_that_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError) as raised:
        Database.model_validate(given)
    assert "hunter2" not in str(raised.value.args)
