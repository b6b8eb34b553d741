"""Changing an application: who answers for it, and which roles it has."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from governance.access import catalog_changes, retiring
from governance.catalog import actions as catalog
from governance.catalog.models import AccessPolicy, Application, DataClass, EntitlementKind, Risk
from governance.core.errors import Conflict, Invalid, Refused
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import person as person_by_ref
from governance.web.actor import actor_of
from governance.web.govern.application import shared
from governance.web.govern.pages import add_errors, show
from governance.web.govern.reach import application_in_reach, require_change
from governance.web.roles import needs


class RoleForm(forms.Form):
    """A role inside an application."""

    name = forms.CharField(max_length=120, help_text="What people here call it, for instance Analyst.")
    sentence = forms.CharField(
        max_length=300,
        label="What it lets somebody do",
        help_text="One plain sentence. Who asks and who decides read it.",
    )
    kind = forms.ChoiceField(choices=EntitlementKind.choices, initial=EntitlementKind.GROUP, label="What it is there")
    target_ref = forms.CharField(
        max_length=320,
        label="Its name in the application",
        help_text="The display name of the group, or the role's value.",
    )
    risk = forms.TypedChoiceField(choices=Risk.choices, coerce=int, initial=Risk.MEDIUM)
    data_classes = forms.MultipleChoiceField(
        choices=DataClass.choices, required=False, widget=forms.CheckboxSelectMultiple, label="Data it reaches"
    )
    is_privileged = forms.BooleanField(required=False, label="Powerful: can change settings or other people's access")
    is_requestable = forms.BooleanField(required=False, initial=True, label="People may ask for it")
    policy = forms.ModelChoiceField(
        AccessPolicy.objects.order_by("name"), required=False, empty_label="Standard: the owner decides"
    )


class ChangeRoleForm(RoleForm):
    """What can be changed of a role: what it is in the application stays, because accounts there hold it."""

    kind = None  # type: ignore[assignment]  # how Django takes a field out of a form
    target_ref = None  # type: ignore[assignment]


class ApplicationForm(forms.Form):
    """What an application says of itself."""

    name = forms.CharField(max_length=120)
    description = forms.CharField(max_length=300, required=False, help_text="What people here use it for.")
    risk = forms.TypedChoiceField(choices=Risk.choices, coerce=int)
    data_classes = forms.MultipleChoiceField(
        choices=DataClass.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Data it holds",
        help_text="What each role reaches is said by the role.",
    )
    session_hours = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=catalog.MOST_SESSION_HOURS,
        label="How long an open session lasts, in hours",
        help_text="At most, after access was taken away. Who approves and who looks after leavers reads it. "
        "Leave it empty when you do not know.",
    )


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change what an application says of itself."""
    found = _in_use(request, slug)
    known = model_to_dict(found, fields=["name", "description", "risk", "data_classes", "session_hours"])
    form = ApplicationForm(request.POST if request.method == "POST" else None, initial=known)
    if request.method == "POST" and form.is_valid():
        try:
            changed = catalog.change_application(found, **form.cleaned_data, actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(
                request, f"{form.cleaned_data['name']} was saved." if changed else "Nothing was different."
            )
            return redirect("application", found.slug)
    return _form(request, found, form, f"Change {found.name}", "Save application")


@needs(RoleName.SECURITY_ADMIN)
def owners(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who answers for an application, and find people to add."""
    found = application_in_reach(request, slug)
    present = [one.person for one in found.ownerships.select_related("person").order_by("since", "id")]
    refusals: list[str] = []
    if request.method == "POST":
        try:
            return _change_owners(request, found, present)
        except Refused as refusal:
            refusals = [reason.sentence for reason in refusal.reasons]
    text = request.GET.get("q", "")[:100].strip()
    context = shared(request, found, "access") | {
        "q": text,
        "hits": _people(text, {one.pk for one in present}),
        "refusals": refusals,
    }
    if refusals:
        return render(request, "govern/owners.html", context, status=422)
    return show(request, "govern/owners.html", "hits", context)


def _change_owners(request: HttpRequest, found: Application, present: list[Person]) -> HttpResponse:
    person = person_by_ref(request.POST.get("person", ""))
    others = [one for one in present if one.pk != person.pk]
    adds = request.POST.get("do") == "add"
    catalog_changes.set_owners(found, [*others, person] if adds else others, actor=actor_of(request))
    messages.success(
        request, f"{person.display_name} {'now answers' if adds else 'no longer answers'} for {found.name}."
    )
    return redirect("application_owners", found.slug)


def _people(text: str, but: set[int]) -> list[Person]:
    if not text:
        return []
    named = Q(display_name__icontains=text) | Q(email__istartswith=text)
    return list(
        Person.objects.filter(named, status=Status.ACTIVE).exclude(pk__in=but).order_by("display_name", "id")[:12]
    )


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
def new_role(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a role that people can have in this application."""
    found = _in_use(request, slug)
    form = RoleForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            retiring.add_role(found, **form.cleaned_data, actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        except Conflict as conflict:
            form.add_error("name", str(conflict))
        else:
            messages.success(request, f"{form.cleaned_data['name']} was added.")
            return redirect("application_roles", found.slug)
    return _form(request, found, form, "New role", "Add role")


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
def edit_role(request: HttpRequest, slug: str, role: str) -> HttpResponse:
    """Change what a role says, how risky it is and who decides about it."""
    found = _in_use(request, slug)
    entitlement = get_object_or_404(found.entitlements, slug=role, retired_at=None)
    form = ChangeRoleForm(request.POST if request.method == "POST" else None, initial=model_to_dict(entitlement))
    if request.method == "POST" and form.is_valid():
        try:
            catalog_changes.change_role(entitlement, **form.cleaned_data, actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        except Refused as refusal:
            for reason in refusal.reasons:
                form.add_error("policy", reason.sentence)
        except Conflict as conflict:
            form.add_error("name", str(conflict))
        else:
            messages.success(request, f"{form.cleaned_data['name']} was saved.")
            return redirect("application_roles", found.slug)
    return _form(request, found, form, f"Change {entitlement.name}", "Save role")


def _in_use(request: HttpRequest, slug: str) -> Application:
    """Return an application whose roles the reader may change. Raises Conflict when it is retired."""
    found = application_in_reach(request, slug)
    require_change(request, found)
    if found.retired_at is not None:
        raise Conflict(f"{found.name} is retired; its roles stay as they were.")
    return found


def _form(request: HttpRequest, found: Application, form: forms.Form, title: str, button: str) -> HttpResponse:
    context = shared(request, found, "roles") | {"form": form, "title": title, "button": button}
    return render(request, "govern/application_form.html", context, status=422 if form.errors else 200)
