"""Findings: what the database shows and no action explains. A security administrator looks into it; auditors read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.errors import Invalid
from governance.identity.models import RoleName
from governance.identity.queries import names_by_ref
from governance.ledger import findings as acts
from governance.ledger.models import Comparison, Finding, Watch
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors, sliced
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


class ExplanationForm(forms.Form):
    """What it was, and what put it right."""

    explanation = forms.CharField(max_length=acts.MAX_EXPLANATION, widget=forms.Textarea(attrs={"rows": 3}))
    fixed_by = forms.CharField(max_length=acts.MAX_FIX, required=False)


@needs(*READERS)
@require_GET
def findings(request: HttpRequest) -> HttpResponse:
    """List what is open, or what was closed, and say when was looked last."""
    is_closed = request.GET.get("state") == "closed"
    rows = acts.closed_findings() if is_closed else acts.open_findings()
    page = sliced(rows, "pk", request.GET, descending=True)
    context = {
        "page": "findings",
        "slice": page,
        "is_closed": is_closed,
        "names": names_by_ref({one.owner_ref for one in page.rows}),
        "watch": Watch.objects.first(),
        "comparison": Comparison.objects.order_by("-id").first(),
    }
    return render(request, "assure/findings.html", context)


@needs(*READERS)
@require_GET
def finding(request: HttpRequest, finding_id: int) -> HttpResponse:
    """Show one finding."""
    found = acts.finding(finding_id)
    return _finding(request, found, ExplanationForm(initial=_said(found)))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def take(request: HttpRequest, finding_id: int) -> HttpResponse:
    """Have the signed-in person look into it."""
    acts.take(finding_id, actor=actor_of(request))
    messages.success(request, "You look into it now.")
    return redirect("finding", finding_id)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def explain(request: HttpRequest, finding_id: int) -> HttpResponse:
    """Say what it was."""
    return _write(request, finding_id, acts.explain, "The explanation is saved.")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def close(request: HttpRequest, finding_id: int) -> HttpResponse:
    """Say what it was, and look no further."""
    return _write(request, finding_id, acts.close, "The finding is closed.")


def _write(request: HttpRequest, finding_id: int, act: Any, done: str) -> HttpResponse:
    form = ExplanationForm(request.POST)
    if form.is_valid():
        try:
            act(finding_id, **form.cleaned_data, actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, done)
            return redirect("finding", finding_id)
    return _finding(request, acts.finding(finding_id), form, status=422)


def _finding(request: HttpRequest, found: Finding, form: ExplanationForm, *, status: int = 200) -> HttpResponse:
    context = {
        "page": "findings",
        "finding": found,
        "form": form,
        "names": names_by_ref({found.owner_ref, found.closed_by_ref}),
        "may_write": standing_of(request).is_security_admin and found.closed_at is None,
    }
    return render(request, "assure/finding.html", context, status=status)


def _said(found: Finding) -> dict[str, str]:
    return {"explanation": found.explanation, "fixed_by": found.fixed_by}
