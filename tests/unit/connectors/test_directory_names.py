"""Distinguished names and filters: what goes in as a value stays one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.connectors.directory.filters import SECRET, Condition, expression
from factotum.connectors.directory.names import Name, beneath, parsed
from factotum.sdk.errors import InvalidArgument, NotPermitted

BASE = parsed("dc=acme,dc=example")
# What a name's value may be: text that is not only blanks; without surrogates, of which there is no UTF-8.
VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from(["cn", "ou", "uid"]), VALUES, min_size=1), min_size=1, max_size=4))
def test_a_name_that_is_written_is_read_as_it_was(parts: list[dict[str, str]]) -> None:
    name = Name(tuple(tuple(sorted(part.items())) for part in parts))
    assert parsed(str(name)) == name


@settings(max_examples=50)
@given(VALUES)
def test_a_value_adds_no_level_to_a_name(value: str) -> None:
    child = parsed(str(BASE.child({"cn": value})))
    assert len(child.parts) == 3
    assert child.parent == BASE
    assert child.under(BASE)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("uid=ada , OU = people,dc=acme,dc=example", "uid=ada,OU=people,dc=acme,dc=example"),
        (r"cn=Lovelace\, Ada,dc=acme,dc=example", r"cn=Lovelace\, Ada,dc=acme,dc=example"),
        (r"cn=Lovelace\2c Ada,dc=acme,dc=example", r"cn=Lovelace\, Ada,dc=acme,dc=example"),
        (r"cn=\c3\a9+uid=a,dc=acme,dc=example", r"cn=é+uid=a,dc=acme,dc=example"),
        ("cn=x,DC=ACME,dc=Example", "cn=x,DC=ACME,dc=Example"),
    ],
)
def test_names_that_are_read(text: str, wanted: str) -> None:
    assert str(beneath(text, BASE)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "ada",
        "uid=",
        "uid=ada,",
        "=ada",
        'cn="a",dc=x',
        "cn=a;dc=x",
        "cn=#04024869",
        r"cn=a\q",
        "cn=a\n",
        r"cn=\ff",
        "cn=a+",
    ],
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        "dc=example",
        "",
        "cn=secret,dc=globex,dc=example",
        r"cn=x\,dc=acme\,dc=example",
        r"cn=x,dc=acme\,dc=example",
        "dc=acme,dc=example,dc=globex",
        "cn=x,o=acme,dc=example",
        "dc=acme+cn=x,dc=example",
    ],
)
def test_what_is_not_beneath_the_base(text: str) -> None:
    with pytest.raises(NotPermitted):
        beneath(text, BASE)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("o=Straße,dc=example", "o=Strasse,dc=example"),
        ("o=ﬁrm,dc=example", "o=firm,dc=example"),
        ("o=\u212aelvin,dc=example", "o=kelvin,dc=example"),
        ("o=a\u2003b,dc=example", "o=a b,dc=example"),
        ("o=a  b,dc=example", "o=a b,dc=example"),
        ("homeDirectory=/Ada,dc=example", "homeDirectory=/ada,dc=example"),
        ("\u212a=x,dc=example", "k=x,dc=example"),
    ],
)
def test_names_that_some_server_tells_apart_are_two(text: str, base: str) -> None:
    with pytest.raises((NotPermitted, InvalidArgument)):
        beneath(f"cn=x,{text}", parsed(base))


@settings(max_examples=50)
@given(VALUES, st.sampled_from(["equals", "starts_with", "ends_with", "contains", "at_least", "at_most"]))
def test_a_value_adds_nothing_to_a_filter(value: str, operator: str) -> None:
    made = expression(
        [Condition.model_validate({"attribute": "cn", "operator": operator, "value": value})] * 2, match="any"
    )
    assert made.count("(") == made.count(")") == 3
    assert made.count("*") == {"starts_with": 2, "ends_with": 2, "contains": 4}.get(operator, 0)
    assert made.isascii()


@pytest.mark.parametrize("attribute", [*sorted(SECRET), "ms-Mcs-AdmPwd", "msLAPS-Password", "ipaNTHash"])
def test_passwords_are_no_condition(attribute: str) -> None:
    condition = Condition(attribute=attribute.upper(), operator="starts_with", value="{SSHA}")
    with pytest.raises(NotPermitted):
        expression([condition], match="all")
