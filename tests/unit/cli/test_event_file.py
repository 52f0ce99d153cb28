from __future__ import annotations

import pytest

from factotum.cli.errors import BadInput
from factotum.cli.event_file import read_event

_YAML = """
id: '1'
source: /hr
type: com.example.happened
time: 2026-11-24T09:00:00Z
data: {day: 2026-11-24, number: 3}
"""


def test_yaml_dates_stay_the_text_they_are() -> None:
    event = read_event(_YAML, "acme")
    assert event.tenant == "acme"
    assert event.data == {"day": "2026-11-24", "number": 3}
    assert event.time is not None and event.time.isoformat() == "2026-11-24T09:00:00+00:00"


def test_json_is_read_too() -> None:
    assert read_event('{"id": "1", "source": "/hr", "type": "t", "data": null}', "acme").id == "1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "an event is a JSON or YAML object"),
        ("", "an event is a JSON or YAML object"),
        ("{id: 1", "neither JSON nor YAML"),
        ("!!python/object/apply:os.getcwd []", "neither JSON nor YAML"),
        ("{source: /a, type: t}", "id: Field required"),
        ("{id: '1', source: /a, type: t, tenant: globex}", "--tenant globex"),
        ("{id: '1', source: /a, type: t, data: .nan}", "JSON"),
    ],
)
def test_what_is_no_event_gets_a_sentence(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_event(text, "acme")
