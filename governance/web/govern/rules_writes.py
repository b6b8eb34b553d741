"""Writing birthright rules after a look at whom a change adds to and takes from, and retiring them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from governance.access import birthright_preview, rule_parking, rule_runs
from governance.access.birthright_preview import EFFECTS, Named, Preview
from governance.catalog import rules as catalog
from governance.catalog.models import BirthrightRule, Entitlement
from governance.catalog.rules import RuleTerms
from governance.catalog.rules_queries import birthright_rule
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import RoleName
from governance.identity.values import ATTRIBUTES, common_values
from governance.web.actor import actor_of
from governance.web.govern.exporting import guarded, record_preview_export
from governance.web.govern.pages import PAGE_SIZE, add_errors, whole_number
from governance.web.govern.rules_forms import OFFERED, PartForm, RuleForm, joined, live_roles, one_part
from governance.web.roles import needs

#: What each kind of change is called where it is shown.
WORDS = {
    "adds": "get a role",
    "takes": "lose a role at once",
    "keeps": "keep a role for the grace, then lose it",
    "held_back": "would get a role that a rule about duties holds back",
    "goes_on": "were about to lose a role and keep it",
    "unchanged": "notice nothing: something else gives the role as well",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A preview as it is shown: with the names of roles, and what saving asks to have been seen."""

    said: Preview
    roles: Mapping[int, str]
    seen: str
    #: What was written, as a query string.
    words: str

    @property
    def effects(self) -> list[tuple[str, str, birthright_preview.Effect]]:
        """Return the kinds of change that happen to somebody, with their words."""
        return [(kind, WORDS[kind], self.said.of(kind)) for kind in EFFECTS if self.said.of(kind).people]


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Write a new rule: look at whom it adds to, then save."""
    return _write(request, RuleForm(_said(request)), None)


@needs(RoleName.SECURITY_ADMIN)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Write the next version of a rule: look at whom it adds to and takes from, then save."""
    found = _changeable(slug)
    said = _said(request)
    if said is not None:
        return _write(request, RuleForm(said), found)
    versions = found.versions.prefetch_related("entitlements")
    latest = versions.order_by(F("call_off").asc(nulls_first=True), "-number")[0]
    return _write(request, RuleForm(initial=RuleForm.initial_of(found.name, latest)), found)


@needs(RoleName.SECURITY_ADMIN)
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Look at whom retiring a rule takes from, then put it out of force for good."""
    found = _changeable(slug)
    look = _look(None, found, "")
    if request.method == "POST":
        if request.POST.get("seen") == look.seen:
            rule_runs.retire_rule(found, actor=actor_of(request))
            messages.success(request, f"{found.name} is retired. What only it gave is being taken away.")
            return redirect("rule", found.slug)
        look_again = True
    else:
        look_again = False
    context = {"page": "policies", "rule": found, "look": look, "look_again": look_again}
    return render(request, "govern/rule_retire.html", context, status=409 if look_again else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def try_again(request: HttpRequest, slug: str) -> HttpResponse:
    """Have what could not be applied of a rule tried again."""
    found = birthright_rule(slug)
    rule_parking.try_again(found, actor=actor_of(request))
    messages.success(request, f"{found.name} is tried again, from where it stopped.")
    return redirect("rule", found.slug)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def call_off(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Take back a version that has not begun."""
    found = birthright_rule(slug)
    rule_runs.call_off(found, number, actor=actor_of(request))
    messages.success(request, f"Version {number} of {found.name} is called off and never begins.")
    return redirect("rule", found.slug)


@needs(RoleName.SECURITY_ADMIN)
def affected(request: HttpRequest, slug: str = "") -> HttpResponse:
    """List everybody for whom a change written in the address does something, by name; as a file when sent."""
    found = _changeable(slug) if slug else None
    retires = "retire" in request.GET and found is not None
    form = RuleForm(request.GET)
    terms = None if retires else _terms(form)
    if terms is None and not retires:
        raise Invalid({"": "This address does not say a whole rule. Look at the rule again, then open its list."})
    kind = request.GET.get("kind", EFFECTS[0])
    if kind not in EFFECTS:
        raise NotFound("There is no such list.")
    if request.method == "POST":
        return _as_file(terms, found, actor=actor_of(request))
    name, key = request.GET.get("after", ""), whole_number(request.GET.get("key"), 0)
    after = (name, key) if name else None
    page = birthright_preview.named_page(terms, found, kind, after=after, size=PAGE_SIZE, at=now())
    context = {
        "page": "policies",
        "rule": found,
        "kind": kind,
        "kinds": WORDS,
        "rows": page.rows,
        "next": page.next,
        "roles": _role_names(page.rows),
        "words": "retire=1" if retires else form.address_words(),
        "retires": retires,
    }
    return render(request, "govern/rule_affected.html", context)


def _write(request: HttpRequest, form: RuleForm, found: BirthrightRule | None) -> HttpResponse:
    part, was_built, offered = PartForm(), False, live_roles()
    if request.method == "POST" and "part" in request.POST:
        form, part, was_built = _built(request, form)
    form.offer(offered)
    terms = None if was_built or not form.is_bound else _terms(form)
    look = None if terms is None else _look(terms, found, form.address_words(), offered)
    again = ""
    if request.method == "POST" and request.POST.get("do") == "save" and terms is not None and look is not None:
        again = _seen_again(request.POST, look)
        if not again and _save(request, form, terms, found):
            return redirect("rule", _slug(found, form))
    context = {
        "page": "policies",
        "rule": found,
        "form": form,
        "part": part,
        "look": None if form.errors else look,
        "again": again,
        "values": common_values(OFFERED),
        "attributes": ATTRIBUTES,
    }
    status = 422 if form.is_bound and form.errors and not was_built else 409 if again else 200
    return render(request, "govern/rule_form.html", context, status=status)


def _built(request: HttpRequest, form: RuleForm) -> tuple[RuleForm, PartForm, bool]:
    """Return the form with one more part in its condition, from what was picked or built."""
    posted = request.POST.copy()
    part, text = one_part(posted)
    if text:
        posted["condition"] = joined(posted.get("condition", ""), text, posted.get("joined", "and"))
    # Shown as written, without complaints about what is not filled in yet.
    shown = RuleForm(initial={name: _one_or_many(posted, name) for name in form.fields})
    return shown, part, True


def _one_or_many(posted: QueryDict, name: str) -> Any:
    return posted.getlist(name) if name == "entitlements" else posted.get(name, "")


def _terms(form: RuleForm) -> RuleTerms | None:
    """Return what was written when it can be a rule, else none after putting what is wrong into the form."""
    if not form.is_valid():
        return None
    terms = form.terms()
    try:
        catalog.check_rule_terms(terms)
    except Invalid as error:
        add_errors(form, error)
        return None
    return terms


def _look(terms: RuleTerms | None, found: BirthrightRule | None, words: str, known: Iterable[Entitlement] = ()) -> Look:
    said = birthright_preview.preview(terms, found, at=now())
    named = [one for effect in said.effects.values() for one in effect.named]
    written = hashlib.sha256(words.encode()).hexdigest()[:16]
    return Look(said, _role_names(named, known), f"{written}:{said.digest}", words)


def _seen_again(posted: QueryDict, look: Look) -> str:
    """Return why it has to be looked at again before it is saved; empty when it was seen as it is."""
    seen, _, digest = posted.get("seen", "").partition(":")
    written, _, now_digest = look.seen.partition(":")
    if seen != written:
        return "You changed the rule after you looked. This is what it does as it is written now."
    if digest != now_digest:
        return "The people it affects changed since you looked. This is what it does now; nothing was saved."
    return ""


def _save(request: HttpRequest, form: RuleForm, terms: RuleTerms, found: BirthrightRule | None) -> bool:
    try:
        version = rule_runs.change_rule(terms, slug=found.slug if found else "", actor=actor_of(request))
    except Invalid as error:
        add_errors(form, error)
        return False
    except Conflict as error:
        form.add_error("name", str(error))
        return False
    form.saved_slug = version.rule.slug  # type: ignore[attr-defined]
    begins = "begins on its day" if terms.starts_at else "is in force"
    messages.success(request, f"Version {version.number} of {version.rule.name} {begins}.")
    return True


def _slug(found: BirthrightRule | None, form: RuleForm) -> str:
    return found.slug if found else form.saved_slug  # type: ignore[attr-defined]


def _changeable(slug: str) -> BirthrightRule:
    found = birthright_rule(slug)
    if found.retired_at is not None:
        raise Conflict(f"{found.name} is retired and cannot be changed.")
    return found


def _said(request: HttpRequest) -> Any:
    """Return what was written: sent, or in the address, where a link or a suggestion put it."""
    if request.method == "POST":
        return request.POST
    return _completed(request.GET) if "condition" in request.GET else None


def _completed(said: QueryDict) -> QueryDict:
    """Return what an address says with the usual words for what it leaves out."""
    whole = said.copy()
    for name, field in RuleForm.base_fields.items():
        if name not in whole and field.initial is not None:
            whole[name] = str(field.initial)
    return whole


def _role_names(people: Iterable[Named], known: Iterable[Entitlement] = ()) -> dict[int, str]:
    """Return the names of roles; a statement for those that are not known."""
    names = {one.pk: f"{one.name} in {one.application.name}" for one in known}
    wanted = {role for one in people for role in one.entitlement_ids} - names.keys()
    found = Entitlement.objects.filter(pk__in=wanted).select_related("application") if wanted else ()
    return names | {one.pk: f"{one.name} in {one.application.name}" for one in found}


def _as_file(terms: RuleTerms | None, found: BirthrightRule | None, *, actor: Actor) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("change", "person_ref", "name", "title", "department", "roles"))
    at, number = now(), 0
    for kind in EFFECTS:
        people = birthright_preview.named_page(terms, found, kind, after=None, size=None, at=at).rows
        names = _role_names(people)
        number += len(people)
        for one in people:
            roles = "; ".join(names[role] for role in one.entitlement_ids)
            writer.writerow((kind, one.ref, *map(guarded, (one.name, one.title, one.department, roles))))
    record_preview_export(found.slug if found else "", rows=number, actor=actor)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="rule-{at:%Y-%m-%dT%H%MZ}.csv"'
    return response
