"""Files that the bench cannot use end it before anything is measured."""

from pathlib import Path

import pytest

from factotum.memory.bench.__main__ import main

PASSAGE = '{"id": "a", "text": "The boiler was repaired in March."}\n'
QUESTION = '{"text": "When was the boiler repaired?", "relevant": ["a"]}\n'


@pytest.mark.parametrize(
    ("corpus", "queries", "wrong"),
    [
        (PASSAGE + "{\n", QUESTION, "corpus.jsonl:2: not JSON"),
        (PASSAGE + PASSAGE, QUESTION, "corpus.jsonl:2: the id 'a' stands in line 1 already"),
        (PASSAGE, QUESTION + '{"text": "?", "relevant": []}\n', "queries.jsonl:2: relevant: holds no id"),
        (PASSAGE, "", "queries.jsonl: holds nothing"),
        (None, QUESTION, "corpus.jsonl: No such file"),
    ],
)
def test_the_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], corpus: str | None, queries: str, wrong: str
) -> None:
    if corpus is not None:
        (tmp_path / "corpus.jsonl").write_text(corpus)
    (tmp_path / "queries.jsonl").write_text(queries)
    answer = main(["--corpus", str(tmp_path / "corpus.jsonl"), "--queries", str(tmp_path / "queries.jsonl")])
    told = capsys.readouterr()
    assert (answer, told.out) == (2, "")
    assert wrong in told.err


def test_settings_and_secrets_that_are_missing_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c").write_text(PASSAGE)
    (tmp_path / "q").write_text(QUESTION)
    monkeypatch.chdir(tmp_path)
    endpoint = {"BASE_URL": "http://127.0.0.1:9/v1", "MODEL": "m", "DIMENSION": "8", "API_KEY": "secret://no-such"}
    for environment, wrong in (
        ({"KIND": "openai"}, "FACTOTUM_EMBEDDING: Value error, kind openai wants"),
        ({f"OPENAI__{name}": value for name, value in endpoint.items()}, "has no secret 'no-such'"),
    ):
        for name, value in environment.items():
            monkeypatch.setenv(f"FACTOTUM_EMBEDDING__{name}", value)
        assert main(["--corpus", "c", "--queries", "q"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert wrong in line


def test_no_other_depths_than_1_to_100(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--corpus", "c", "--queries", "q", "--k", "101"])
    assert ended.value.code == 2
    assert "between 1 and 100" in capsys.readouterr().err
