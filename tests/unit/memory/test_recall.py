"""What a question means and how two rankings become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_TOOL, RecallRequest, Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.recall import DEFAULT_LIMIT, MAX_LIMIT, fuse, understand


def record(identity: str, microseconds: int = 0) -> Record:
    result = Record(id=identity)
    result.created_at.FromMicroseconds(microseconds)
    return result


def ids(by_meaning: str, by_words: str, limit: int = 10) -> str:
    found = fuse([record(i) for i in by_meaning], [record(i) for i in by_words], limit)
    return "".join(recollection.record.id for recollection in found)


def test_what_both_lists_name_comes_first() -> None:
    assert ids("abcd", "xycz") == "caxbydz"
    assert ids("ab", "ba") == "ab"
    assert ids("", "ba") == "ba"
    assert ids("abc", "", limit=2) == "ab"


def test_of_two_with_the_same_score_the_newer_comes_first() -> None:
    found = fuse([record("old", 1)], [record("new", 2)], 10)
    assert [recollection.record.id for recollection in found] == ["new", "old"]


def test_an_episode_stands_before_the_observations_of_its_run() -> None:
    part, other = Record(id="part", run_id="r"), Record(id="other", run_id="s")
    episode = Record(id="whole", run_id="r", kind=KIND_EPISODE)
    found = fuse([part, other, episode], [other, part], 10)
    assert [recollection.record.id for recollection in found] == ["whole", "other", "part"]


@given(
    by_meaning=st.lists(st.sampled_from("abcdefgh"), unique=True),
    by_words=st.lists(st.sampled_from("abcdefgh"), unique=True),
    limit=st.integers(1, 10),
)
def test_each_record_is_named_once_best_first(by_meaning: list[str], by_words: list[str], limit: int) -> None:
    found = fuse([record(i) for i in by_meaning], [record(i) for i in by_words], limit)
    names = [recollection.record.id for recollection in found]
    assert len(names) == len(set(names)) == min(limit, len({*by_meaning, *by_words}))
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)


def test_a_request_is_understood() -> None:
    query = understand(RecallRequest(tenant="acme", query="q", kinds=[KIND_TOOL, KIND_EPISODE, KIND_TOOL], run_id="r"))
    assert query.scope.kinds == ("tool", "episode")
    assert query.scope.run_id == "r"
    assert query.limit == DEFAULT_LIMIT
    assert understand(RecallRequest(tenant="acme", query="q", limit=MAX_LIMIT)).candidates >= MAX_LIMIT


@pytest.mark.parametrize(
    "request_",
    [
        RecallRequest(tenant="", query="q"),
        RecallRequest(tenant='a" or tenant != "', query="q"),
        RecallRequest(tenant="acme", query=" "),
        RecallRequest(tenant="acme", query="x" * 8193),
        RecallRequest(tenant="acme", query="q", limit=-1),
        RecallRequest(tenant="acme", query="q", limit=101),
        RecallRequest(tenant="acme", query="q", kinds=[0]),
        RecallRequest(tenant="acme", query="q", run_id='r"'),
        RecallRequest(tenant="acme", query="q", run_id="r\\"),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused(request_: RecallRequest) -> None:
    with pytest.raises(InvalidRequest):
        understand(request_)
