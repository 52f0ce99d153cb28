"""Composition root of the bench: `python -m factotum.memory.bench --corpus C.jsonl --queries Q.jsonl`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from factotum.memory.bench import files, report
from factotum.memory.bench.trial import Trial
from factotum.memory.embedders.minilm import ModelMissing
from factotum.memory.embedders.opened import chosen
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable, InvalidRequest, StoreUnavailable
from factotum.memory.own_secrets import resolved
from factotum.memory.records import MAX_TEXT_BYTES
from factotum.memory.settings import Settings
from factotum.runtime import clock, lifespan
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known

DEPTHS = (5, 10, 20)
DEEPEST = 100
FAILED, MISUSED = 1, 2
_WARNINGS = structlog.make_filtering_bound_logger(logging.WARNING)

_REFUSALS = (
    *(ModelMissing, EmbedderUnavailable, EmbedderRefused, StoreUnavailable, InvalidRequest, OSError),
    *(UnknownSecret, SecretsUnavailable, lifespan.SettingsInvalid),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where it could not be measured, or 2 where the files cannot be used; then it says why."""
    options = _parser().parse_args(arguments)
    try:
        passages, asked = files.corpus(options.corpus), files.questions(options.queries)
    except files.Malformed as error:
        print(error, file=sys.stderr)
        return MISUSED
    if lost := files.missing(passages, asked):
        (identity, line), count = next(iter(lost.items())), len(lost)
        more = f" (and {count - 1} others)" if count > 1 else ""
        _note(f"{options.queries}:{line}: the corpus has no {identity!r}{more}: nothing finds it")
    if cut := files.cut(passages):
        first, more = cut[0], f" (and {len(cut) - 1} others)" if len(cut) > 1 else ""
        _note(
            f"{options.corpus}: the text of {first!r}{more} is longer than {MAX_TEXT_BYTES} bytes: the rest is left out"
        )
    try:
        print(asyncio.run(_run(options, passages, asked)))
    except _REFUSALS as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


async def _run(options: argparse.Namespace, passages: Sequence[files.Passage], asked: Sequence[files.Question]) -> str:
    settings = lifespan.read(Settings)
    endpoint = settings.embedding.openai
    api_key = await resolved(settings, Known(), endpoint.api_key) if endpoint else ""
    embedder = chosen(settings.embedding, api_key=api_key, now=clock.now)
    depths = sorted(set(options.k or DEPTHS))
    with tempfile.TemporaryDirectory(prefix="factotum-bench-") as folder:
        async with embedder:
            rows = await Trial(Path(folder), embedder, depths, _tell).run(passages, asked)
            if options.json:
                return report.as_json(rows, passages=len(passages), questions=len(asked), embedder=embedder.fingerprint)
            head = f"{len(passages):,} passages, {len(asked):,} questions, {embedder.fingerprint}"
            return f"{head}\n{report.table(rows)}"


def _tell(what: str, done: int, total: int) -> None:
    """On standard error: one line that changes where that is a terminal, else one line for each kind of work."""
    if sys.stderr.isatty():
        print(f"\r{what} {done:,} of {total:,}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done == total:
        _note(f"{what} {total:,}")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="factotum memory bench", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="JSON Lines: id, text, sequence, position, …")
    parser.add_argument("--queries", type=Path, required=True, help="JSON Lines: text, relevant (ids)")
    parser.add_argument("--k", type=_depth, action="append", help="of recall@k; may be repeated; 5, 10 and 20")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser


def _depth(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= DEEPEST:
        raise argparse.ArgumentTypeError(f"must be between 1 and {DEEPEST}")
    return int(text)


if __name__ == "__main__":
    # Standard output is the figures'.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr), wrapper_class=_WARNINGS)
    sys.exit(main())
