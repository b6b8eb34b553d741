"""The one table from what went wrong to what the identity provider is told (RFC 7644 §3.12)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from psycopg.errors import QueryCanceled
from pydantic import ValidationError
from scim2_models import (
    Error,
    ForbiddenException,
    InvalidFilterException,
    InvalidSyntaxException,
    InvalidValueException,
    NotFoundException,
    SCIMException,
    TooManyException,
    UnauthorizedException,
    UniquenessException,
)

from governance.core.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound
from governance.identity.conditions.language import InvalidCondition

logger = logging.getLogger(__name__)

#: The names of our fields in SCIM, where they differ.
SCIM_NAMES: Mapping[str, str] = {
    "user_name": "userName",
    "external_id": "externalId",
    "display_name": "displayName",
    "given_name": "name.givenName",
    "family_name": "name.familyName",
    "email": "emails.value",
    "person_type": "userType",
    "employee_number": "employeeNumber",
    "time_zone": "timezone",
    "manager_hint": "manager.value",
}


class TooLarge(SCIMException):
    """The body is larger than the door takes."""

    status = 413


class Unauthenticated(UnauthorizedException):
    """No credentials, or credentials that open nothing.

    `is_about_token` is false when there were none: then the challenge carries no error (RFC 6750 §3.1).
    """

    def __init__(self, *, detail: str, is_about_token: bool = False) -> None:
        super().__init__(detail=detail)
        self.is_about_token = is_about_token


class TooManyRequests(SCIMException):
    """The connection asked more often than its limit allows (RFC 6585 §4)."""

    status = 429

    def __init__(self, *, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail=detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(SCIMException):
    """The database cannot answer now; the same request may succeed soon."""

    status = 503


class Broken(SCIMException):
    """Something went wrong that the client cannot mend."""

    status = 500


def told(error: Exception) -> SCIMException:
    """Return what the client is told of any exception; what is not theirs is logged, and its text stays here."""
    if isinstance(error, SCIMException):
        return _plain(error)
    if isinstance(error, SuspiciousOperation):  # Django's word for more parameters than it reads
        return InvalidSyntaxException(detail="The request cannot be read: it has too many or broken parameters.")
    if isinstance(error.__cause__, QueryCanceled):
        return TooManyException(detail="The filter takes too long to answer. Use fewer comparisons, or eq.")
    logger.error("A SCIM request failed.", exc_info=error)
    if isinstance(error, (OperationalError, InterfaceError)):
        return Unavailable(detail="The directory is not available now. Try again shortly.")
    return Broken(detail="Something went wrong here. It was logged.")


def _plain(error: SCIMException) -> SCIMException:
    """Return the error with a sentence of its own where scim2-models passes on pydantic's report of a PATCH."""
    cause = error.__cause__
    if isinstance(error, InvalidValueException) and isinstance(cause, ValidationError):
        return SCIMException.from_error(Error.from_validation_errors(cause)[0])
    return error


def scim_error(error: DomainError) -> SCIMException:
    """Return the SCIM error that answers a domain error."""
    match error:
        case InvalidCondition():
            return InvalidFilterException(detail=error.sentence)
        case Invalid():
            return InvalidValueException(detail=" ".join(_lines(error)))
        case Conflict():
            return UniquenessException(detail=str(error))
        case NotFound():
            return NotFoundException(detail=str(error))
        case NotAllowed():
            return ForbiddenException(detail=str(error))
        case _:
            return InvalidValueException(detail=str(error))


def _lines(error: Invalid) -> list[str]:
    return [
        f"{SCIM_NAMES.get(name, name)}: {sentence}" if name else sentence
        for name, sentences in error.fields.items()
        for sentence in sentences
    ]
