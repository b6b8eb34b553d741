"""Writing rules about duties, after a look at who would break them, and granting and ending exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from governance.access import conflicts, exceptions
from governance.access.conflicts import Total
from governance.catalog import sod
from governance.catalog.models import SodEffect, SodRule
from governance.catalog.sod import SodTerms
from governance.catalog.sod_queries import sod_exception, sod_rule
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound, Refused
from governance.identity.models import Person, RoleName
from governance.identity.queries import person as person_by_ref
from governance.policy.duties import DutyRule
from governance.web.actor import actor_of, person_of
from governance.web.govern import duties_shown
from governance.web.govern.duties_forms import DutyRuleForm, ExceptionForm
from governance.web.govern.duties_shown import Breaker
from governance.web.govern.pages import add_errors, end_of_day
from governance.web.roles import needs

#: So many who would break a rule are named before it is saved.
NAMED = 50


@dataclass(frozen=True, slots=True)
class Preview:
    """Who would break a rule if it were saved as written. `before` is how many break the version in force."""

    total: Total
    breakers: list[Breaker]
    before: Total | None
    fingerprint: str

    @property
    def unnamed(self) -> int:
        """Return how many are counted and not named."""
        return self.total.open + self.total.excepted - len(self.breakers)


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Write a new rule: look at who would break it, then save."""
    owner = person_of(request)
    form = DutyRuleForm(_posted(request), initial={"owner": owner.email or owner.user_name})
    return _write(request, form, None)


@needs(RoleName.SECURITY_ADMIN)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Write the next version of a rule: look at who would break it, then save."""
    found = sod_rule(slug)
    if found.retired_at is not None:
        raise Conflict(f"{found.name} is retired and cannot be changed.")
    said = duties_shown.versions_of(found.slug)[0]
    return _write(request, DutyRuleForm(_posted(request), initial=DutyRuleForm.initial_of(said)), found)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Put a rule out of force for good."""
    found = sod_rule(slug)
    sod.retire_sod_rule(found, actor=actor_of(request))
    messages.success(request, f"{found.name} is retired. What it held back is given within a minute.")
    return redirect("duties")


@needs(RoleName.SECURITY_ADMIN)
def except_(request: HttpRequest, slug: str) -> HttpResponse:
    """Let somebody break a rule for a time."""
    found = sod_rule(slug)
    owner = duties_shown.versions_of(found.slug)[0].version.owner
    form = ExceptionForm(_posted(request), initial=ExceptionForm.initial_of(_asked_for(request), owner))
    if request.method == "POST" and form.is_valid() and _grant(request, found, form):
        return redirect("duty_rule", found.slug)
    context = {"page": "duties", "rule": found, "form": form}
    return render(request, "govern/duty_exception.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def end(request: HttpRequest, exception_id: int) -> HttpResponse:
    """End an exception before its time."""
    found = sod_exception(exception_id)
    sod.end_sod_exception(found, ended_by=person_of(request), actor=actor_of(request))
    messages.success(request, f"The exception of {found.person.display_name} has ended.")
    return redirect("duty_rule", found.rule.slug)


def _write(request: HttpRequest, form: DutyRuleForm, found: SodRule | None) -> HttpResponse:
    terms = _terms(form) if request.method == "POST" else None
    preview = None if terms is None else _preview(form, terms, found)
    is_looked_at = preview is not None and request.POST.get("shown") == preview.fingerprint
    if terms is not None and is_looked_at and _save(request, form, terms, found):
        return redirect("duties") if found is None else redirect("duty_rule", found.slug)
    context = {"page": "duties", "rule": found, "form": form, "preview": None if form.errors else preview}
    return render(request, "govern/duty_rule_form.html", context, status=422 if form.errors else 200)


def _terms(form: DutyRuleForm) -> SodTerms | None:
    """Return what was written when it can be a rule, else none after putting what is wrong into the form."""
    if not form.is_valid():
        return None
    terms = form.terms()
    try:
        sod.check_sod_terms(terms)
    except Invalid as error:
        add_errors(form, error)
        return None
    return terms


def _preview(form: DutyRuleForm, terms: SodTerms, found: SodRule | None) -> Preview:
    at = now()
    draft = _draft(terms, found)
    page = conflicts.page_of(draft, at=at, size=NAMED)
    before = conflicts.total_of(duties_shown.versions_of(found.slug)[0].policy, at=at) if found else None
    return Preview(
        conflicts.total_of(draft, at=at), duties_shown.breakers(page.conflicts, at=at), before, form.fingerprint()
    )


def _draft(terms: SodTerms, found: SodRule | None) -> DutyRule:
    return DutyRule(
        rule_id=found.pk if found else 0,
        version_id=0,
        slug=found.slug if found else "",
        name=terms.name,
        why=terms.why,
        severity=terms.severity,
        blocks=terms.effect == SodEffect.BLOCK,
        first=frozenset(role.pk for role in terms.first),
        second=frozenset(role.pk for role in terms.second),
        at_most=terms.at_most,
    )


def _save(request: HttpRequest, form: DutyRuleForm, terms: SodTerms, found: SodRule | None) -> bool:
    try:
        version = sod.save_sod_rule(terms, slug=found.slug if found else "", actor=actor_of(request))
    except Conflict as conflict:
        form.add_error("name", str(conflict))
        return False
    messages.success(request, f"Version {version.number} of {version.name} is in force from now on.")
    return True


def _grant(request: HttpRequest, found: SodRule, form: ExceptionForm) -> bool:
    said = form.cleaned_data
    try:
        exceptions.grant_exception(
            found,
            said["person"],
            reason=said["reason"],
            owner=said["owner"],
            ends_at=end_of_day(said["ends_on"]) + timedelta(microseconds=1),
            granted_by=person_of(request),
            actor=actor_of(request),
        )
    except Refused as refusal:
        for reason in refusal.reasons:
            form.add_error(reason.field if reason.field in form.fields else None, reason.sentence)
        return False
    except Invalid as error:
        add_errors(
            form, Invalid({"ends_on" if name == "ends_at" else name: said for name, said in error.fields.items()})
        )
        return False
    except Conflict as conflict:
        form.add_error("person", str(conflict))
        return False
    messages.success(request, f"{said['person'].display_name} may break {found.name} until {said['ends_on']:%d %B %Y}.")
    return True


def _asked_for(request: HttpRequest) -> Person | None:
    ref = request.GET.get("person", "")
    if not ref:
        return None
    try:
        return person_by_ref(ref)
    except NotFound:
        return None


def _posted(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None
