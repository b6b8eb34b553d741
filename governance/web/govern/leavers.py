"""Leavers: who left and how far each removal is, who will leave, and what would happen if somebody left."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import person as person_by_ref
from governance.lifecycle import handing_over, holds_queries, planning, tracking
from governance.lifecycle.drill import drill
from governance.lifecycle.models import LeavePlan
from governance.web.actor import actor_of, person_of
from governance.web.govern.pages import add_errors, is_htmx, show, sliced
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


class PlanForm(forms.Form):
    """When somebody leaves. The action has the last word."""

    day = forms.DateField(label="Leaves on", widget=forms.DateInput(attrs={"type": "date"}))
    hour = forms.TimeField(
        label="At",
        initial=time(18),
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="In your time zone. Everything ends at that instant by itself.",
    )
    note = forms.CharField(label="Note", required=False, max_length=500)

    def instant(self) -> datetime:
        """Return the chosen instant."""
        return timezone.make_aware(datetime.combine(self.cleaned_data["day"], self.cleaned_data["hour"]))


@needs(*READERS)
@require_GET
def leavers(request: HttpRequest) -> HttpResponse:
    """List who will leave and who left, the latest first."""
    page = sliced(tracking.leavers(), "left_at", request.GET, descending=True)
    context = {
        "page": "leavers",
        "lines": tracking.lines_of(list(page.rows)),
        "slice": page,
        "planned": tracking.planned(),
        "holds": holds_queries.holds(is_open=True),
        "may_change": standing_of(request).is_security_admin,
    }
    return show(request, "govern/leavers.html", "list", context)


@needs(*READERS)
@require_GET
def leaver(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show how far the removals of a leaver are, or what would happen if the person left now."""
    return _page(request, person_by_ref(ref), PlanForm(initial={"day": _default_day()}))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def plan(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Plan when a person leaves, or move it."""
    found = person_by_ref(ref)
    form = PlanForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    leaves_at = form.instant()
    try:
        is_planned = _planned(request, found, leaves_at, form.cleaned_data["note"])
    except Invalid as error:
        said = {"day" if name == "leaves_at" else name: lines for name, lines in error.fields.items()}
        add_errors(form, Invalid(said))
        return _page(request, found, form, status=422)
    if is_planned:
        messages.success(request, f"{found.display_name} leaves on {leaves_at:%d %B %Y at %H:%M}.")
    else:
        messages.warning(request, "Too many leave dates were set on pages. This one waits for a second person.")
    return redirect("leaver", found.ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def stay(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Call off a planned leave."""
    with transaction.atomic():
        found = _locked(ref)
        planning.call_off(found, actor=actor_of(request))
    messages.success(request, f"{found.display_name} stays. The leave date is called off.")
    return redirect("leaver", found.ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def settle(request: HttpRequest, handover_id: int) -> HttpResponse:
    """Note that somebody answers for it now."""
    made = handing_over.settle(handover_id, by=person_of(request), actor=actor_of(request))
    messages.success(request, "Noted.")
    return redirect("leaver", made.person.ref)


def _planned(request: HttpRequest, found: Person, leaves_at: datetime, note: str) -> bool:
    if found.pk == person_of(request).pk:
        raise Conflict("Somebody else has to plan that you leave.")
    with transaction.atomic():
        return planning.plan(_locked(found.ref), leaves_at, note=note, actor=actor_of(request))


def _locked(ref: UUID) -> Person:
    return Person.objects.select_for_update(no_key=True).get(pk=person_by_ref(ref).pk)


def _page(request: HttpRequest, found: Person, form: PlanForm, *, status: int = 200) -> HttpResponse:
    may_change = standing_of(request).is_security_admin
    context: dict[str, Any] = {"page": "leavers", "person": found, "may_change": may_change, "now": now()}
    if found.status == Status.LEFT:
        context |= _of_leaver(found)
        name = "govern/leaver.html#progress" if is_htmx(request) else "govern/leaver.html"
        return render(request, name, context)
    context |= {
        "form": form,
        "drill": (said := drill(found)),
        "policies": said.policies,
        "held": holds_queries.held_about(found),
        "plans": list(LeavePlan.objects.filter(person=found).order_by("-pk")[:20]),
    }
    return render(request, "govern/leaver_ahead.html", context, status=status)


def _of_leaver(found: Person) -> dict[str, Any]:
    parts = tracking.progress_of(found)
    removals = [one for part in parts for one in part.removals]
    done = [one for one in removals if one.state == "verified"]
    times = [part.read_back_after for part in parts if part.read_back_after is not None]
    return {
        "parts": parts,
        "ordered": len(removals),
        "read_back": len(done),
        "failed": sum(one.state == "failed" for one in removals),
        "last_after": max(times) if times and len(done) == len(removals) else None,
        "is_done": all(part.state in ("verified", "by_hand") for part in parts),
        "handovers": [(one, tracking.is_undecided(one)) for one in tracking.handovers_of(found)],
        "policies": handing_over.policies_naming(found),
    }


def _default_day() -> date:
    return timezone.localdate()
