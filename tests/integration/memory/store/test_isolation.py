"""No tenant finds another's records, whatever stands in any string; and what is kept comes back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import Place, Provenance, Record
from factotum.memory.errors import InvalidRequest
from factotum.memory.records import KINDS, completed, normal
from factotum.memory.store.port import Burial, Entry, Scope, Store, Stretch
from tests.support.stores import NOW, ids, vector

TENANTS = ("acme", "globex", "a", "a-b")
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
RUN = st.sampled_from(["", "r1", "acme.p.1"])


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Record]:
    tenant = draw(st.sampled_from(TENANTS))
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
    return tenant, completed(tenant, record, NOW)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(written(), min_size=1, max_size=6), label=LABEL, words=TEXT, run=RUN)
async def test_no_tenant_finds_anothers_and_all_comes_back(
    each: Store, batch: list[tuple[str, Record]], label: str, words: str, run: str
) -> None:
    await each.upsert(
        [Entry(tenant, record, f"{tenant} {record.text}", vector(n)) for n, (tenant, record) in enumerate(batch)]
    )
    for tenant in TENANTS:
        own = {record.id: record for owner, record in batch if owner == tenant}
        assert await each.get(tenant, list(own)) == own
        everything = {record.id: record async for record in each.records(Scope(tenant=tenant, history=True))}
        assert own.items() <= everything.items()
        for scope in scopes(tenant, label, run, [record for _, record in batch]):
            expected = {record.id for record in everything.values() if fits(record, scope)}
            by_meaning, by_words = await each.search(scope, vector(), f"hello {words}", 1000)
            assert set(ids(by_meaning)) == set(ids(by_words)) == expected, scope
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


def scopes(tenant: str, label: str, run: str, batch: list[Record]) -> list[Scope]:
    """One for each part that a scope has, with what was written and with what was not."""
    subjects = [subject for record in batch for subject in record.subjects]
    documents = [record.provenance.document for record in batch if record.provenance.document]
    return [
        Scope(tenant=tenant, run_id=run, history=True),
        Scope(tenant=tenant, subjects=(label or "x", *subjects[:1])),
        Scope(tenant=tenant, document=(documents or [label])[0], alive_at=NOW),
    ]


def fits(record: Record, scope: Scope) -> bool:
    subjects = set(map(normal, scope.subjects))
    return (
        (not scope.run_id or record.run_id == scope.run_id)
        and (not scope.subjects or bool(subjects & set(map(normal, record.subjects))))
        and (not scope.document or record.provenance.document == scope.document)
    )


@pytest.mark.parametrize("injected", [text for text in INJECTED if text != "acme"])
async def test_what_could_be_a_filter_is_no_tenant(each: Store, injected: str) -> None:
    with pytest.raises(InvalidRequest):
        await each.search(Scope(tenant=injected), vector(), "hello", 10)
