"""What the errors of a database mean to a tool."""

from __future__ import annotations

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from factotum.sdk.errors import Conflict, Failed, InvalidArgument, NotPermitted, ToolError, Unavailable

_WORDS_LIMIT = 500

# https://www.postgresql.org/docs/current/errcodes-appendix.html: whole codes before classes.
_POSTGRES: dict[str, type[ToolError]] = {
    "42501": NotPermitted,  # insufficient_privilege
    "25006": NotPermitted,  # read_only_sql_transaction
    "55P03": Unavailable,  # lock_not_available
    "57014": Unavailable,  # query_canceled: by the time limit
    "0A": InvalidArgument,  # feature_not_supported
    "08": Unavailable,  # connection
    "22": InvalidArgument,  # data
    "23": Conflict,  # integrity
    "28": NotPermitted,  # authorization
    "34": InvalidArgument,  # cursor name
    "40": Unavailable,  # serialization, deadlock
    "42": InvalidArgument,  # syntax, names
    "53": Unavailable,  # resources
    "57": Unavailable,  # operator intervention
    "P0": Conflict,  # raised by a function or a trigger
}
# https://www.sqlite.org/rescode.html, by the beginning of the name.
_SQLITE: dict[str, type[ToolError]] = {
    "SQLITE_CONSTRAINT": Conflict,
    "SQLITE_BUSY": Unavailable,
    "SQLITE_LOCKED": Unavailable,
    "SQLITE_INTERRUPT": Unavailable,
    "SQLITE_CANTOPEN": Unavailable,
    "SQLITE_FULL": Unavailable,
    "SQLITE_IOERR": Unavailable,
    "SQLITE_READONLY": NotPermitted,
    "SQLITE_AUTH": NotPermitted,
    "SQLITE_PERM": NotPermitted,
    "SQLITE_ERROR": InvalidArgument,
    "SQLITE_MISMATCH": InvalidArgument,
    "SQLITE_TOOBIG": InvalidArgument,
}
_CLASSES: tuple[tuple[type[SQLAlchemyError], type[ToolError]], ...] = (
    (IntegrityError, Conflict),
    (DataError, InvalidArgument),
    (ProgrammingError, InvalidArgument),
    (NotSupportedError, InvalidArgument),
    (OperationalError, Unavailable),
    (InterfaceError, Unavailable),
)


def refusal(database: str, error: SQLAlchemyError, *, committing: bool, timed_out: bool) -> ToolError:
    """The error of a call.

    Args:
        committing: the database was asked to keep the changes, and may have. Before, it certainly kept none.
    """
    original = error.orig if isinstance(error, DBAPIError) else None
    if timed_out:
        message = f"the database {database} was stopped: the statements took longer than its settings allow"
        return Unavailable(message, effect_possible=committing)
    words = " ".join(str(original or error).split())[:_WORDS_LIMIT]
    message = f"the database {database} says: {words}"
    return _type(error, original)(message, effect_possible=committing)


def _type(error: SQLAlchemyError, original: BaseException | None) -> type[ToolError]:
    if state := getattr(original, "sqlstate", None):
        return _POSTGRES.get(state) or _POSTGRES.get(state[:2], Failed)
    # A connection that was never made has no code.
    if isinstance(error, OperationalError) and "authentication failed" in str(original):
        return NotPermitted
    if name := getattr(original, "sqlite_errorname", None):
        return next((kind for start, kind in _SQLITE.items() if name.startswith(start)), Failed)
    if original is None:
        # SQLAlchemy's own: the statement never reached the database.
        return InvalidArgument
    return next((kind for known, kind in _CLASSES if isinstance(error, known)), Failed)
