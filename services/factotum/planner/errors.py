"""What can keep the planner from planning."""


class CatalogUnavailable(Exception):
    """The tool executor did not answer and no earlier catalog is known: wait and ask again."""


class LibraryFaulty(ValueError):
    """A procedure on the planner's shelf, or a folder of it, cannot be read. The message names file, line and fault."""
