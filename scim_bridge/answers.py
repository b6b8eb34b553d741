"""Every answer of this door, errors included, as `application/scim+json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from scim2_models import SCIMException

SCIM_JSON = "application/scim+json"
#: Characters of a `detail`; longer ones repeat what the client sent.
MAX_DETAIL = 1000
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def answer(
    status: int, body: Mapping[str, Any] | None, headers: Mapping[str, str], *, content_type: str = SCIM_JSON
) -> HttpResponse:
    """Return the response with this body, or without one."""
    content = b"" if body is None else _written(body)
    response = HttpResponse(content, status=status, content_type=content_type)
    if body is None:
        del response.headers["Content-Type"]
    for name, value in headers.items():
        if name.lower() != "content-type":
            response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _written(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a number of more than 64 bits, in an attribute that nobody knows
        return json.dumps(body, ensure_ascii=False).encode()


def error_answer(error: SCIMException, *, content_type: str = SCIM_JSON) -> HttpResponse:
    """Return the response that says what went wrong."""
    body = error_body(error)
    status = int(body["status"])
    return answer(status, body, _headers(error, status), content_type=content_type)


def error_body(error: SCIMException) -> dict[str, Any]:
    """Return the SCIM error document: `status` is a text, `detail` a sentence (RFC 7644 §3.12)."""
    described = error.to_error()
    status = str(int(described.status or 500))
    body: dict[str, Any] = {"schemas": [ERROR], "status": status, "detail": _sayable(described.detail or str(error))}
    if described.scim_type:
        body["scimType"] = described.scim_type
    return body


def _sayable(detail: str) -> str:
    """Return a sentence as it can be sent: a client's own text in it may be long, or half of a surrogate pair."""
    short = detail if len(detail) <= MAX_DETAIL else f"{detail[:MAX_DETAIL]}…"
    return short.encode("utf-8", "replace").decode("utf-8")


def wanted_type(request: HttpRequest) -> str:
    """Return the media type to answer with: OneLogin accepts application/json only."""
    accepted = request.headers.get("Accept", "")
    only_json = "application/json" in accepted and SCIM_JSON not in accepted and "*/*" not in accepted
    return "application/json" if only_json else SCIM_JSON


def _headers(error: SCIMException, status: int) -> dict[str, str]:
    match status:
        case 401:
            about = ', error="invalid_token"' if getattr(error, "is_about_token", False) else ""
            return {"WWW-Authenticate": f'Bearer realm="SCIM"{about}'}
        case 405:
            return {"Allow": ", ".join(getattr(error, "allowed", []))}
        case 429:
            return {"Retry-After": str(getattr(error, "retry_after_seconds", 1))}
        case 503:
            return {"Retry-After": "5"}
        case _:
            return {}
