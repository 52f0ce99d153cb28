"""What the end of a process means to the document."""

from __future__ import annotations

from factotum.connectors.process.arguments import Output, ProcessResult, Return
from factotum.sdk.errors import Failed
from factotum.sdk.processes import Ended


def output(ended: Ended, wanted: Return, *, effect_possible: bool) -> Output:
    """By `return`. Where the code is not asked for, one other than 0 is `Failed` with the last lines of stderr;
    where it is, it is data. A process that was stopped, or wrote more than it may, is `Failed` in any case."""
    if ended.stopped:
        raise Failed(f"the process {ended.stopped} and was stopped{_words(ended)}", effect_possible=effect_possible)
    if ended.code != 0 and wanted not in ("code", "all"):
        raise Failed(f"the process ended with code {ended.code}{_words(ended)}", effect_possible=effect_possible)
    if ended.stdout.overflowed or ended.stderr.overflowed:
        reason = "the process wrote more than it may: write less, or raise process.limits.output_kib"
        raise Failed(reason, effect_possible=effect_possible)
    match wanted:
        case "stdout":
            return Output(ended.stdout.text)
        case "stderr":
            return Output(ended.stderr.text)
        case "code":
            return Output(ended.code)
        case "all":
            return Output(ProcessResult(code=ended.code, stdout=ended.stdout.text, stderr=ended.stderr.text))
        case "none":
            return Output(None)


def _words(ended: Ended) -> str:
    words = ended.stderr.last_lines or ended.stdout.last_lines
    return f": {words}" if words else ""
