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
        (['{"text": "x"}'], ":1: id: is missing"),
        (['{"id": "", "text": "x"}'], ":1: id: is missing"),
        (['{"id": "a\\u001b", "text": "x"}'], ":1: id: must not hold control characters"),
        (['{"id": "a"}'], ":1: text: is missing"),
        (["", '{"id": "a", "text": }'], ":2: not JSON: Expecting value in column 21"),
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
        ('{"text": "' + 9000 * "x" + '", "relevant": ["a"]}', ":1: text: 9000 bytes are more than 8192"),
    ],
)
def test_questions_that_cannot_be_used_name_the_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(files.Malformed, match=message):
        files.questions(written(tmp_path, line))


def test_what_is_relevant_and_not_there_is_told(tmp_path: Path) -> None:
    asked = files.questions(written(tmp_path, '{"text": "q", "relevant": ["a", 2]}'))
    assert files.missing([files.Passage("a", "x")], asked) == {"2": 1}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(files.Malformed, match="nowhere"):
        files.corpus(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "line"),
    [(b'{"id": "a", "text": "x"}\n{"id": "b", "text": "caf\xe9"}\n', 2), ('{"id": "a"}'.encode("utf-16"), 1)],
)
def test_what_is_no_utf_8_is_named_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(files.Malformed, match=f":{line}: not UTF-8: "):
        files.corpus(path)


def test_byte_order_marks_and_other_ends_of_lines_are_none_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\r\n{"id": "b", "text": "\\ud800y\xe2\x80\xa8z"}')
    assert [(each.id, each.text) for each in files.corpus(path)] == [("a", "x"), ("b", "y\nz")]


def test_what_is_longer_than_a_record_is_told() -> None:
    passages = [files.Passage("short", "x"), files.Passage("long", 8193 * "x"), files.Passage("wide", 2731 * "\u20ac")]
    assert files.cut(passages) == ["long", "wide"]
