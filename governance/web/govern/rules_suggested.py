"""Rules that people's access suggests: who would get what, who stands out, and a form that starts with it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.access import suggestions
from governance.access.models import RuleSuggestion
from governance.access.suggestions import LOWEST_PERCENT, USUAL_PERCENT, Suggested
from governance.core.errors import NotFound
from governance.identity.models import RoleName
from governance.web.govern.pages import sliced, whole_number
from governance.web.roles import needs

SHARES = (60, 70, 80, 90, 95)
SHOWN = 20


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def suggested(request: HttpRequest) -> HttpResponse:
    """List what people with something in common have, the most people first."""
    percent = min(max(whole_number(request.GET.get("share"), USUAL_PERCENT), LOWEST_PERCENT), 100)
    found, after = suggestions.suggestions(percent=percent, after=whole_number(request.GET.get("after"), 0), size=SHOWN)
    latest = RuleSuggestion.objects.order_by("-looked_at").values_list("looked_at", flat=True).first()
    context = {
        "page": "policies",
        "suggested": [(one, form_words(one)) for one in found],
        "next": after,
        "percent": percent,
        "shares": SHARES,
        "looked_at": latest,
        "fewest": suggestions.FEWEST_PEOPLE,
    }
    return render(request, "govern/rule_suggestions.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def one(request: HttpRequest, suggestion_id: int) -> HttpResponse:
    """Name the people who have something in common and do not have the role most of the others have."""
    found = RuleSuggestion.objects.select_related("entitlement__application").filter(pk=suggestion_id).first()
    if found is None:
        raise NotFound("This suggestion was replaced by a newer look. Open the list again.")
    said = Suggested(found.place, found.attribute, found.value, found.people, [found])
    people = sliced(suggestions.without_it(found), "display_name", request.GET)
    context = {"page": "policies", "said": said, "found": found, "slice": people, "words": form_words(said)}
    return render(request, "govern/rule_suggestion.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Have a worker look again."""
    suggestions.look_soon()
    messages.success(request, "Looking at everybody's access again. The list is new in about a minute.")
    return redirect("rule_suggestions")


def form_words(said: Suggested) -> str:
    """Return the address words with which the form for a new rule starts."""
    roles = [("entitlements", role.entitlement_id) for role in said.roles]
    return urlencode([("name", said.name), ("condition", said.condition), *roles])
