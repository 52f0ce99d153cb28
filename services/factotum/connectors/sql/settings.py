"""What an operator says of a tenant's databases."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DatabaseName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="A database's name in the tenant's settings.")
]


def _url(text: str) -> str:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The words of the error hold the text, and with it a password.
        raise ValueError("this is no URL of a database, such as postgresql://user@host/name") from None
    if url.password is not None:
        raise ValueError("a URL holds no password: name its secret under `password`")
    if url.get_backend_name() == "sqlite" and not (url.database or "").startswith("/"):
        raise ValueError("a SQLite database is named by its whole path: sqlite:////var/lib/app.db")
    return text


class Database(BaseModel):
    """One database.

    Attributes:
        url: of SQLAlchemy, without a password. `postgresql://` is psycopg's, of which it takes the options, e.g.
            `?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem`.
        writable: `sql.execute` may change it. What its user may do there is the database's to say.
        effects_table: where `sql.execute` writes, in its own transaction, what it has done, so that nothing is
            done twice: `name` or `schema.name`. Without it an interrupted change is for a person to look into.
            Not to be named or renamed while calls are under way.
        seconds: how long a statement may take, by the database's own clock; then no other of the call begins either.
        max_rows, max_bytes: of a result; what is more is left out, and said to be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(_url)]
    password: str | None = Field(default=None, description="Reference of the secret, e.g. secret://app-database.")
    description: str = ""
    writable: bool = False
    effects_table: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?$")
    seconds: float = Field(default=15.0, gt=0, le=300)
    max_rows: int = Field(default=1000, gt=0, le=100_000)
    max_bytes: int = Field(default=1_000_000, gt=0, le=16_000_000)

    @model_validator(mode="after")
    def _a_file_has_no_password(self) -> Database:
        if self.password is not None and self.parsed.get_backend_name() == "sqlite":
            raise ValueError("a SQLite database has no password")
        return self

    @model_validator(mode="after")
    def _a_table_of_effects_is_written(self) -> Database:
        if self.effects_table is not None and not self.writable:
            raise ValueError("effects_table is for a database that is writable")
        return self

    @property
    def parsed(self) -> URL:
        url = make_url(self.url)
        return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


class SqlSettings(BaseModel):
    """The databases by the names that calls use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    databases: dict[DatabaseName, Database]
