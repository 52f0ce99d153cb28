"""What was recalled a short time ago is known again."""

import pytest

from factotum.memory import given_out
from factotum.memory.given_out import GivenOut

LUNCH = "The cafeteria serves lunch between noon and two."
FUSER = "Error E-4711 means that the printer's fuser overheated."


@pytest.mark.parametrize(
    "text",
    [LUNCH, LUNCH.upper(), f"  {LUNCH}\n", f'"{LUNCH}"', f"- {LUNCH}\n- {FUSER}", f"1. {FUSER}\n\n2) {LUNCH}"],
)
def test_the_text_itself_or_a_list_of_such(text: str) -> None:
    given = GivenOut()
    given.note("acme", [LUNCH, FUSER])
    assert given.holds("acme", text)
    assert not given.holds("globex", text)


@pytest.mark.parametrize(
    "text",
    [
        f"Memory says: {LUNCH}",
        f'According to my memory, "{LUNCH}"',
        f"{LUNCH.rstrip('.')}, according to memory",
        f"- As I recall: {LUNCH}\n- {FUSER.rstrip('.')}!",
    ],
)
def test_where_it_comes_from_makes_nothing_new_of_it(text: str) -> None:
    given = GivenOut()
    given.note("acme", [LUNCH, FUSER])
    assert given.holds("acme", text)
    assert not given.holds("acme", text.replace("two", "three").replace("fuser", "drum"))


def test_a_text_of_several_lines_is_known_as_a_whole() -> None:
    given = GivenOut()
    given.note("acme", [f"Lunch\n\n{LUNCH}"])
    assert given.holds("acme", f"Lunch\n{LUNCH}")
    assert not given.holds("acme", LUNCH)


@pytest.mark.parametrize("text", ["Something else.", f"{LUNCH} So I go at one.", f"- {LUNCH}\n- And more.", "- ", ""])
def test_what_says_more_or_other(text: str) -> None:
    given = GivenOut()
    given.note("acme", [LUNCH])
    assert not given.holds("acme", text)


def test_the_last_ones_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_out, "MOST_TEXTS", 2)
    monkeypatch.setattr(given_out, "MOST_TENANTS", 2)
    given = GivenOut()
    given.note("acme", ["a", "b"])
    given.note("acme", ["a"])
    given.note("acme", ["c"])
    assert [given.holds("acme", text) for text in "abc"] == [True, False, True]
    given.note("globex", ["a"])
    given.note("acme", ["d"])
    given.note("initech", ["a"])
    assert [given.holds(tenant, "d" if tenant == "acme" else "a") for tenant in ("acme", "globex", "initech")] == [
        True,
        False,
        True,
    ]
