"""Places in values, and where an answer says that it goes on."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from factotum.connectors.protocols.openapi_paging import Paging, next_link
from factotum.connectors.protocols.openapi_places import at, put
from factotum.sdk.errors import Failed

VALUE = {"meta": {"next": "abc"}, "data": [{"id": 1}, {"id": 2}], "": 0}


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("", VALUE),
        ("meta.next", "abc"),
        ("data.0.id", 1),
        ("data.-1.id", 2),
        ("data.2.id", None),
        ("data.first", None),
        ("meta.next.more", None),
        ("nothing", None),
    ],
)
def test_what_stands_at_a_place(place: str, found: Any) -> None:
    assert at(VALUE, place) == found


def test_putting_changes_a_copy() -> None:
    before = {"a": {"b": 1, "c": [1]}}
    after = put(before, "a.b", 2)
    assert (before, after) == ({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [1]}})
    assert after["a"]["c"] is before["a"]["c"]
    assert put({}, "x.y", 1) == {"x": {"y": 1}} and put(None, "", 3) == 3


HERE = httpx2.URL("https://api.example/things?page=1")


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ("", None),
        ('<https://api.example/things?page=2>; rel="next"', "https://api.example/things?page=2"),
        ("</things?page=2>; rel=next", "https://api.example/things?page=2"),
        ('<?page=0>; rel="prev", <?page=2>; rel="next last"', "https://api.example/things?page=2"),
        ('<?page=2>; title="a, b; c"; REL="NEXT"', "https://api.example/things?page=2"),
        ('<?q=a,b&page=2>; rel="next"', "https://api.example/things?q=a,b&page=2"),
        ('<?page=9>; rel="last"', None),
        ('<?page=9>; x-rel="next"', None),
    ],
)
def test_the_next_link(header: str, url: str | None) -> None:
    found = next_link(header, HERE)
    assert (None if found is None else str(found)) == url


@pytest.mark.parametrize("target", ["https://evil.example/", "http://api.example/", "https://api.example:8443/"])
def test_a_next_link_to_another_origin_is_refused(target: str) -> None:
    with pytest.raises(Failed, match="another origin"):
        next_link(f'<{target}>; rel="next"', HERE)


def test_a_cursor_can_be_the_last_item_and_an_end_be_said() -> None:
    paging = Paging(
        style="cursor",
        parameter="starting_after",
        next="data.-1.id",
        items="data",
        more="has_more",
        size_parameter="limit",
    )
    first = paging.first({"q": "x"})
    assert first == {"q": "x", "limit": 100}
    assert paging.first({"limit": 7})["limit"] == 7
    assert paging.following(first, {"data": [{"id": "a"}, {"id": "b"}], "has_more": True}) == {
        **first,
        "starting_after": "b",
    }
    assert paging.following(first, {"data": [{"id": "a"}], "has_more": False}) is None
    assert paging.following(first, {"data": [], "has_more": True}) is None
    with pytest.raises(Failed, match="no list at data"):
        paging.following(first, {"items": []})
