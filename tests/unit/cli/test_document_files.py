"""Which files of a folder are documents, and which documents a folder has lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factotum.cli.document_files import Folder, folder, named_file
from factotum.cli.errors import BadInput
from factotum.documents.errors import Unreadable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "docs #1"
    for name in (
        "b.md", "a.MD", "deep/c.pdf", "deep/er/d.yaml", "logo.png", "LICENSE", ".hidden.md", ".git/e.md", "CVS/f.md",
        "node_modules/g.md", "deep/.cache/h.md",
    ):  # fmt: skip
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "outside.md").write_text("x")
    (made / "link.md").symlink_to(tmp_path / "outside.md")
    (made / "inner.md").symlink_to(made / "b.md")
    (made / "around").symlink_to(tmp_path)
    os.mkfifo(made / "pipe.md")
    return made


def names(found: Folder) -> list[str]:
    return [source.path.relative_to(found.root).as_posix() for source in found.files]


@pytest.mark.parametrize(
    ("include", "found"),
    [
        ([], ["a.MD", "b.md", "deep/c.pdf", "deep/er/d.yaml"]),
        (["*.md"], ["b.md"]),
        (["deep/*"], ["deep/c.pdf", "deep/er/d.yaml"]),
        (["deep/*.pdf", "LICENSE"], ["LICENSE", "deep/c.pdf"]),
        (["nothing"], []),
    ],
)
def test_files_of_a_folder(root: Path, include: list[str], found: list[str]) -> None:
    files = folder(root, include)
    assert names(files) == found
    assert all(source.asked == bool(include) for source in files.files)


def test_a_folder_that_is_a_link_is_the_one_that_it_leads_to(root: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(root)
    assert [each.uri for each in folder(tmp_path / "way", []).files] == [each.uri for each in folder(root, []).files]


def test_what_a_folder_has_lost(root: Path) -> None:
    found = folder(root, [])
    (root / "b.md").unlink()
    uris = {source.path.name: source.uri for source in found.files}
    assert "%20" in uris["b.md"] and "%23" in uris["b.md"]
    assert [name for name, uri in uris.items() if found.has_lost(uri)] == ["b.md"]
    assert not found.has_lost(uris["b.md"].replace("docs", "other"))
    assert not found.has_lost("https://acme.example/b.md")
    # What a folder would not be asked for is not lost by it.
    base = root.as_uri()
    assert not found.has_lost(f"{base}/.hidden/gone.md")
    assert not found.has_lost(f"{base}/gone.png")
    assert not folder(root, ["*.pdf"]).has_lost(uris["b.md"])
    assert found.has_lost(f"{base}/deep/gone.txt")


def test_a_folder_that_cannot_be_read_has_lost_nothing(root: Path) -> None:
    found = Folder(root, (), (), closed=("deep",))
    assert not found.has_lost(f"{root.as_uri()}/deep/gone.md")
    assert found.has_lost(f"{root.as_uri()}/deeper/gone.md")


def test_a_folder_that_cannot_be_read_is_told_if_it_would_be_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith(("deep", ".git")):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert folder(root, []).closed == ("deep",)


@pytest.mark.parametrize("name", ["nowhere.md", "pipe.md", "deep"])
def test_what_is_no_file_is_said(root: Path, name: str) -> None:
    with pytest.raises(BadInput, match="neither a file nor a folder nor a URL"):
        named_file(root / name)


async def test_a_file_that_goes_meanwhile_is_said(root: Path) -> None:
    source = named_file(root / "b.md")
    (root / "b.md").unlink()
    with pytest.raises(Unreadable, match="No such file"):
        await source.content()


async def test_a_huge_file_is_not_even_opened(root: Path) -> None:
    with (root / "b.md").open("wb") as file:
        file.truncate(1024**4)
    with pytest.raises(Unreadable, match="1099511627776 bytes, and at most"):
        await named_file(root / "b.md").content()
