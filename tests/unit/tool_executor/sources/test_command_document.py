"""A document of commands is bounded, whatever its aliases write out."""

from __future__ import annotations

import pytest

from factotum.tool_executor.sources.command.config import Commands
from factotum.tool_executor.sources.command.source import CommandSource
from factotum.tool_executor.sources.source import SourceInvalid, Surroundings
from tests.unit.connectors.test_bounded_yaml import bomb


async def _no_secret(_: str) -> str:
    raise AssertionError


async def test_aliases_that_write_out_too_much_are_refused() -> None:
    around = Surroundings(tenant="acme", system="c", secret=_no_secret, seconds=5)
    with pytest.raises(SourceInvalid, match="aliases written out"):
        await CommandSource().read(Commands(), bomb(8).encode(), around)
