"""No tenant finds another's records, whatever stands in any string; and what is kept comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import Place, Provenance, Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import KINDS, completed, normal
from factotum.memory.store.in_memory import InMemoryStore
from factotum.memory.store.port import Burial, Entry, Scope, Store, Stretch
from tests.support.stores import NOW, ids, vector

# Names that begin and end alike, and any others.
TENANT = st.one_of(
    st.sampled_from(["acme", "globex", "a", "a-b"]), st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
)
INJECTED = (
    '" or tenant != "', "' or 1 == 1 or '", '\\" or key > "', '\\', '"', "x\\", '") or (tenant like "%',
    "{tenant}", "%", "_", "acme", '"] or tenant in ["acme", "globex", "a', "null or", "\u2028", "X\u0301", "--", ";",
)  # fmt: skip
# Labels hold no control characters; a text may.
LABEL = st.one_of(
    st.sampled_from(INJECTED),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    st.builds("{}{}".format, st.sampled_from(INJECTED), st.text("ab\"'\\ ", max_size=5)),
)
TEXT = st.one_of(LABEL, st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.just('line\n" or\r\n"'))
VALUE = st.one_of(LABEL, st.integers(-(2**40), 2**40), st.booleans(), st.none())
RUN = st.one_of(
    st.sampled_from(["", "r1", "acme.p.1"]), st.from_regex(r"[a-z0-9]{1,8}\.[a-z0-9-]{1,8}", fullmatch=True)
)
MOMENT = st.integers(-2, 2).map(lambda days: NOW + timedelta(days=days))


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Record]:
    tenant = draw(TENANT)
    sequence = draw(LABEL)
    record = Record(
        id=draw(LABEL),
        kind=draw(st.sampled_from(sorted(KINDS))),  # type: ignore[arg-type]
        text=f"hello {draw(TEXT)}",
        run_id=draw(RUN),
        origin=draw(LABEL),
        attributes_json=json.dumps(draw(st.dictionaries(LABEL, VALUE, max_size=3))),
        subjects=[subject for subject in draw(st.lists(LABEL, max_size=3)) if subject.strip()],
        topic=draw(LABEL),
        place=Place(sequence=sequence, position=draw(st.integers(-9, 9)) if sequence else 0, speaker=draw(LABEL)),
        provenance=Provenance(
            step=draw(LABEL), document=draw(LABEL), section=draw(LABEL), person=draw(LABEL),
            folded_from=draw(st.lists(LABEL, max_size=2)),
        ),
    )  # fmt: skip
    record.created_at.FromDatetime(draw(MOMENT))
    if draw(st.booleans()):
        record.expires_at.FromDatetime(NOW + timedelta(days=draw(st.integers(3, 5))))
    return tenant, completed(tenant, record, NOW)


@st.composite
def narrowed(draw: st.DrawFn, batch: list[Record]) -> Callable[[str], Scope]:
    """A scope of any tenant: one or two of its parts, of one of the records or anything; more would find nothing."""
    some = st.sampled_from(batch)
    subjects = [subject for record in batch for subject in record.subjects]
    subject = st.one_of(*[st.sampled_from(subjects)] * bool(subjects), LABEL.filter(lambda label: bool(label.strip())))
    parts: dict[str, st.SearchStrategy[Any]] = {
        "kinds": st.sets(st.sampled_from(sorted(KINDS.values())), max_size=3).map(tuple),
        "subjects": st.lists(subject, max_size=2).map(tuple),
        "run_id": st.one_of(some.map(lambda record: record.run_id), RUN),
        "document": st.one_of(some.map(lambda record: record.provenance.document), LABEL),
        "contents": st.lists(some.map(lambda record: record.content_sha256), max_size=2).map(tuple),
        "after": MOMENT,
        "before": MOMENT,
        "alive_at": st.integers(0, 6).map(lambda days: NOW + timedelta(days=days)),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(parts)), min_size=1, max_size=2))
    narrow = {name: draw(parts[name]) for name in sorted(chosen)}
    return lambda tenant: Scope(tenant=tenant, history=True, **narrow)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_tenant_of_the_double_finds_anothers(data: st.DataObject) -> None:
    await look_everywhere(InMemoryStore(), data)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_tenant_finds_anothers_and_all_comes_back(each: Store, data: st.DataObject) -> None:
    await look_everywhere(each, data)


async def look_everywhere(each: Store, data: st.DataObject) -> None:
    batch = data.draw(st.lists(written(), min_size=1, max_size=6))
    label, words = data.draw(LABEL), data.draw(TEXT)
    narrow = data.draw(st.lists(narrowed([record for _, record in batch]), min_size=1, max_size=3))
    tenants = {tenant for tenant, _ in batch} | {data.draw(TENANT)}
    await each.upsert(
        [Entry(tenant, record, f"{tenant} {record.text}", vector(n)) for n, (tenant, record) in enumerate(batch)]
    )
    for tenant in sorted(tenants):
        own = {record.id: record for owner, record in batch if owner == tenant}
        assert await each.get(tenant, list(own)) == own
        everything = {record.id: record async for record in each.records(Scope(tenant=tenant, history=True))}
        assert own.items() <= everything.items()
        for scope in [one(tenant) for one in narrow]:
            expected = {record.id for record in everything.values() if fits(record, scope)}
            by_meaning, by_words = await each.search(scope, vector(), f"hello {words}", 1000)
            assert set(ids(by_meaning)) == set(ids(by_words)) == expected, scope
            assert {record.id async for record in each.records(scope)} == expected, scope
            assert sum((await each.count(scope)).values()) == len(expected), scope
        sequences = {record.place.sequence for _, record in batch} | {label}
        stretches = [Stretch(sequence, -9, 9) for sequence in sequences]
        places = await each.stretches(Scope(tenant=tenant), stretches)
        assert set(ids(places)) == {
            record.id for record in everything.values() if record.place.sequence in sequences - {""}
        }
        standing = await each.standing(
            Scope(tenant=tenant, history=True), [record.id for _, record in batch], stretches
        )
        assert own.items() <= {one.candidate.id: one.whole() for one in standing}.items() <= everything.items()
        stranger = f"{label}!"
        assert await each.buried(tenant, [stranger]) == {}
        assert await each.delete(tenant, [stranger]) == 0
        await each.bury(tenant, [f"{tenant}{stranger}?"], Burial.FOLDED, NOW)
        assert await each.delete(tenant, list(own)) == len(own)
        assert await each.get(tenant, list(own)) == {}


def fits(record: Record, scope: Scope) -> bool:
    subjects = set(map(normal, scope.subjects))
    return (
        (not scope.run_id or record.run_id == scope.run_id)
        and (not scope.subjects or bool(subjects & set(map(normal, record.subjects))))
        and (not scope.document or record.provenance.document == scope.document)
        and (not scope.kinds or KINDS[record.kind] in scope.kinds)
        and (not scope.contents or record.content_sha256 in scope.contents)
        and (scope.after is None or record.created_at.ToDatetime(UTC) >= scope.after)
        and (scope.before is None or record.created_at.ToDatetime(UTC) < scope.before)
        and (
            scope.alive_at is None
            or not record.HasField("expires_at")
            or record.expires_at.ToDatetime(UTC) > scope.alive_at
        )
    )


@pytest.mark.parametrize("injected", [text for text in INJECTED if text != "acme"])
async def test_what_could_be_a_filter_is_no_tenant(each: Store, injected: str) -> None:
    with pytest.raises(InvalidRequest):
        await each.search(Scope(tenant=injected), vector(), "hello", 10)
