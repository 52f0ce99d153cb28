"""What is read of a source, and why it could not be, is without the secrets that reading it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from factotum.tool_executor.sources.making import Maker
from factotum.tool_executor.sources.source import SourceInvalid, SourceUnavailable, Surroundings
from factotum.tool_executor.sources.store import Definition
from tests.support.composition import secrets_of
from tests.support.listed_source import Config, Listed

VALUE = "hunter2-hunter2"


class Telling(Listed):
    """Tells what it was given."""

    error: type[Exception] | None = None

    async def read(self, config: Config, document: bytes, surroundings: Surroundings) -> bytes:
        value = await surroundings.secret("secret://token")
        if self.error is not None:
            raise self.error(f"the system says: {value} is not known") from ValueError(value)
        return document or f"of {value}".encode()


@pytest.fixture
def telling(tmp_path: Path) -> tuple[Telling, Maker]:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/token").write_text(VALUE)
    kind = Telling()
    return kind, Maker(kinds={"listed": kind}, secret=secrets_of(tmp_path).secret, read_seconds=5)


def definition(document: bytes = b"") -> Definition:
    return Definition(tenant="acme", system="words", kind="listed", config_json="{}", document=document)


@pytest.mark.parametrize("error", [SourceInvalid, SourceUnavailable])
async def test_an_error_is_without_them(telling: tuple[Telling, Maker], error: type[Exception]) -> None:
    kind, maker = telling
    kind.error = error
    with pytest.raises(error, match=r"the system says: \*\*\* is not known") as caught:
        await maker.read(definition())
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


async def test_what_is_kept_is_without_them_and_else_as_it_is(telling: tuple[Telling, Maker]) -> None:
    _, maker = telling
    assert await maker.read(definition()) == b"of ***"
    assert await maker.read(definition(b"\xff\x00")) == b"\xff\x00"


async def test_a_fault_in_a_kind_is_the_sources(telling: tuple[Telling, Maker]) -> None:
    kind, maker = telling
    kind.error = KeyError
    with pytest.raises(SourceInvalid, match="could not be read: KeyError"):
        await maker.read(definition())
