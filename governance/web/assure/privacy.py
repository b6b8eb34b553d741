"""What is kept of people: erasures, legal holds, how long. Security administrators decide, auditors look."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from governance.catalog.models import Application
from governance.core.errors import Invalid
from governance.identity.models import Person, RoleName
from governance.identity.queries import names_by_ref, people_by_email, person
from governance.privacy import erasing, legal_holds, pruning, queries, restricting, retaining
from governance.privacy.models import FEWEST_YEARS, MOST_YEARS
from governance.privacy.rights import check_may_decide
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
_LINES = forms.Textarea(attrs={"rows": 3})


class YearsForm(forms.Form):
    """For how many years records are kept."""

    years = forms.IntegerField(
        min_value=FEWEST_YEARS,
        max_value=MOST_YEARS,
        label="Years after somebody left",
        error_messages={"invalid": "Give a whole number.", "required": "Say for how many years."},
    )
    why = forms.CharField(max_length=1000, widget=_LINES, error_messages={"required": "Say why."})


class HoldForm(forms.Form):
    """What must be kept."""

    name = forms.CharField(max_length=120, error_messages={"required": "Give it a name."})
    reason = forms.CharField(max_length=1000, widget=_LINES, error_messages={"required": "Say why."})
    people = forms.CharField(
        required=False,
        max_length=20_000,
        widget=_LINES,
        help_text="One e-mail address or user name on each line. Nobody and no application means everything.",
    )
    applications = forms.ModelMultipleChoiceField(
        Application.objects.order_by("name"), required=False, to_field_name="slug"
    )

    def clean_people(self) -> list[Person]:
        """Return whom the lines name."""
        wanted = list(dict.fromkeys(line.strip() for line in self.cleaned_data["people"].splitlines() if line.strip()))
        known = people_by_email(wanted)
        unknown = [one for one in wanted if one not in known]
        if unknown:
            raise forms.ValidationError(f"Nobody has the address {', '.join(unknown[:5])}.")
        return [known[one] for one in wanted]


class EraseForm(forms.Form):
    """On what ground somebody's data goes, and what it must be kept for."""

    ground = forms.CharField(
        max_length=1000, label="Why it goes", widget=_LINES, error_messages={"required": "Say on what ground."}
    )
    duty = forms.CharField(
        required=False,
        max_length=1000,
        label="What it must be kept for",
        widget=_LINES,
        help_text="The law or contract, as your counsel names it. Left empty, it goes at once and cannot be had back.",
    )


class ReasonForm(forms.Form):
    """Why a hold ends."""

    reason = forms.CharField(max_length=1000, label="Why it ends", error_messages={"required": "Say why."})


@needs(*READERS)
def privacy(request: HttpRequest) -> HttpResponse:
    """Show what waits to be erased, what was, the holds, and how long records are kept; keep a new number of years."""
    if request.method == "POST":
        check_may_decide(actor_of(request))
    form = YearsForm(request.POST or None, initial={"years": retaining.years_kept()})
    if request.method == "POST" and form.is_valid():
        try:
            said = form.cleaned_data
            rule = retaining.set_retention(said["years"], said["why"], actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Kept." if rule else "Proposed. More would go: somebody else has to confirm it.")
            return redirect("privacy")
    return _page(request, form, ReasonForm(), status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def shorter_confirm(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Confirm that records are kept for fewer years."""
    rule = retaining.confirm_shorter(proposal_id, actor=actor_of(request))
    messages.success(request, f"Records are kept for {rule.years} years from now on.")
    return redirect("privacy")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def shorter_decline(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Say no to fewer years."""
    retaining.decline_shorter(proposal_id, actor=actor_of(request))
    messages.success(request, "It stays as it is.")
    return redirect("privacy")


@needs(RoleName.SECURITY_ADMIN)
def hold_new(request: HttpRequest) -> HttpResponse:
    """Place a legal hold."""
    form = HoldForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            legal_holds.place(
                said["name"],
                said["reason"],
                people=said["people"],
                applications=list(said["applications"]),
                actor=actor_of(request),
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "It is held until two people release it.")
            return redirect("privacy")
    context = {"page": "privacy", "form": form}
    return render(request, "assure/legal_hold_new.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def hold_propose(request: HttpRequest, ref: str) -> HttpResponse:
    """Propose that a hold ends."""
    hold, form = legal_holds.hold_named(ref), ReasonForm(request.POST)
    if not form.is_valid():
        return _page(request, YearsForm(initial={"years": retaining.years_kept()}), form, hold.pk, status=422)
    legal_holds.propose_release(hold, form.cleaned_data["reason"], actor=actor_of(request))
    messages.success(request, "Somebody else has to confirm it.")
    return redirect("privacy")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def hold_release(request: HttpRequest, ref: str) -> HttpResponse:
    """Confirm that a hold ends."""
    legal_holds.release(legal_holds.hold_named(ref), actor=actor_of(request))
    messages.success(request, "It is released.")
    return redirect("privacy")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def hold_decline(request: HttpRequest, ref: str) -> HttpResponse:
    """Say no to the end of a hold."""
    legal_holds.decline_release(legal_holds.hold_named(ref), actor=actor_of(request))
    messages.success(request, "It goes on.")
    return redirect("privacy")


@needs(RoleName.SECURITY_ADMIN)
def erase(request: HttpRequest, ref: str) -> HttpResponse:
    """Show what is in the way of erasing somebody, and have their data go."""
    who = person(ref)
    form = EraseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            erasure = erasing.ask(who, said["ground"], duty=said["duty"], actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            if erasure.state == "erased":
                messages.success(request, "Erased. Backups and applications keep what they have.")
            else:
                messages.success(request, f"It is kept until {erasure.due_at:%Y-%m-%d} and goes then.")
            return redirect("privacy")
    context = {
        "page": "privacy",
        "person": who,
        "form": form,
        "hindrances": erasing.hindrances(who),
        "years": retaining.years_kept(),
    }
    return render(request, "assure/erase.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def erasure_cancel(request: HttpRequest, erasure_id: int) -> HttpResponse:
    """Have somebody's data stay after all."""
    erasing.cancel(queries.erasure(erasure_id), actor=actor_of(request))
    messages.success(request, "It stays.")
    return redirect("privacy")


def _page(
    request: HttpRequest, form: YearsForm, reason_form: ReasonForm, reason_for: int = 0, *, status: int
) -> HttpResponse:
    waiting, settled, held = queries.waiting(), queries.settled(), queries.holds()
    proposal = retaining.proposal()
    refs = {one.asked_by_ref for one in (*waiting, *settled)}
    if proposal is not None:
        refs.add(proposal.proposed_by_ref)
    for one in held:
        refs |= {one.placed_by_ref, one.release_proposed_by_ref, one.released_by_ref, *one.people[:20]}
    context: dict[str, Any] = {
        "page": "privacy",
        "form": form,
        "reason_form": reason_form,
        "reason_for": reason_for,
        "years": retaining.years_kept(),
        "ledger": pruning.standing(),
        "waiting": waiting,
        "settled": settled,
        "holds": held,
        "proposal": proposal,
        "true_names": restricting.true_names({one.person_id for one in waiting}),
        "names": names_by_ref(refs),
        "me": str(actor_of(request).ref),
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "assure/privacy.html", context, status=status)
