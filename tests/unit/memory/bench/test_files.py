"""Files of a bench: what is taken, and that what is wrong is named with its line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from factotum.memory.bench import files


def written(folder: Path, *lines: str) -> Path:
    path = folder / "file.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_corpus_is_read_with_what_it_leaves_out(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"id": 7, "text": "a", "sequence": 1, "speaker": null, "time": "2026-11-24T09:00:00Z", "more": {}}',
        "",
        '{"id": "b", "text": "b", "sequence": "1"}',
        '{"id": "c", "text": "c", "position": 4.0, "time": 0}',
    )
    first, second, third = files.corpus(path)
    assert (first.id, first.sequence, first.position, first.speaker) == ("7", "1", 0, "")
    assert first.time == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert (second.sequence, second.position) == ("1", 1)
    assert (third.sequence, third.position, third.time) == ("", 4, datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], ":1: not JSON"),
        (["[]"], ":1: must be a JSON object"),
        (['{"id": "a", "text": "x"}', '{"id": "a", "text": "y"}'], ":2: the id 'a' stands in line 1 already"),
        (['{"text": "x"}'], ":1: id:"),
        (['{"id": "a"}'], ":1: text:"),
        (['{"id": "a", "text": 5}'], ":1: text:"),
        (['{"id": "a", "text": "x", "position": "first"}'], ":1: position:"),
        (['{"id": "a", "text": "x", "time": "yesterday"}'], ":1: time:"),
        (['{"id": "a", "text": "x", "sequence": []}'], ":1: sequence:"),
        ([], "holds nothing"),
    ],
)
def test_a_corpus_that_cannot_be_used_names_the_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(files.Malformed, match=message):
        files.corpus(written(tmp_path, *lines))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "q"}', ":1: relevant:"),
        ('{"text": "q", "relevant": []}', ":1: relevant:"),
        ('{"text": "q", "relevant": "a"}', ":1: relevant:"),
        ('{"text": " ", "relevant": ["a"]}', ":1: text:"),
    ],
)
def test_questions_that_cannot_be_used_name_the_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(files.Malformed, match=message):
        files.questions(written(tmp_path, line))


def test_what_is_relevant_and_not_there_is_told(tmp_path: Path) -> None:
    asked = files.questions(written(tmp_path, '{"text": "q", "relevant": ["a", 2]}'))
    assert files.missing([files.Passage("a", "x")], asked) == {"2"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(files.Malformed, match="nowhere"):
        files.corpus(tmp_path / "nowhere")
