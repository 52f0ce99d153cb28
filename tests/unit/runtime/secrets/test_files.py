from __future__ import annotations

from pathlib import Path

import pytest

from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.files import SecretFiles
from factotum.runtime.secrets.names import is_reference, name_of

USERS = ["ada", "ada@acme.example", "auth0|7", "a/../../globex", "..", ".", ".ada", "a..b", "ünïcode", "Ada", "a%2Fb"]


def put(directory: Path, place: str, text: str) -> None:
    (directory / place).parent.mkdir(parents=True, exist_ok=True)
    (directory / place).write_text(text)


async def test_a_secret_is_its_files_text_without_the_last_line_break(tmp_path: Path) -> None:
    put(tmp_path, "acme/token", "a\nb\n")
    assert await SecretFiles(tmp_path).resolve("acme", "token") == "a\nb"


@pytest.mark.parametrize(
    ("tenant", "name"),
    [("acme", "../globex/token"), ("acme", ""), ("acme", "token\n"), ("acme\n", "token"), ("..", "token"), ("", "x")],
)
async def test_only_names_are_looked_up(tmp_path: Path, tenant: str, name: str) -> None:
    for folder in ("acme", "acme\n", "globex"):
        for file in ("token", "token\n"):
            put(tmp_path, f"{folder}/{file}", "x")
    with pytest.raises(UnknownSecret, match="is not of the form"):
        await SecretFiles(tmp_path).resolve(tenant, name)


@pytest.mark.parametrize(
    "reference", ["token", "secret://", "secret://../token", "secret://token\n", " secret://token"]
)
def test_what_is_no_reference_is_not_looked_up(reference: str) -> None:
    assert not is_reference(reference)
    with pytest.raises(UnknownSecret, match="is not of the form secret://name"):
        name_of(reference)


def test_every_person_has_a_folder_of_their_own_inside_of_the_tenants(tmp_path: Path) -> None:
    files = SecretFiles(tmp_path)
    paths = [files.path("acme", "calendar", user=user) for user in USERS]
    assert len(set(paths)) == len(USERS)
    for path in paths:
        assert path.resolve().parent.parent == tmp_path.resolve() / "acme" / "users"
        assert path.resolve() == path
    assert files.path("acme", "calendar", user="ada@acme.example").parent.name == "ada@acme.example"


@pytest.mark.parametrize("user", ["a\nb", "a\x00b", "a" * 129])
def test_who_is_no_user_has_no_folder(tmp_path: Path, user: str) -> None:
    with pytest.raises(UnknownSecret, match="printable"):
        SecretFiles(tmp_path).path("acme", "calendar", user=user)


async def test_a_persons_secret_is_never_the_tenants_or_anothers(tmp_path: Path) -> None:
    put(tmp_path, "acme/calendar", "of the tenant")
    put(tmp_path, "acme/users/grace/calendar", "of grace")
    files = SecretFiles(tmp_path)
    assert await files.resolve("acme", "calendar", user="grace") == "of grace"
    with pytest.raises(UnknownSecret) as caught:
        await files.resolve("acme", "calendar", user="ada")
    assert str(caught.value) == f"ada of tenant acme has no secret 'calendar': put its value into {caught.value.place}"
    assert caught.value.place == str(tmp_path / "acme/users/ada/calendar")
    with pytest.raises(UnknownSecret):  # the folder of people is no secret of the tenant
        await files.resolve("acme", "users")


async def test_what_cannot_be_read_now_may_be_later_and_shows_nothing_of_itself(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/token").write_bytes(b"hunter2\xff")
    with pytest.raises(SecretsUnavailable, match="not UTF-8") as caught:
        await SecretFiles(tmp_path).resolve("acme", "token")
    assert caught.value.__cause__ is None and "hunter2" not in str(caught.value)
    (tmp_path / "acme/token").unlink()
    (tmp_path / "acme/token").symlink_to("token")
    with pytest.raises(SecretsUnavailable, match="cannot be read"):
        await SecretFiles(tmp_path).resolve("acme", "token")
