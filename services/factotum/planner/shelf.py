"""Folders of procedures: YAML files that belong to every tenant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import factotum.procedures
from factotum.planner.errors import LibraryFaulty
from factotum.procedures.check import check
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse


@dataclass(frozen=True, slots=True)
class Filed:
    """A procedure as it stands in a file."""

    path: Path
    text: str
    source: Source


def packaged_folder() -> Path:
    """The procedures that come with Factotum: beside the language in an installed package, at the top
    of a checkout."""
    package = Path(factotum.procedures.__path__[0])
    installed = package / "packaged"
    return installed if installed.is_dir() else package.parents[2] / "procedures"


def read(folders: Iterable[Path]) -> list[Filed]:
    """Reads every `*.yaml` of the folders. Raises `LibraryFaulty` with all faults of all files, for two
    files with one version of one procedure, and for a folder that is not there."""
    found: dict[tuple[str, str], Filed] = {}
    folders = list(folders)
    faults = [f"{folder} is not a folder" for folder in folders if not folder.is_dir()]
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        try:
            text = path.read_text(encoding="utf-8")
            source = parse(text)
        except FaultyDocument as error:
            faults += [f"{path}:{fault}" for fault in error.faults]
            continue
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{path} cannot be read: {error}")
            continue
        faults += [f"{path}:{fault}" for fault in check(source, None)]
        key = source.document.full_name, source.document.document.version
        if key in found:
            faults.append(f"{path}: {key[0]} {key[1]} stands in {found[key].path} too")
        found[key] = Filed(path, text, source)
    if faults:
        raise LibraryFaulty("\n".join(faults))
    return list(found.values())
