from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from factotum.memory.embedders.onnx import Embedder as MiniLm
from factotum.memory.embedders.openai import OpenAIEmbedder
from factotum.memory.embedders.opened import chosen
from factotum.memory.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def set_endpoint(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    monkeypatch.setenv("FACTOTUM_EMBEDDING__KIND", "openai")
    for name, value in values.items():
        monkeypatch.setenv(f"FACTOTUM_EMBEDDING__OPENAI__{name.upper()}", value)


def test_minilm_is_the_default() -> None:
    assert isinstance(chosen(Settings().embedding, api_key="", now=lambda: NOW), MiniLm)


def test_an_endpoint_is_named_by_its_host_its_model_and_its_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    set_endpoint(monkeypatch, base_url="https://api.example.com/v1/", model="small", dimension="512")
    embedder = chosen(Settings().embedding, api_key="sk-1", now=lambda: NOW)
    assert isinstance(embedder, OpenAIEmbedder)
    assert embedder.fingerprint == "openai:api.example.com/small/512"
    assert embedder.dimension == 512
    assert embedder.count_tokens(["", "abc", "abcd", "abcde", "漢字"]) == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"base_url": "https://api.example.com/v1", "model": "small"},
        {"base_url": "api.example.com", "model": "small", "dimension": "512"},
        {"base_url": "https://api.example.com/v1", "model": "with blanks", "dimension": "512"},
        {"base_url": "https://api.example.com/v1", "model": "small", "dimension": "512", "colour": "red"},
    ],
)
def test_an_endpoint_that_is_half_set_is_refused(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    set_endpoint(monkeypatch, **values)
    with pytest.raises(ValidationError):
        Settings()
