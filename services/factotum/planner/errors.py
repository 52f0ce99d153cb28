"""What can keep the planner from planning."""


class CatalogUnavailable(Exception):
    """The tool executor did not answer and no earlier catalog is known: wait and ask again."""


class StoreUnavailable(Exception):
    """The planner's file cannot be read or written at the moment: wait and ask again."""


class LibraryFaulty(ValueError):
    """A procedure on the planner's shelf, or a folder of it, cannot be used. The message names file, line and fault."""


class UnknownProcedure(LookupError):
    """The tenant has no procedure of this name, or not this version of it."""


class VersionTaken(ValueError):
    """The version is there with another content; what is registered never changes."""


class InputRefused(ValueError):
    """The input does not fit the procedure's schema. The message names every fault."""
