"""The procedures that the planner may start, read once from folders of YAML."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import factotum.procedures
from factotum.planner.errors import LibraryFaulty
from factotum.procedures.check import check
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse


def packaged_folder() -> Path:
    """The procedures that come with Factotum: beside the language in an installed package, at the top
    of a checkout."""
    package = Path(factotum.procedures.__path__[0])
    installed = package / "packaged"
    return installed if installed.is_dir() else package.parents[2] / "procedures"


class Library:
    """Procedures by namespace/name."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = {source.document.full_name: source for source in sources}


def load(folders: Iterable[Path]) -> Library:
    """Reads every `*.yaml` of the folders. Raises `LibraryFaulty` with all faults of all files, for two
    files with one name, and for a folder that is not there."""
    found: dict[str, Source] = {}
    faults: list[str] = []
    folders = list(folders)
    faults += [f"{folder} is not a folder" for folder in folders if not folder.is_dir()]
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        try:
            source = parse(path.read_text(encoding="utf-8"))
        except FaultyDocument as error:
            faults += [f"{path}:{fault}" for fault in error.faults]
            continue
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{path} cannot be read: {error}")
            continue
        faults += [f"{path}:{fault}" for fault in check(source, None)]
        if source.document.full_name in found:
            faults.append(f"{path}: {source.document.full_name} is the name of another file's procedure too")
        found[source.document.full_name] = source
    if faults:
        raise LibraryFaulty("\n".join(faults))
    return Library(found.values())
