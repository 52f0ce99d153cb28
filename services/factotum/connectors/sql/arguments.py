"""What the tools of `sql` take and answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from factotum.connectors.sql.settings import DatabaseName

Scalar = StrictStr | StrictBool | StrictInt | StrictFloat | None

# An empty IN () is no SQL, and what stands for it elsewhere has to know the column's type.
Parameters = Annotated[
    dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Scalar | Annotated[list[Scalar], Field(min_length=1)]],
    Field(description="The values that :name stands for in the statement; a list for IN :name."),
]
Text = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100_000,
        description="One statement in the database's own SQL, with :name in the place of every value, "
        "and \\: for a colon before a word that is none.",
    ),
]


class Query(BaseModel):
    """Values belong into `parameters`, never into the text."""

    model_config = ConfigDict(extra="forbid")

    database: DatabaseName
    sql: Text
    parameters: Parameters = {}
    max_rows: int | None = Field(default=None, gt=0, description="Fewer than the database's settings allow.")


class Rows(BaseModel):
    columns: list[str]
    rows: list[dict[str, Any]] = Field(
        description="By column. Decimals and integers beyond 2^53 are text, dates ISO 8601, bytes base64."
    )
    truncated: bool = Field(description="There were more rows than may be answered.")


class Statement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sql: Text
    parameters: Parameters = {}
    expect_rows: int | None = Field(
        default=None, ge=0, description="The rows it must change; with any other number nothing at all is changed."
    )


class Change(BaseModel):
    """Statements that are carried out all or none."""

    model_config = ConfigDict(extra="forbid")

    database: DatabaseName
    statements: list[Statement] = Field(min_length=1, max_length=100)


class Changed(BaseModel):
    changed: int | None = Field(description="Rows; null where the database does not tell.")
    returned: Rows | None = Field(default=None, description="What RETURNING gives.")


class Outcome(BaseModel):
    results: list[Changed] = Field(description="Of each statement, in their order.")


class TableQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    database: DatabaseName
    schema_name: str | None = Field(default=None, description="The database's default schema where absent.")
    table: str | None = Field(default=None, description="Only this table or view.")


class Column(BaseModel):
    name: str
    type: str
    nullable: bool
    comment: str | None = None


class ForeignKey(BaseModel):
    columns: list[str]
    table: str
    table_columns: list[str]


class Table(BaseModel):
    name: str
    columns: list[Column]
    primary_key: list[str]
    foreign_keys: list[ForeignKey]


class Tables(BaseModel):
    tables: list[Table]
    truncated: bool = Field(description="There are more: name one in `table`.")


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Known(BaseModel):
    name: str
    kind: str = Field(description="Whose SQL it speaks, e.g. postgresql.")
    description: str
    writable: bool


class Databases(BaseModel):
    databases: list[Known]
