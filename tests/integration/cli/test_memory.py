from __future__ import annotations

import json
from datetime import UTC, datetime

import grpc
import pytest
from typer.testing import CliRunner

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs

RECORD = pb.Record(id="r1", kind=pb.KIND_PREFERENCE, text="Ada wants UTC", subjects=["ada@acme.example"])
RECEIPT = pb.Receipt(id="receipt-1", removed={"observation": 3, "episode": 1}, derived=1, searches=9)


@pytest.fixture
def forgets(parts: Stubs) -> Stubs:
    parts.memory.answers["Forget"] = pb.ForgetResponse(receipt=RECEIPT)
    return parts


def test_search_narrows_and_says_why(runner: CliRunner, parts: Stubs) -> None:
    why = pb.Why(meaning_rank=2, meaning_score=0.71, words_rank=1, words_score=8.4, relevance=0.8, recency=0.1)
    beside = pb.Why(neighbour_of="r1")
    parts.memory.answers["Recall"] = pb.RecallResponse(
        recollections=[
            pb.Recollection(record=RECORD, score=0.9, why=why),
            pb.Recollection(record=pb.Record(id="r2", kind=pb.KIND_DOCUMENT), why=beside),
        ]
    )
    result = runner.invoke(
        app,
        [
            *("memory", "search", "zone of ada", "--subject", "ada@acme.example", "--after", "2026-11-01T00:00:00"),
            *("--budget", "500", "--history", "--why"),
        ],
    )
    assert "meaning #2 (0.71), words #1 (8.40); relevance 0.800 + recency 0.100" in result.stdout
    assert "beside r1" in result.stdout
    expected = pb.RecallRequest(
        tenant="acme", query="zone of ada", limit=10, subjects=["ada@acme.example"], budget_tokens=500, history=True
    )
    expected.after.FromDatetime(datetime.fromisoformat("2026-11-01T00:00:00").astimezone())
    assert parts.memory.requests == [expected]


@pytest.mark.parametrize("moment", ["2026-11-20T10:00:00Z", "2026-11-20T10:00:00.25+01:00"])
def test_a_moment_may_be_what_json_prints(runner: CliRunner, parts: Stubs, moment: str) -> None:
    parts.memory.answers["Recall"] = pb.RecallResponse()
    assert runner.invoke(app, ["memory", "search", "x", "--after", moment]).exit_code == 0
    assert parts.memory.requests[-1].after.ToDatetime(tzinfo=UTC) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("command", [["search", "x"], ["list"]])
def test_after_is_before_before(runner: CliRunner, parts: Stubs, command: list[str]) -> None:
    result = runner.invoke(app, ["memory", *command, "--after", "2026-11-20", "--before", "2026-11-19"])
    assert result.exit_code == 2 and "--after must be earlier" in result.stderr
    assert parts.memory.requests == []


def test_what_was_superseded_is_marked(runner: CliRunner, parts: Stubs) -> None:
    old = pb.Record(id="r0", kind=pb.KIND_PREFERENCE, text="Ada wants CET")
    old.superseded_at.FromDatetime(datetime(2026, 11, 20, 10).astimezone())
    parts.memory.answers["Recall"] = pb.RecallResponse(
        recollections=[pb.Recollection(record=record, score=0.9) for record in (RECORD, old)]
    )
    result = runner.invoke(app, ["memory", "search", "zone", "--history"], env={"COLUMNS": "200"})
    assert "superseded" in result.stdout and result.stdout.count("2026-11-20 10:00:00") == 1
    assert "superseded" not in runner.invoke(app, ["memory", "search", "zone"], env={"COLUMNS": "200"}).stdout


def test_what_is_longer_than_the_budget_is_told(runner: CliRunner, parts: Stubs) -> None:
    found = [pb.Recollection(record=RECORD, score=0.9, tokens=tokens) for tokens in (9, 7)]
    parts.memory.answers["Recall"] = [pb.RecallResponse(), pb.RecallResponse(recollections=found)]
    result = runner.invoke(app, ["memory", "search", "zone", "--budget", "1"])
    assert result.stderr == "2 hits are longer than --budget 1: the shortest has 7 tokens\n"
    assert [request.budget_tokens for request in parts.memory.requests] == [1, 0]


def test_ids_that_are_not_there_are_told(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers["Forget"] = pb.ForgetResponse(receipt=pb.Receipt(searches=1))
    result = runner.invoke(app, ["memory", "forget", "--id", "nonsense", "--yes"])
    assert result.stdout == "no record with such an id is kept; should one come, it will be refused\n"


def test_nothing_in_a_record_is_markup_or_steers_the_terminal(runner: CliRunner, parts: Stubs) -> None:
    foreign = "[red]x[/] [/no]"
    record = pb.Record(
        id=f"{foreign}\x1b[2J", kind=pb.KIND_DOCUMENT, text=f"{foreign}\x9b2J\u202e", run_id=foreign, subjects=[foreign]
    )
    found = pb.Recollection(record=record, why=pb.Why(neighbour_of=foreign))
    record.provenance.folded_from.append("a")
    fold = pb.Folding(into=record, rule="repeated")
    parts.memory.answers |= {
        "Recall": pb.RecallResponse(recollections=[found]),
        "ListRecords": pb.ListRecordsResponse(records=[record]),
        "ListReceipts": pb.ListReceiptsResponse(receipts=[pb.Receipt(id=foreign)]),
        "Consolidate": pb.ConsolidateResponse(foldings=[fold]),
    }
    for arguments, times in (
        (["search", "x", "--why"], 3),
        (["list"], 3),
        (["receipts"], 1),
        (["consolidate", "--dry-run"], 1),
    ):
        result = runner.invoke(app, ["memory", *arguments], env={"COLUMNS": "300"})
        assert (result.exit_code, result.stdout.count(foreign)) == (0, times), result.output
        assert not set("\x1b\x9b\u202e") & set(result.stdout)
        result = runner.invoke(app, ["memory", *arguments, "--json"])
        assert not set("\x1b\x9b\u202e") & set(result.stdout)


def test_what_is_empty_is_told_in_words(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers |= {
        "ListReceipts": pb.ListReceiptsResponse(),
        "Status": pb.StatusResponse(embedder="e"),
        "Consolidate": pb.ConsolidateResponse(folded=1),
    }
    receipts = runner.invoke(app, ["memory", "receipts"])
    assert (receipts.stdout, receipts.stderr) == ("", "nothing was forgotten yet\n")
    assert "nothing is kept yet" in runner.invoke(app, ["memory", "status"]).stdout
    assert runner.invoke(app, ["memory", "consolidate"]).stdout == "1 record folded, 0 expired let go\n"


def test_list(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers["ListRecords"] = pb.ListRecordsResponse(records=[RECORD], next_page_token="t")
    result = runner.invoke(app, ["memory", "list", "--kind", "preference", "--history"])
    assert "Ada wants UTC" in result.stdout and "ada@acme.example" in result.stdout
    assert "there are more" in result.stderr
    assert parts.memory.requests == [
        pb.ListRecordsRequest(tenant="acme", kinds=[pb.KIND_PREFERENCE], history=True, limit=50)
    ]


def test_export_prints_a_record_a_line(runner: CliRunner, parts: Stubs) -> None:
    answers = [pb.ExportResponse(record=RECORD), pb.ExportResponse(record=pb.Record(id="r2"))]
    parts.memory.answers["Export"] = [answers]
    result = runner.invoke(app, ["memory", "export", "--subject", "ada@acme.example"])
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["r1", "r2"]
    assert "2 records" in result.stderr


def test_forget_asks_first_and_shows_the_receipt(runner: CliRunner, forgets: Stubs) -> None:
    arguments = ["memory", "forget", "--subject", "ada@acme.example"]
    refused = runner.invoke(app, arguments, input="n\n")
    assert refused.exit_code == 1
    assert [request.dry_run for request in forgets.memory.requests] == [True]
    result = runner.invoke(app, arguments, input="y\n")
    assert "1 episode, 3 observation" in result.stdout
    assert "9 searches afterwards found nothing; receipt receipt-1" in result.stdout
    assert [request.dry_run for request in forgets.memory.requests] == [True, True, False]


def test_forget_does_not_ask_where_it_is_told_so(runner: CliRunner, forgets: Stubs) -> None:
    result = runner.invoke(app, ["memory", "forget", "--id", "r1", "--id", "r2", "--yes", "--json"])
    assert json.loads(result.stdout)["removed"] == {"observation": 3, "episode": 1}
    assert forgets.memory.requests == [pb.ForgetRequest(tenant="acme", ids=["r1", "r2"])]


@pytest.mark.parametrize(("behind", "words"), [(40, "40 messages were not read yet"), (-1, "nobody knows")])
def test_what_is_still_to_be_read_is_told(runner: CliRunner, forgets: Stubs, behind: int, words: str) -> None:
    forgets.memory.answers["Forget"] = pb.ForgetResponse(receipt=RECEIPT, behind=behind)
    result = runner.invoke(app, ["memory", "forget", "--subject", "ada@acme.example", "--yes"])
    assert result.exit_code == 1 and "receipt-1" in result.stdout and words in result.stderr
    assert runner.invoke(app, ["memory", "forget", "--id", "r1", "--yes"]).exit_code == 0


def test_a_dry_run_forgets_nothing(runner: CliRunner, forgets: Stubs) -> None:
    result = runner.invoke(app, ["memory", "forget", "--subject", "ada@acme.example", "--dry-run"])
    assert "would be forgotten" in result.stdout
    assert [request.dry_run for request in forgets.memory.requests] == [True]


@pytest.mark.parametrize("arguments", [[], ["--subject", "ada@acme.example", "--id", "r1"]])
def test_forget_wants_to_know_what(runner: CliRunner, forgets: Stubs, arguments: list[str]) -> None:
    result = runner.invoke(app, ["memory", "forget", *arguments])
    assert result.exit_code == 2 and "--subject" in result.stderr
    assert forgets.memory.requests == []


def test_what_the_memory_refuses_is_told(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers["Forget"] = (grpc.StatusCode.INVALID_ARGUMENT, "subjects: 'ab' names too much")
    result = runner.invoke(app, ["memory", "forget", "--subject", "ab", "--yes"])
    assert result.exit_code == 2 and "names too much" in result.stderr


def test_receipts(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers["ListReceipts"] = pb.ListReceiptsResponse(receipts=[RECEIPT])
    assert "receipt-1" in runner.invoke(app, ["memory", "receipts"]).stdout


def test_consolidate_shows_what_becomes_of_what(runner: CliRunner, parts: Stubs) -> None:
    into = pb.Record(id="e1", kind=pb.KIND_EPISODE, text="mail.send failed 5 times")
    into.provenance.folded_from.extend("abcde")
    folding = pb.Folding(tenant="acme", into=into, rule="repeated")
    parts.memory.answers["Consolidate"] = pb.ConsolidateResponse(foldings=[folding], folded=5, expired=2, dry_run=True)
    result = runner.invoke(app, ["memory", "consolidate", "--dry-run"])
    assert "episode: mail.send failed 5 times" in result.stdout
    assert "5 records would be folded, 2 expired would be let go" in result.stdout
    assert parts.memory.requests == [pb.ConsolidateRequest(tenant="acme", dry_run=True)]


def test_consolidate_shows_what_goes_and_what_was_not_done(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers["Consolidate"] = pb.ConsolidateResponse(
        expired=1,
        withdrawn=1,
        left=2,
        let_go=[pb.LetGo(tenant="acme", id="p1", kind=pb.KIND_PREFERENCE, why="withdrawn")],
        problems=[pb.ConsolidateProblem(tenant="acme", id="e1", reason="refused: noise")],
    )
    result = runner.invoke(app, ["memory", "consolidate", "--dry-run"])
    assert ["withdrawn", "preference", "p1"] in [line.split() for line in result.stdout.splitlines()]
    assert "1 broken habit would be withdrawn, 2 folded before would be removed" in result.stdout
    assert "not done: e1: refused: noise" in result.stderr


def test_status(runner: CliRunner, parts: Stubs) -> None:
    parts.memory.answers["Status"] = pb.StatusResponse(
        records={"episode": 12},
        embedder="minilm/int8",
        schema_version=2,
        lag=-1,
        refused={"noise": 4},
        warnings=["look at it"],
    )
    result = runner.invoke(app, ["memory", "status"])
    for expected in ("episode", "12", "not known", "4 noise", "minilm/int8"):
        assert expected in result.stdout
    assert "under way" in result.stderr
    assert "look at it" in result.stderr
    assert json.loads(runner.invoke(app, ["memory", "status", "--json"]).stdout)["refused"] == {"noise": 4}


def test_reindex_says_from_which_embedder_to_which(runner: CliRunner, parts: Stubs) -> None:
    told = [pb.ReindexProgress(done=n, total=4, from_embedder="old", to_embedder="new") for n in (0, 2, 4)]
    parts.memory.answers["Reindex"] = [told]
    assert "4 records: old → new" in runner.invoke(app, ["memory", "reindex"]).stdout
    assert json.loads(runner.invoke(app, ["memory", "reindex", "--json"]).stdout)["done"] == 4


def test_a_person_tells_the_memory_something(runner: CliRunner, parts: Stubs) -> None:
    kept = pb.RememberResponse(ids=["r9"], kept=[pb.Kept(result=pb.Kept.RESULT_KEPT)])
    parts.memory.answers["Remember"] = kept
    told = ["memory", "remember", "Ada wants mail at noon", "--kind", "preference", "--subject", "ada@acme.example"]
    given = ["--topic", "mail", "--importance", "0.8", "--expires", "2030-01-01", "--as", "eve"]
    result = runner.invoke(app, [*told, *given, "--json"])
    assert json.loads(result.stdout) == {"id": "r9", "result": "kept", "reason": ""}
    expected = pb.Record(
        kind=pb.KIND_PREFERENCE,
        text="Ada wants mail at noon",
        subjects=["ada@acme.example"],
        topic="mail",
        importance=0.8,
        trust=pb.TRUST_PERSON,
        provenance=pb.Provenance(person="eve"),
        origin="factotum memory remember",
    )
    expected.expires_at.FromDatetime(datetime(2030, 1, 1).astimezone())
    assert parts.memory.requests == [pb.RememberRequest(tenant="acme", records=[expected])]


@pytest.mark.parametrize(
    ("fate", "told", "code"),
    [
        (pb.Kept(result=pb.Kept.RESULT_KEPT), "remembered: r9", 0),
        (pb.Kept(result=pb.Kept.RESULT_KEPT, reason="older"), "kept as history", 0),
        (pb.Kept(result=pb.Kept.RESULT_UNCHANGED), "known already, as it is: r9", 0),
        (pb.Kept(result=pb.Kept.RESULT_REFUSED, reason="noise"), "not kept (noise): say it in words", 1),
    ],
)
def test_what_became_of_it_is_told(runner: CliRunner, parts: Stubs, fate: pb.Kept, told: str, code: int) -> None:
    parts.memory.answers["Remember"] = pb.RememberResponse(ids=["r9"], kept=[fate])
    result = runner.invoke(app, ["memory", "remember", "the office is closed in August"])
    assert told in result.output
    assert bool(result.exit_code) == bool(code)
    (record,) = parts.memory.requests[-1].records
    assert record.kind == pb.KIND_DOCUMENT and record.provenance.person


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (["  "], "give the text"),
        (["tea", "--topic", "drinks"], "add `--kind preference`"),
        (["tea", "--attributes", "{"], "--attributes is not JSON"),
        (["tea", "--attributes", "[]"], "--attributes must be an object"),
        (["tea", "--kind", "observation"], "'observation' is not one of"),
        (["tea", "--importance", "2"], "--importance"),
        (["tea", "--expires", "soon"], "does not match the format"),
    ],
)
def test_bad_words_give_advice(runner: CliRunner, parts: Stubs, given: list[str], advice: str) -> None:
    result = runner.invoke(app, ["memory", "remember", *given])
    assert result.exit_code == 2 and advice in " ".join(result.output.replace("│", " ").split())
    assert not parts.memory.requests
