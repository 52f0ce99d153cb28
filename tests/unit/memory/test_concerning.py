from __future__ import annotations

import pytest

from factotum.api.memory.v1.memory_pb2 import Place, Provenance, Record
from factotum.memory.concerning import Concerns, checked_identifiers
from factotum.memory.errors import InvalidRequest

ADA = "ada@acme.example"


@pytest.mark.parametrize(
    "record",
    [
        Record(subjects=["ada@acme.example"]),
        Record(subjects=["ADA@acme.example"]),
        Record(text="A mail went to Ada@Acme.example."),
        Record(text="To: <ada@acme.example>, Bob"),
        Record(text="mailto:ada@acme.example"),
        Record(attributes_json='{"arguments": {"to": ["ada@acme.example"]}}'),
        Record(attributes_json='{"ada@acme.example": 1}'),
        Record(origin="ada@acme.example"),
        Record(id="welcome/ada@acme.example"),
        Record(topic="mail of ada@acme.example"),
        Record(place=Place(speaker="ada@acme.example")),
        Record(place=Place(sequence="chat/ada@acme.example")),
        Record(provenance=Provenance(person="ada@acme.example")),
        Record(provenance=Provenance(document="file:///hr/ada@acme.example")),
        Record(text="\uff41\uff44\uff41@acme.example in wide letters"),
    ],
)
def test_a_record_that_names_the_person_anywhere_concerns_it(record: Record) -> None:
    assert Concerns(checked_identifiers([ADA]))(record)


@pytest.mark.parametrize(
    "text",
    [
        "cada@acme.example",
        "x.ada@acme.example",
        "ada+x@acme.example",
        "ada@acme.example.org",
        "ada@acme.examples",
        "bob@acme.example",
        "ada@acme",
    ],
)
def test_another_address_does_not(text: str) -> None:
    record = Record(text=f"A mail went to {text} at once", subjects=[text])
    assert not Concerns(checked_identifiers([ADA]))(record)


def test_a_number_is_not_found_within_another() -> None:
    concerned = Concerns(checked_identifiers(["E-1042", "1042"]))
    assert concerned(Record(text="employee 1042, again"))
    assert concerned(Record(attributes_json='{"employee": 1042}'))
    assert not concerned(Record(text="employee 10423 and 91042 and 1042.5 and 7.1042"))


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        (ADA, "-ada@acme.example"),
        (ADA, "confirm?m=ada%40acme.example&x=1"),
        ("4711", "employee-4711"),
        ("4711", "EMP_4711, badge"),
        ("E-4711", "e_4711"),
        ("Ada Lovelace", "Lovelace, Ada"),
        ("Ada Lovelace", "Ada-Lovelace"),
        ("Ada Lovelace", "ada_lovelace.pdf"),
        ("Ada Lovelace", "hr.update with first name Ada, last name Lovelace, salary 1"),
        ("Ada King Lovelace", "King, Ada (born Lovelace)"),
    ],
)
def test_a_name_is_known_in_its_other_forms(identifier: str, text: str) -> None:
    assert Concerns(checked_identifiers([identifier]))(Record(text=text))


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("Ada Lovelace", "Ada wrote to six other people of whom the last was Lovelace"),
        ("Ada Lovelace", "Ada Smith"),
        ("E-4711", "4711 E"),
        ("4711", "47110 and 4711.5"),
    ],
)
def test_what_only_looks_like_it_is_not(identifier: str, text: str) -> None:
    assert not Concerns(checked_identifiers([identifier]))(Record(text=text))


def test_one_of_several_names_is_enough() -> None:
    concerned = Concerns(checked_identifiers(["ada@acme.example", "Ada  Lovelace"]))
    assert concerned(Record(text="A laptop for Ada Lovelace"))
    assert concerned(Record(text="A laptop for ADA\nLOVELACE"))


def test_a_short_one_is_looked_for_among_the_subjects_alone() -> None:
    concerned = Concerns(checked_identifiers(["7"]))
    assert concerned(Record(subjects=["7"]))
    assert not concerned(Record(text="7 mails in 7 s", attributes_json='{"count": 7}'))


@pytest.mark.parametrize(
    "given", [[], [" "], ["ada@acme.example", ""], ["x" * 257], [f"person-{n}" for n in range(33)]]
)
def test_what_singles_nobody_out_is_refused(given: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="subjects"):
        checked_identifiers(given)


def test_what_a_regular_expression_would_take_for_its_own_is_text() -> None:
    assert not Concerns(checked_identifiers(["a.*@x.example"]))(Record(text="ada@x.example"))
    assert Concerns(checked_identifiers(["a.*@x.example"]))(Record(text="see a.*@x.example there"))
    assert not Concerns(checked_identifiers(["..."]))(Record(text="abc"))
