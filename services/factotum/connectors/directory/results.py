"""What a directory's result codes (RFC 4511 §4.1.9) and the ways to it mean to a tool."""

from __future__ import annotations

from typing import Any

from ldap3.core import results
from ldap3.core.exceptions import (
    LDAPCertificateError,
    LDAPCommunicationError,
    LDAPConfigurationError,
    LDAPException,
    LDAPSocketOpenError,
    LDAPStartTLSError,
)

from factotum.sdk.errors import Conflict, Failed, InvalidArgument, NotFound, NotPermitted, ToolError, Unavailable

_WORDS_LIMIT = 500

_KINDS: dict[int, type[ToolError]] = {
    results.RESULT_PROTOCOL_ERROR: InvalidArgument,
    results.RESULT_TIME_LIMIT_EXCEEDED: Unavailable,
    results.RESULT_STRONGER_AUTH_REQUIRED: NotPermitted,
    results.RESULT_AUTH_METHOD_NOT_SUPPORTED: NotPermitted,
    results.RESULT_ADMIN_LIMIT_EXCEEDED: Unavailable,
    results.RESULT_CONFIDENTIALITY_REQUIRED: NotPermitted,
    results.RESULT_NO_SUCH_ATTRIBUTE: NotFound,
    results.RESULT_UNDEFINED_ATTRIBUTE_TYPE: InvalidArgument,
    results.RESULT_INAPPROPRIATE_MATCHING: InvalidArgument,
    results.RESULT_CONSTRAINT_VIOLATION: Conflict,
    results.RESULT_ATTRIBUTE_OR_VALUE_EXISTS: Conflict,
    results.RESULT_INVALID_ATTRIBUTE_SYNTAX: InvalidArgument,
    results.RESULT_NO_SUCH_OBJECT: NotFound,
    results.RESULT_INVALID_DN_SYNTAX: InvalidArgument,
    results.RESULT_INAPPROPRIATE_AUTHENTICATION: NotPermitted,
    results.RESULT_INVALID_CREDENTIALS: NotPermitted,
    results.RESULT_INSUFFICIENT_ACCESS_RIGHTS: NotPermitted,
    results.RESULT_BUSY: Unavailable,
    results.RESULT_UNAVAILABLE: Unavailable,
    results.RESULT_UNWILLING_TO_PERFORM: Failed,
    results.RESULT_NAMING_VIOLATION: InvalidArgument,
    results.RESULT_OBJECT_CLASS_VIOLATION: InvalidArgument,
    results.RESULT_NOT_ALLOWED_ON_NON_LEAF: Conflict,
    results.RESULT_NOT_ALLOWED_ON_RDN: InvalidArgument,
    results.RESULT_ENTRY_ALREADY_EXISTS: Conflict,
    results.RESULT_OBJECT_CLASS_MODS_PROHIBITED: InvalidArgument,
    results.RESULT_REFERRAL: Failed,
    results.RESULT_AUTHORIZATION_DENIED: NotPermitted,
}
# A server that is shutting down, and one that does not say what went wrong, may have done it.
_DOUBTFUL = frozenset({results.RESULT_UNAVAILABLE, results.RESULT_OTHER, results.RESULT_OPERATIONS_ERROR})


def refusal(result: dict[str, Any]) -> ToolError:
    """The error for a result that is not success."""
    code = int(result["result"])
    words = " ".join(str(result.get("message") or "").split())[:_WORDS_LIMIT]
    message = f"the directory says {result.get('description') or code}" + (f": {words}" if words else "")
    return _KINDS.get(code, Failed)(message, effect_possible=code in _DOUBTFUL)


def unreachable(error: LDAPException, *, sent: bool) -> ToolError:
    """The error for a request without an answer.

    Args:
        sent: a request that has an effect may have reached the server.
    """
    words = " ".join(str(error).split())[:_WORDS_LIMIT] or type(error).__name__
    if isinstance(error, LDAPCertificateError | LDAPStartTLSError) or "certificate" in words.lower():
        return Failed(f"the directory cannot be trusted: {words}", effect_possible=False)
    if isinstance(error, LDAPSocketOpenError):
        return Unavailable(f"the directory does not answer: {words}", effect_possible=False)
    if isinstance(error, LDAPCommunicationError):
        return Unavailable(f"the directory does not answer: {words}", effect_possible=sent)
    if isinstance(error, LDAPConfigurationError):
        return Failed(f"the directory's settings are no good: {words}", effect_possible=False)
    # What the library refuses to send.
    return InvalidArgument(f"this is no request to a directory: {words}", effect_possible=sent)
