from __future__ import annotations

from pathlib import Path

import pytest

from factotum.runtime.secrets import SecretDirectory, UnknownSecret


def test_a_secret_is_its_files_text_without_the_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "token").write_text("a\nb\n")
    assert SecretDirectory(tmp_path).resolve("acme", "secret://token") == "a\nb"


@pytest.mark.parametrize(
    ("tenant", "reference"),
    [
        ("acme", "token"),
        ("acme", "secret://../globex/token"),
        ("acme", "secret://"),
        ("acme", "secret://token\n"),
        ("acme\n", "secret://token"),
        ("..", "secret://token"),
    ],
)
def test_only_names_are_looked_up(tmp_path: Path, tenant: str, reference: str) -> None:
    for folder in ("acme", "acme\n"):
        (tmp_path / folder).mkdir()
        for name in ("token", "token\n"):
            (tmp_path / folder / name).write_text("x")
    with pytest.raises(UnknownSecret, match="is not of the form"):
        SecretDirectory(tmp_path).resolve(tenant, reference)
