"""How this door answers when something is wrong: a table from the errors of the rooms to pages, Django's handlers.

A page request gets a page in plain words with a next step. A request by htmx gets the sentence alone, as text, which
the script shows as a toast: such an answer never lands inside the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader

from governance.core.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
)

#: Which status each error of the rooms gets when a view has no better answer (a form with its errors, 422).
STATUS: dict[type[DomainError], int] = {NotFound: 404, NotAllowed: 403, Conflict: 409, Refused: 409, Invalid: 400}

TITLES = {
    400: "That does not fit",
    403: "This page is not for you",
    404: "There is nothing here",
    409: "This has changed in the meantime",
    429: "Too many tries",
}


def answer(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Return the answer for an error that a view did not handle itself."""
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    return say(request, status, _sentences(error))


def say(request: HttpRequest, status: int, sentences: Sequence[str]) -> HttpResponse:
    """Return an error page with these sentences, or only the sentences when htmx asked."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(" ".join(sentences), status=status, content_type="text/plain; charset=utf-8")
    person = getattr(request, "user", None)
    is_signed_in = person is not None and person.is_authenticated
    layout = "base.html" if is_signed_in else "bare.html"
    found = {"layout": layout, "title": TITLES[status], "sentences": sentences, "status": status}
    return render(request, f"{status}.html", found, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 (Django's handler)."""
    return say(request, 400, ["The address or the form was not understood. Nothing was changed."])


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 (Django's handler)."""
    return say(request, 403, [str(exception) or "You may not open this page."])


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 (Django's handler)."""
    return say(request, 404, ["The address may be mistyped, or what was here has moved."])


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 (Django's handler) without touching the database or the session: they may be what is broken."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse("That did not work. Nothing was changed.", status=500, content_type="text/plain")
    return HttpResponse(loader.render_to_string("500.html"), status=500)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token is missing or old (Django's CSRF_FAILURE_VIEW)."""
    return say(
        request, 403, ["This form was open for too long, or came from elsewhere. Reload the page and send it again."]
    )


def _sentences(error: DomainError) -> list[str]:
    if isinstance(error, Refused):
        return [reason.sentence for reason in error.reasons]
    if isinstance(error, Invalid):
        return [line for lines in error.fields.values() for line in lines]
    return [str(error)]
