import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from factotum.gateway import sources
from factotum.gateway.errors import NotAuthenticated, SourcesInvalid, UnknownSource
from factotum.gateway.sources import Sender
from factotum.runtime.secrets.files import SecretFiles
from tests.support.gateway import ACME_TOKEN, GLOBEX_TOKEN, write_sources


async def test_loads_sources_and_tokens(tmp_path: Path) -> None:
    file, secrets = write_sources(tmp_path)
    known = await sources.load(file, SecretFiles(secrets), 300)
    assert known.source("bamboohr-globex").tenant == "globex"
    assert known.source("billing").uri == "/hooks/billing"
    assert known.sender_of(ACME_TOKEN.encode()) == Sender("acme")
    assert known.sender_of(GLOBEX_TOKEN.encode()) == Sender("globex")
    for token in (b"", b"acme", ACME_TOKEN.upper().encode(), b"\xff"):
        with pytest.raises(NotAuthenticated):
            known.sender_of(token)
    for name in ("", "nobody", "BAMBOOHR", "\x00"):
        with pytest.raises(UnknownSource):
            known.source(name)


async def test_a_token_may_stand_for_a_person(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("tokens: [{tenant: acme, token: 'secret://a', user: ada}, {tenant: acme, token: 'secret://b'}]")
    for name in ("a", "b"):
        (tmp_path / "acme").mkdir(exist_ok=True)
        (tmp_path / "acme" / name).write_text(f"token-{name}")
    known = await sources.load(file, SecretFiles(tmp_path), 300)
    assert known.sender_of(b"token-a") == Sender("acme", "ada")
    assert known.sender_of(b"token-b") == Sender("acme")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("[]", "valid dictionary"),
        ("sources: {a: {scheme: github, tenant: acme, secret: 'secret://s'}}", "sources.a.scheme"),
        ("sources: {a: {scheme: bamboohr, secret: 'secret://s'}}", "sources.a.tenant"),
        ("sources: {a: {scheme: bamboohr, tenant: acme}}", "either secret or secrets"),
        ("sources: {A: {scheme: bamboohr, tenant: acme, secret: 'secret://s'}}", "sources.A"),
        ("sources: {a: {scheme: bamboohr, tenant: acme, secret: plain}}", "secret://name"),
        ("sources: {a: {scheme: bamboohr, tenant: acme, secret: 'secret://none'}}", "no secret 'none'"),
        ("sources: {a: {scheme: bamboohr, tenant: acme, secret: 'secret://empty'}}", "is empty"),
        ("sources: {a: {scheme: standard, tenant: acme, secret: 'secret://s'}}", "base64"),
        ("sources: {a: {scheme: bamboohr, tenant: acme, secret: 'secret://s', extra: 1}}", "extra"),
        ("tokens: [{tenant: acme, token: 'secret://empty'}]", "tokens.0"),
        ("tokens: [{tenant: acme, token: 'secret://s'}, {tenant: other, token: 'secret://s'}]", "the same token"),
        ("tokens: [{tenant: acme, token: 'secret://s'}, {tenant: acme, token: 'secret://s', user: a}]", "same token"),
        ('tokens: [{tenant: acme, token: "secret://s", user: "a\\u0001"}]', "tokens.0.user"),
    ],
)
async def test_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(text)
    for name, value in {"acme/s": "!", "other/s": "!", "acme/empty": "\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value)
    with pytest.raises(SourcesInvalid, match=message) as caught:
        await sources.load(file, SecretFiles(tmp_path), 300)
    assert str(file) in str(caught.value)


async def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourcesInvalid, match="FACTOTUM_SOURCES_FILE"):
        await sources.load(tmp_path / "none.yaml", SecretFiles(tmp_path), 300)


async def test_a_rotated_secret_is_taken_up_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    file, secrets = write_sources(tmp_path)
    known = await sources.load(file, SecretFiles(secrets), 300)
    keeping = asyncio.create_task(sources.keep(known, file, SecretFiles(secrets), 300, every_seconds=0.01))
    try:
        (secrets / "acme" / "events-token").write_text("the-next-token")
        await eventually(lambda: tenant_of(known, "the-next-token") == "acme")
        assert tenant_of(known, ACME_TOKEN) == ""
        good = file.read_text()
        for broken in ("sources: [", ""):
            replace(file, broken)
            await asyncio.sleep(0.05)
            assert tenant_of(known, "the-next-token") == "acme"
        (secrets / "globex" / "events-token").write_text("not yet")
        replace(file, good.replace("bamboohr-globex:", "hr-globex:"))
        await eventually(lambda: tenant_of(known, "not yet") == "globex")
        assert known.source("hr-globex").tenant == "globex"
    finally:
        keeping.cancel()


def replace(file: Path, text: str) -> None:
    """As a whole, so that nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def tenant_of(known: sources.Sources, token: str) -> str:
    try:
        return known.sender_of(token.encode()).tenant
    except NotAuthenticated:
        return ""


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)
