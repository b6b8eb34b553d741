"""What every request at this door needs around it, from the outermost in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from governance.core import clock
from governance.core.actor import acting_as
from governance.web import sessions
from governance.web.actor import actor_of
from governance.web.zone import zone_of

Handler = Callable[[HttpRequest], HttpResponse]


class PageHeaders:
    """Pages are kept nowhere and differ for htmx; a signed-out htmx request goes to the sign-in page as a whole.

    Without the last, the redirect would be followed unseen and the sign-in page would be swapped into a table row.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_htmx = request.headers.get("HX-Request") == "true"
        if is_htmx and isinstance(response, HttpResponseRedirect) and _is_sign_in(response.url):
            response = _whole_page(_back_to_page(request))
        if response.get("Content-Type", "").startswith("text/"):
            response.headers.setdefault("Cache-Control", "no-store")
            patch_vary_headers(response, ["HX-Request"])
        return response


class SignedIn:
    """End a session past its time.

    Then set the actor for what cannot take one as an argument, and the reader's time zone.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and sessions.has_ended(request, clock.now()):
            logout(request)
        with timezone.override(zone_of(request)):
            if not request.user.is_authenticated:
                return self.get_response(request)
            with acting_as(actor_of(request)):
                return self.get_response(request)


def _is_sign_in(address: str) -> bool:
    return urlsplit(address).path == resolve_url("account_login")


def _back_to_page(request: HttpRequest) -> str:
    """Return the sign-in address that leads back to the page the person was on, not to the fragment."""
    current = urlsplit(request.headers.get("HX-Current-URL", ""))
    come_back = current.path + (f"?{current.query}" if current.query else "")
    return f"{resolve_url('account_login')}?{urlencode({'next': come_back or '/'})}"


def _whole_page(address: str) -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Redirect": address})
