"""Engagements: opened and answered by the company, read and judged by auditors from outside."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from governance.catalog.models import Application
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.engagements import inviting, opening, queries
from governance.engagements.models import Engagement
from governance.engagements.rights import check_may_read, has_ended
from governance.evidence import actions as evidence
from governance.evidence import queries as evidence_queries
from governance.evidence.controls import FRAMEWORKS
from governance.evidence.models import OPEN_STATES, EvidenceBundle
from governance.identity.models import RoleName
from governance.identity.queries import names_by_ref
from governance.web.actor import actor_of, person_of
from governance.web.assure.evidence import PeriodForm, start
from governance.web.assure.invitations import send
from governance.web.assure.keys import signing_key
from governance.web.govern.pages import add_errors, is_htmx, show
from governance.web.roles import guests_and, needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
_DAY = {"invalid": "Write the day as 2026-03-31.", "required": "Choose a day."}


class OpenForm(PeriodForm):
    """A new engagement. The fields are named as the errors of the room name them."""

    name = forms.CharField(max_length=120, help_text="As auditors will see it, for instance SOC 2 Type II 2026.")
    ends_on = forms.DateField(
        label="Guests look until the end of",
        error_messages=_DAY,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    applications = forms.ModelMultipleChoiceField(
        Application.objects.filter(retired_at__isnull=True).order_by("name"),
        required=False,
        to_field_name="slug",
        help_text="Choose none for all of them.",
    )
    field_order: tuple[str, ...] = ("name", "framework", "from", "to", "zone", "ends_on", "applications")


class InviteForm(forms.Form):
    """Whom to invite."""

    name = forms.CharField(max_length=120, error_messages={"required": "Write their name."})
    email = forms.CharField(
        max_length=320,
        label="E-mail",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Write their e-mail address."},
    )


class EndForm(forms.Form):
    """Until when guests look."""

    ends_on = forms.DateField(
        label="Guests look until the end of",
        error_messages=_DAY,
        widget=forms.DateInput(attrs={"type": "date"}),
    )


class NewRequestForm(forms.Form):
    """A request in the auditor's own words."""

    wording = forms.CharField(
        max_length=2000,
        label="What is asked for",
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Say what you ask for."},
    )
    due_on = forms.DateField(
        label="Wanted by",
        required=False,
        error_messages=_DAY,
        widget=forms.DateInput(attrs={"type": "date"}),
    )


@guests_and(*READERS)
@require_GET
def engagements(request: HttpRequest) -> HttpResponse:
    """Show the engagements there are; to a guest only their own."""
    guest = person_of(request) if standing_of(request).is_guest else None
    found = list(queries.engagements(guest=guest)[:200])
    at = now()
    context = {
        "page": "engagements",
        "engagements": [(one, FRAMEWORKS[one.framework], has_ended(one, at)) for one in found],
        "may_open": standing_of(request).is_security_admin,
    }
    return render(request, "assure/engagements.html", context)


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Open an engagement."""
    form = OpenForm(request.POST) if request.method == "POST" else OpenForm(initial=start(request))
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            opened = opening.open_engagement(
                said["name"],
                said["framework"],
                first=said["from"],
                last=said["to"],
                zone=said["zone"],
                ends_on=said["ends_on"],
                applications=[one.slug for one in said["applications"]],
                actor=actor_of(request),
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            return redirect("engagement", opened.ref)
    context = {"page": "engagements", "form": form, "zones": sorted(available_timezones())}
    return render(request, "assure/engagement_new.html", context, status=422 if form.errors else 200)


@guests_and(*READERS)
@require_GET
def one(request: HttpRequest, ref: str) -> HttpResponse:
    """Show one engagement: what it is about, its requests, who is invited, its bundles."""
    return _page(request, readable(request, ref))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def invite(request: HttpRequest, ref: str) -> HttpResponse:
    """Invite somebody; the link is mailed, and shown here once."""
    engagement, form = queries.engagement(ref), InviteForm(request.POST)
    if form.is_valid():
        try:
            guest, token = inviting.invite(
                engagement, form.cleaned_data["email"], form.cleaned_data["name"], actor=actor_of(request)
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            link, outcome = send(request, guest, token)
            context = {"page": "engagements", "engagement": engagement, "guest": guest, "link": link, "said": outcome}
            return render(request, "assure/engagement_invited.html", context)
    return _page(request, engagement, invite_form=form, status=422)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def withdraw(request: HttpRequest, ref: str, guest_id: int) -> HttpResponse:
    """Take an invitation back."""
    guest = queries.guest_of(queries.engagement(ref), guest_id)
    inviting.withdraw(guest, actor=actor_of(request))
    messages.success(request, f"{guest.name} no longer gets in.")
    return redirect("engagement", ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def extend(request: HttpRequest, ref: str) -> HttpResponse:
    """Have guests look until another day."""
    engagement, form = queries.engagement(ref), EndForm(request.POST)
    if form.is_valid():
        try:
            opening.extend(engagement, form.cleaned_data["ends_on"], actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Guests look until then.")
            return redirect("engagement", ref)
    return _page(request, engagement, end_form=form, status=422)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def close(request: HttpRequest, ref: str) -> HttpResponse:
    """Close it."""
    opening.close(queries.engagement(ref), actor=actor_of(request))
    messages.success(request, "The engagement is closed. What was said stays.")
    return redirect("engagement", ref)


@guests_and(*READERS)
@require_POST
def build(request: HttpRequest, ref: str) -> HttpResponse:
    """Have a bundle built of exactly what the engagement is about."""
    engagement, chosen = readable(request, ref), request.POST.get("definition")
    definition = evidence_queries.definition_version(chosen) if chosen else None
    made = opening.build_bundle(engagement, definition=definition, actor=actor_of(request))
    if is_htmx(request):
        return render(request, "assure/bundle.html#card", card(engagement, made))
    return redirect("engagement_bundle", ref, made.ref)


@guests_and(*READERS)
@require_GET
def bundle(request: HttpRequest, ref: str, bundle_ref: str) -> HttpResponse:
    """Show how far a bundle of the engagement is, or what it holds."""
    engagement = readable(request, ref)
    return show(request, "assure/bundle.html", "card", card(engagement, queries.bundle_of(engagement, bundle_ref)))


@guests_and(*READERS)
@require_POST
def retry(request: HttpRequest, ref: str, bundle_ref: str) -> HttpResponse:
    """Build a failed bundle again."""
    engagement = readable(request, ref)
    made = evidence.retry_bundle(queries.bundle_of(engagement, bundle_ref), actor=actor_of(request))
    if is_htmx(request):
        return render(request, "assure/bundle.html#card", card(engagement, made))
    return redirect("engagement_bundle", ref, made.ref)


@guests_and(*READERS)
@require_POST
def download(request: HttpRequest, ref: str, bundle_ref: str) -> HttpResponse:
    """Hand out the file of a bundle of the engagement; that it left the house is recorded."""
    made = queries.bundle_of(readable(request, ref), bundle_ref)
    path = evidence.hand_out(made, actor=actor_of(request))
    file = FileResponse(
        path.open("rb"), as_attachment=True, filename=made.suggested_name, content_type="application/zip"
    )
    return cast("HttpResponse", file)


def readable(request: HttpRequest, ref: str) -> Engagement:
    """Return the engagement. Raises NotFound, and NotAllowed for a guest who was not invited or came too late."""
    engagement = queries.engagement(ref)
    check_may_read(engagement, actor_of(request))
    return engagement


def card(engagement: Engagement, made: EvidenceBundle) -> dict[str, Any]:
    """Return what the card of a bundle needs, with the engagement's own addresses."""
    return {
        "page": "engagements",
        "engagement": engagement,
        "bundle": made,
        "is_open": made.state in OPEN_STATES,
        "framework": FRAMEWORKS.get(made.framework),
        "here": reverse("engagement_bundle", args=[engagement.ref, made.ref]),
        "back": reverse("engagement", args=[engagement.ref]),
        **signing_key(),
    }


def _page(
    request: HttpRequest,
    engagement: Engagement,
    *,
    invite_form: InviteForm | None = None,
    end_form: EndForm | None = None,
    status: int = 200,
) -> HttpResponse:
    standing = standing_of(request)
    made = queries.bundles_of(engagement)
    context = {
        "page": "engagements",
        "engagement": engagement,
        "framework": FRAMEWORKS[engagement.framework],
        "scope": list(Application.objects.filter(slug__in=engagement.applications).order_by("name")),
        "requests": queries.requests_of(engagement),
        "guests": queries.guests_of(engagement),
        "bundles": made,
        "definitions": [] if standing.is_guest else evidence_queries.definitions(framework=engagement.framework),
        "newest": card(engagement, made[0]) if made else None,
        "makers": names_by_ref({one.made_by_ref for one in made}),
        "has_ended": has_ended(engagement, now()),
        "is_host": standing.is_security_admin,
        "invite_form": invite_form or InviteForm(),
        "end_form": end_form or EndForm(),
        "request_form": NewRequestForm(),
        "now": now(),
        **signing_key(),
    }
    return render(request, "assure/engagement.html", context, status=status)
