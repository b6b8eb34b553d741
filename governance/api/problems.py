"""The one table from errors to answers: problem details (RFC 9457), for whatever goes wrong at this door."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from governance.core.errors import Conflict, DomainError, Gone, Invalid, NotAllowed, NotFound, Refused

logger = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"

_STATUS: dict[type[DomainError], int] = {
    Invalid: 422,
    Refused: 422,
    Conflict: 409,
    NotAllowed: 403,
    NotFound: 404,
    Gone: 410,
}


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Return the answer to an error. An unforeseen one is logged here and says nothing about itself."""
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, DomainError):
        status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
        return _answer(status, str(error), _domain_errors(error))
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    if isinstance(error, RequestDataTooBig):
        return _answer(413, f"A body has at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.", [])
    if isinstance(error, OperationalError | InterfaceError):
        logger.warning("The database did not answer: %s", error)
        return _answer(503, "Gatehouse is not available now. Try again shortly.", [], {"Retry-After": "2"})
    logger.error("Unforeseen error at %s", type(context.get("view")).__name__, exc_info=error)
    return _answer(500, "Something went wrong here. Nothing was changed.", [])


def document(status: int, detail: str, errors: Iterable[dict[str, str]] = ()) -> dict[str, Any]:
    """Return problem details as plain values."""
    shown = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    listed = list(errors)
    return {**shown, "errors": listed} if listed else shown


@csrf_exempt
def not_found(request: HttpRequest, *_: Any) -> JsonResponse:
    """Answer an address below this door that leads nowhere."""
    return JsonResponse(document(404, "There is nothing at this address."), status=404, content_type=CONTENT_TYPE)


def _from_framework(error: exceptions.APIException) -> Response:
    status = error.status_code
    headers: dict[str, str] = {}
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        status, headers = 401, {"WWW-Authenticate": 'Bearer realm="Gatehouse"'}
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, round(getattr(error, "wait", None) or 1)))
    if isinstance(error, exceptions.ValidationError):
        listed = list(_fields(error.detail, ""))
        return _answer(422, " ".join(f"{one['field']}: {one['reason']}".strip(": ") for one in listed), listed)
    return _answer(status, str(error.detail), [], headers)


def _fields(detail: Any, path: str) -> Iterable[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            where = "" if name == "non_field_errors" else name
            yield from _fields(inner, f"{path}.{where}".strip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _fields(inner, path)
    else:
        yield {"field": path, "reason": str(detail), "code": getattr(detail, "code", "invalid")}


def _domain_errors(error: DomainError) -> list[dict[str, str]]:
    if isinstance(error, Refused):
        return [{"field": one.field, "reason": one.sentence, "code": one.code} for one in error.reasons]
    if isinstance(error, Invalid):
        said = error.fields.items()
        return [{"field": name, "reason": line, "code": "invalid"} for name, lines in said for line in lines]
    return []


def _answer(status: int, detail: str, errors: list[dict[str, str]], headers: dict[str, str] | None = None) -> Response:
    return Response(document(status, detail, errors), status=status, headers=headers, content_type=CONTENT_TYPE)
