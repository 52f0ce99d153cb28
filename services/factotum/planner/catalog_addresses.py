"""Where the functions of catalogs lie. Source: DSL 1.0.3, "Catalogs" and "Creating a Custom Function"."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

FILE = "function.yaml"
_CALL = re.compile(r"(?P<name>[^:@]+):(?P<version>[^:@]+)@(?P<catalog>[^:@]+)")
_DOCUMENT = re.compile(r"\.(?:ya?ml|json)$")


def parts(call: str) -> tuple[str, str, str] | None:
    """Name, version and catalog of `name:version@catalog`; None for any other call."""
    found = _CALL.fullmatch(call)
    return None if found is None else (found["name"], found["version"], found["catalog"])


def of_function(endpoint: str, name: str, version: str) -> str:
    """The address of a function of the catalog at `endpoint`."""
    split = urlsplit(endpoint)
    path = f"{split.path.rstrip('/')}/functions/{name}/{version}/{FILE}"
    return raw(urlunsplit(split._replace(path=path)))


def of_url(call: str) -> str:
    """The address that a call by URL means: of a document as it stands, of a folder its `function.yaml`.

    `@ref` behind a folder of a GitHub repository is the branch, tag or commit.
    """
    split = urlsplit(call)
    if _DOCUMENT.search(split.path):
        return raw(call)
    path, _, ref = split.path.rstrip("/").partition("@")
    segments = path.strip("/").split("/")
    if split.netloc == "github.com" and len(segments) > 2 and segments[2] not in ("tree", "blob"):
        path = "/".join(("", *segments[:2], "tree", ref or "HEAD", *segments[2:]))
    return raw(urlunsplit(split._replace(path=f"{path}/{FILE}")))


def raw(url: str) -> str:
    """The address of the file itself where `url` is that of a page about it on GitHub or GitLab."""
    split = urlsplit(url)
    if split.netloc == "github.com":
        return urlunsplit(_github(split))
    if "/-/" in split.path:
        return urlunsplit(split._replace(path=re.sub(r"/-/(?:tree|blob)/", "/-/raw/", split.path, count=1)))
    if split.netloc == "gitlab.com" and "/functions/" in split.path:
        project, _, rest = split.path.partition("/functions/")
        return urlunsplit(split._replace(path=f"{project}/-/raw/HEAD/functions/{rest}"))
    return url


def _github(split: SplitResult) -> SplitResult:
    owner, repository, *rest = split.path.strip("/").split("/")
    # GitHub takes a branch, a tag and a commit alike; without one, the default branch is meant.
    kept = rest[1:] if rest and rest[0] in ("tree", "blob", "raw") else ["HEAD", *rest]
    return split._replace(netloc="raw.githubusercontent.com", path="/".join(("", owner, repository, *kept)))
