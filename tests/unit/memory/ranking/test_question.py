"""Which words of a question are looked for."""

import pytest

from factotum.memory.ranking.question import looked_for


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What did Ada say about the sailing course?", "Ada say sailing course"),
        ("When is the next train to Bern, and the next to Basel?", "next train Bern Basel"),
        ("Who are you?", "Who are you?"),
        ("¿?", "¿?"),
        ("Wo wohnt Jörg?", "Wo wohnt Jörg"),
        ("Ada's user_name", "Ada's user name"),
    ],
)
def test_words_that_say_nothing_are_left_out(question: str, words: str) -> None:
    assert looked_for(question) == words
