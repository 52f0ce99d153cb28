"""Random documents that are valid, and whose result is the same whoever carries them out.

They nest `do`, `for`, `fork`, `try`, `switch`, `set`, `call`, `raise`, `wait` and `if`. Nothing in them
depends on which branch of a fork is faster: only tasks outside of forks export, no branch sees another,
and the branches fail for reasons of their own only where a `try` inside the branch catches.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = Any
# A program that is evaluated elsewhere, since nothing shows it to be cheap: a wait in the middle of a task.
COSTLY = '("ab" * ([12, .a // 1] | first) | length) / 2'
DEPTH = 3
ERROR = "https://example.com/errors/planned"

FIELDS = st.sampled_from(["a", "b", "c"])


def _value(field: str) -> st.SearchStrategy[Json]:
    return st.sampled_from(
        [
            f"${{ (.{field} // 0) + 1 }}",
            f"${{ [.{field}, .a] | length }}",
            "${ $context.seen // 0 }",
            "${ $input | type }",
            "plain",
            7,
        ]
    )


@st.composite
def _set_fields(draw: Any) -> Json:
    return {"set": {field: draw(_value(field)) for field in draw(st.sets(FIELDS, min_size=1))}}


@st.composite
def _call(draw: Any) -> Json:
    tool = draw(st.sampled_from(["test.echo"] * 6 + ["test.flaky", "test.refuse"]))
    task: dict[str, Json] = {"call": tool, "with": {"given": draw(_value(draw(FIELDS)))}}
    task["output"] = draw(st.sampled_from([{}, {"as": "{a: .n, b: 2}"}, {"as": f"{{a: {COSTLY}}}"}]))
    if draw(st.booleans()):
        task["metadata"] = {
            "compensate": {"call": "test.undo", "with": {"n": draw(st.sampled_from(["${ .n }", f"${{ {COSTLY} }}"]))}}
        }
    return task


def _leaf() -> st.SearchStrategy[Json]:
    rare = st.one_of(
        st.just({"wait": {"milliseconds": 3}}),
        st.just({"raise": {"error": {"type": ERROR, "status": 409, "title": "planned"}}}),
    )
    return st.integers(0, 9).flatmap(lambda dice: rare if dice == 9 else _set_fields() if dice > 7 else _call())


def _named(tasks: list[Json]) -> list[Json]:
    return [{f"t{index}": task} for index, task in enumerate(tasks)]


@st.composite
def _decorated(draw: Any, inner: st.SearchStrategy[Json]) -> Json:
    task = dict(draw(inner))
    if draw(st.integers(0, 7)) == 0:
        task["if"] = draw(st.sampled_from(["(.a // 0) < 5", 'type == "object"', "false"]))
    if draw(st.integers(0, 5)) == 0 and "switch" not in task:
        task["then"] = draw(st.sampled_from(["exit", "continue"]))
    return task


def _nested(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    lists = st.lists(_decorated(inner), min_size=1, max_size=2).map(_named)

    @st.composite
    def loop(draw: Any) -> Json:
        task = {"for": {"each": "x", "in": draw(st.sampled_from(["[1, 2, 3]", "[]", "[.a, .b]"]))}, "do": draw(lists)}
        if draw(st.booleans()):
            task["while"] = "$index < 2"
        return task

    @st.composite
    def fork(draw: Any) -> Json:
        branches = [
            {"try": _named([draw(inner)]), "catch": {"do": [{"caught": {"set": {"caught": "${ $error.status }"}}}]}}
            for _ in range(draw(st.integers(1, 3)))
        ]
        return {"fork": {"branches": _named(branches)}}

    @st.composite
    def attempt(draw: Any) -> Json:
        catch: dict[str, Json] = {}
        if draw(st.booleans()):
            catch["errors"] = {"with": {"status": draw(st.sampled_from([409, 503]))}}
        if draw(st.booleans()):
            catch["retry"] = {"delay": {"milliseconds": 1}, "limit": {"attempt": {"count": draw(st.integers(1, 3))}}}
        catch["do"] = draw(lists)
        return {"try": draw(lists), "catch": catch}

    @st.composite
    def choose(draw: Any) -> Json:
        cases = [{"one": {"when": "(.a // 0) > 3", "then": draw(st.sampled_from(["last", "continue"]))}}]
        cases.append({"two": {"then": draw(st.sampled_from(["continue", "exit"]))}})
        return {"do": [{"choice": {"switch": cases}}, {"between": draw(inner)}, {"last": draw(inner)}]}

    return st.one_of(loop(), fork(), attempt(), choose(), lists.map(lambda tasks: {"do": tasks}))


def _task(depth: int) -> st.SearchStrategy[Json]:
    if depth == 0:
        return _leaf()
    inner = _task(depth - 1)
    return st.integers(0, 2).flatmap(lambda dice: _leaf() if dice == 2 else _nested(inner))


@st.composite
def documents(draw: Any) -> Json:
    """A document in JSON; its input is an object."""
    tasks = draw(st.lists(_decorated(_task(DEPTH)), min_size=2, max_size=4))
    for found in tasks:
        if draw(st.integers(0, 2)) == 0:
            found["export"] = {"as": "{seen: ((($context | objects | .seen) // 0) + 1)}"}
    return {
        "document": {"dsl": "1.0.3", "namespace": "test", "name": "random", "version": "1.0.0"},
        "do": _named(tasks),
    }
