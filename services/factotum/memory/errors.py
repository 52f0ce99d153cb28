"""What can go wrong in the memory."""


class InvalidRequest(ValueError):
    """The caller's record or query breaks the contract; sending it again will not help."""


class NotAMemory(ValueError):
    """The event is not one that the memory knows how to keep; the message says what is wrong."""


class StoreUnavailable(Exception):
    """The store did not do what it was asked, or may have done a part: ask again later."""


class StoreFaulty(StoreUnavailable):
    """The store will not do it before somebody has done something: the message says what. Asking again now is vain."""


class StoreRefused(Exception):
    """The store takes this record, or this request, not, now or later; the message says why."""


class EmbedderMismatch(StoreUnavailable):
    """A vector is none of an embedder whose vectors the store takes: they are not mixed."""


class VectorsMoved(StoreUnavailable):
    """The store went over to another embedder's vectors after this one was made: make it again."""


class EmbedderUnavailable(Exception):
    """The embedder gave no vectors now; ask again later."""


class EmbedderRefused(Exception):
    """The embedder takes these texts or settings not, now or later; the message says why."""
