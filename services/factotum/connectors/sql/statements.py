"""Statements and their parameters. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, TextClause, bindparam, text

from factotum.sdk.errors import InvalidArgument

READING = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
# Changes of data alone. What ends a transaction would part the statements of a call, and on some databases a
# change of the schema does that as well. A procedure cannot end it: not in a transaction that it did not begin.
CHANGING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH", "CALL"})

_BLANK = re.compile(r"\s+|--[^\n]*(?:\n|$)")
_WORD = re.compile(r"[A-Za-z]+")


def first_word(sql: str) -> str:
    """The word that says what a statement does, in capitals; empty where none is first."""
    at = 0
    while True:
        if blank := _BLANK.match(sql, at):
            at = blank.end()
        elif sql.startswith("/*", at) and not sql.startswith(("/*!", "/*+", "/*M!"), at):
            at = _comment_end(sql, at)
        elif sql.startswith("(", at):
            at += 1
        else:
            word = _WORD.match(sql, at)
            return word.group().upper() if word else ""


def bound(sql: str, parameters: Mapping[str, Any], *, words: frozenset[str]) -> TextClause:
    """The statement with its parameters bound. Raises `InvalidArgument` for one that begins with none of `words`,
    and where parameters are missing or left over."""
    if first_word(sql) not in words:
        raise InvalidArgument(f"the statement must begin with one of {', '.join(sorted(words))}")
    clause = text(sql)
    named = set(clause._bindparams)
    if missing := sorted(named - parameters.keys()):
        raise InvalidArgument(f"the statement names :{', :'.join(missing)}, which parameters does not have")
    if unused := sorted(parameters.keys() - named):
        raise InvalidArgument(f"the statement does not name :{', :'.join(unused)}, which parameters has")
    lists: list[BindParameter[Any]] = [
        bindparam(name, expanding=True) for name, value in parameters.items() if isinstance(value, list)
    ]
    return clause.bindparams(*lists)


def _comment_end(sql: str, at: int) -> int:
    """PostgreSQL's comments nest, others' do not: the end that both agree on, or else the end of the text."""
    end = sql.find("*/", at + 2)
    if end < 0 or "/*" in sql[at + 2 : end]:
        return len(sql)
    return end + 2
