"""The session and the password of who is signed in."""

from __future__ import annotations

import json

from allauth.account.views import password_change
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from governance.core import clock
from governance.core.errors import NotAllowed
from governance.web import sessions
from governance.web.actor import person_of
from governance.web.answers import is_htmx


def password(request: HttpRequest) -> HttpResponse:
    """Change the password here, for people who sign in with one here."""
    if not person_of(request).has_usable_password():
        raise NotAllowed("You sign in with your company's sign-in. Change your password there.")
    response: HttpResponse = password_change(request)
    return response


@require_POST
def prolong(request: HttpRequest) -> HttpResponse:
    """Put off the end of the session."""
    seconds = sessions.prolong(request, clock.now())
    if is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Trigger": json.dumps({"session-prolonged": seconds})})
    return HttpResponseRedirect("/")
