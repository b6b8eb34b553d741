"""Small pages of the shell: theme, single keys, settings, search."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from governance.web import preferences, search
from governance.web.answers import is_htmx, page
from governance.web.roles import employee_page, signed_in_page


@signed_in_page
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the named theme, or the one after the current."""
    asked = request.POST.get("theme", "")
    chosen = asked if asked in preferences.THEMES else preferences.next_theme(preferences.theme_of(request))
    if is_htmx(request):
        response: HttpResponse = render(request, "parts/theme.html", {"theme": chosen})
    else:
        response = HttpResponseRedirect(_came_from(request))
    preferences.keep(response, "theme", chosen)
    return response


@signed_in_page
@require_POST
def keys(request: HttpRequest) -> HttpResponse:
    """Turn single-key shortcuts on or off."""
    response = HttpResponseRedirect("/settings/")
    preferences.keep(response, "keys", "on" if request.POST.get("keys") else "off")
    return response


@signed_in_page
@require_GET
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show how the pages look and behave for this person, and what Gatehouse knows of them."""
    return render(request, "settings.html", {"page": "settings", "themes": preferences.THEMES})


@employee_page
@require_GET
def search_page(request: HttpRequest) -> HttpResponse:
    """Find pages, people, applications and requests that this person may see."""
    question = request.GET.get("q", "")[:100].strip()
    found = {"page": "search", "q": question, "hits": search.find(request, question)}
    return page(request, "search.html", "hits", found)


def _came_from(request: HttpRequest) -> str:
    address = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if is_ours else "/"
