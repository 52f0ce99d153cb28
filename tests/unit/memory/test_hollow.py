"""Forms that nothing was filled into, and what only looks like one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.memory.hollow import asked_nothing, is_hollow

PAGE = "<!DOCTYPE html><html><head><meta charset='utf-8'><title>{title}</title>{head}</head><body>{body}</body></html>"


@pytest.mark.parametrize(
    "text",
    [
        "null",
        " Null. ",
        "undefined",
        "NaN",
        "[object Object]",
        "{}",
        "[]",
        "[ ]\n",
        '""',
        "true",
        "[null, {}, []]",
        '{"items": [], "next": null, "note": " "}',
        '{"status": "ok"}',
        '{"Status-Code": 200, "message": "OK", "data": {}}',
        '{"success": true, "errors": []}',
        '{"ok": true, "error": false}',
        PAGE.format(title="", head="", body='<div id="root"></div>'),
        PAGE.format(title="App", head="<style>a {color: red}</style>", body="<script>start(all the things)</script>"),
        PAGE.format(
            title="App", head='<meta name="viewport" content="width=device-width, scale=1">', body="<!-- here -->"
        ),
        PAGE.format(title="", head="", body="<noscript>You need to enable JavaScript to run this app.</noscript>"),
        PAGE.format(title="", head="", body="<p>Loading&hellip;</p><script>for (;;) wait()"),
        "<div><span></span>&nbsp;<br/></div>",
        "<ul><li></li><li>1</li></ul>",
    ],
)
def test_empty_forms(text: str) -> None:
    assert is_hollow(text, answers=False)
    assert is_hollow(text, answers=True)


@pytest.mark.parametrize("text", ["none", "Nothing.", "N/A", "Answered: nothing"])
def test_words_for_nothing_may_be_answers(text: str) -> None:
    assert is_hollow(text, answers=False)
    assert not is_hollow(text, answers=True)


@pytest.mark.parametrize(
    "text",
    [
        "Nothing is planned for Friday.",
        "The value is null.",
        "null and void",
        "нет",
        "{name} is on leave",
        "[draft] The travel policy",
        '{"status": "ok", "id": "99"}',
        '{"status": "failed"}',
        '{"success": false}',
        '{"error": "quota exceeded"}',
        '{"result": 0}',
        '{"result": true}',
        '{"active": true}',
        '{"balance": 0}',
        '{"message": "会议取消"}',
        "42",
        "true friends",
        '"quoted", she said',
        "{" * 4000,
        "[" * 8000,
        PAGE.format(title="Access denied", head="", body=""),
        PAGE.format(title="", head="", body="<p>会议取消</p>"),
        PAGE.format(title="App", head='<meta name="description" content="How leave is granted">', body=""),
        PAGE.format(title="", head="", body='<img src="a.png" alt="The team in Berlin">'),
        "<b>Ada</b>",
        "<p>Отпуск одобрен</p>",
        '<employee name="Ada" mail="ada@acme.example"/>',
        "<3 to all of you",
        "<input placeholder='Mail address'>",
    ],
)
def test_what_says_something(text: str) -> None:
    assert not is_hollow(text, answers=False)


LEAVES = st.one_of(st.none(), st.just(""), st.booleans(), st.integers(), st.text(max_size=5))


@given(
    value=st.recursive(
        st.one_of(st.none(), st.just(""), st.just(" ")),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    ).filter(lambda value: isinstance(value, dict | list)),
    name=st.sampled_from(["name", "id", "count", "reason"]),
    said=st.one_of(st.integers(), st.text(min_size=1).filter(str.strip)),
)
def test_one_value_makes_a_form_say_something(value: object, name: str, said: object) -> None:
    assert is_hollow(json.dumps(value), answers=False)
    assert not is_hollow(json.dumps([value, {name: said}]), answers=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mail.poll. Answered: nothing.", True),
        ("mail.poll. Answered: nothing. A step of employee onboarding.", True),
        ("hr.find with email ada@acme.example. Answered: nothing.", False),
        ("mail.poll. Answered: id 9.", False),
        ("He asked. Answered: nothing. Then he left.", False),
    ],
)
def test_calls_without_a_word(text: str, told: bool) -> None:
    assert asked_nothing(text) is told
