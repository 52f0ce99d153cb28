"""The people that the demo hires, one after the other."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

_PEOPLE = (
    ("Ada", "Lovelace", "Engineering", "Analyst", "Europe/London"),
    ("Grace", "Hopper", "Engineering", "Compiler Engineer", "America/New_York"),
    ("Alan", "Turing", "Engineering", "Research Engineer", "Europe/London"),
    ("Katherine", "Johnson", "Finance", "Orbital Controller", "America/New_York"),
    ("Konrad", "Zuse", "Engineering", "Hardware Engineer", "Europe/Berlin"),
    ("Hedy", "Lamarr", "Sales", "Signals Consultant", "Europe/Vienna"),
    ("Edsger", "Dijkstra", "Engineering", "Path Finder", "Europe/Amsterdam"),
    ("Margaret", "Hamilton", "Engineering", "Flight Software Lead", "America/Chicago"),
    ("Donald", "Knuth", "People", "Writer", "America/Los_Angeles"),
    ("Barbara", "Liskov", "Engineering", "Type Designer", "America/Los_Angeles"),
    ("Dennis", "Ritchie", "Engineering", "Systems Engineer", "America/New_York"),
    ("Radia", "Perlman", "Engineering", "Network Engineer", "America/Los_Angeles"),
    ("Ken", "Thompson", "Engineering", "Systems Engineer", "America/New_York"),
    ("Frances", "Allen", "Engineering", "Optimiser", "America/New_York"),
    ("Tony", "Hoare", "Engineering", "Quicksorter", "Europe/London"),
    ("Jean", "Bartik", "Engineering", "Programmer", "America/Chicago"),
    ("Niklaus", "Wirth", "Engineering", "Language Designer", "Europe/Zurich"),
    ("Karen", "Sparck Jones", "People", "Librarian", "Europe/London"),
    ("Sophie", "Wilson", "Engineering", "Instruction Designer", "Europe/London"),
    ("Leslie", "Lamport", "Finance", "Time Keeper", "America/Los_Angeles"),
    ("Shafi", "Goldwasser", "Sales", "Confidant", "Asia/Jerusalem"),
    ("Yukihiro", "Matsumoto", "Engineering", "Language Designer", "Asia/Tokyo"),
)


class Hire(BaseModel):
    """A new employee, in BambooHR's field names."""

    model_config = ConfigDict(frozen=True)

    firstName: str
    lastName: str
    workEmail: str
    department: str
    jobTitle: str
    hireDate: date
    timezone: str

    @property
    def name(self) -> str:
        return f"{self.firstName} {self.lastName}"


def next_hire(taken: Collection[str], *, tenant: str, today: date) -> Hire:
    """The next person whose address is not taken, starting on the Monday after `today`.

    When everybody is hired, they are hired again: `ada.lovelace.2@…`.
    """
    addresses = {address.casefold() for address in taken}
    monday = today + timedelta(days=7 - today.weekday())
    round_ = 1
    while True:
        for first, last, department, title, zone in _PEOPLE:
            suffix = f".{round_}" if round_ > 1 else ""
            local = f"{first}.{last}{suffix}".lower().replace(" ", "-")
            address = f"{local}@{tenant}.example"
            if address not in addresses:
                return Hire(
                    firstName=first,
                    lastName=last,
                    workEmail=address,
                    department=department,
                    jobTitle=title,
                    hireDate=monday,
                    timezone=zone,
                )
        round_ += 1
