"""What the gateway refuses, and why. Each message is shown to the sender: it holds no secret and no body."""


class Refused(Exception):
    """Base of what the sender has to change."""


class UnknownSource(Refused):
    """No source of this name is configured."""


class TooLarge(Refused):
    """The body, an event in it, or the number of its events is over its limit."""


class TooSlow(Refused):
    """The body did not come in time."""


class SignatureRefused(Refused):
    """The signature is missing, malformed, stale or wrong."""


class NotAuthenticated(Refused):
    """There is no bearer token, or none that is known."""


class Malformed(Refused):
    """The signature is right and the body is not what the source's scheme says."""


class WrongTenant(Refused):
    """The event names a tenant that the token does not stand for."""


class Reserved(Refused):
    """The event says that it comes from a signed source, or from Factotum itself."""


class RunNotFound(Refused):
    """The tenant has no such run."""


class PlannerUnavailable(Exception):
    """The planner did not answer; asking again may help."""


class NotReady(Exception):
    """What the gateway needs is away; the message names all of it."""


class SourcesInvalid(ValueError):
    """The file of sources cannot be used; the message names the file and every fault."""
