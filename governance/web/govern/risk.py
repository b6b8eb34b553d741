"""The weights of risk: what each fact adds, what others would change, and a second person who decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from governance.access.risk_preview import preview
from governance.catalog import risk_weights
from governance.catalog.models import RiskProposal
from governance.catalog.weights import NAMES, STANDARD, Weights, check, weights_of
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed, NotFound, Refused
from governance.identity.models import RoleName
from governance.web.actor import actor_of, person_of
from governance.web.roles import needs, standing_of

#: What each weight is, in the words of the page.
WORDS = {
    "role_level": "Each level of the role above the lowest",
    "privileged": "A powerful role",
    "patient_data": "It reaches patient data",
    "other_data": "It reaches other protected data",
    "not_employee": "The person is not an employee",
    "new_here": "The person is new",
    "new_here_days": "New is who joined less than so many days ago",
    "open_end": "No end",
    "long": "A long time",
    "long_days": "Long is more than so many days",
    "unusual_hour": "It begins outside usual hours, where the person is",
    "weekend": "It begins at a weekend",
    "day_begins": "Usual hours begin at",
    "day_ends": "Usual hours end at",
    "few_peers": "Few in the same department have it",
    "few_peers_percent": "Few is less than so many percent",
    "declined_lately": "It was declined for the person lately",
    "duties": "Each rule about duties that it breaks",
    "duties_level": "And for each level of how bad that is",
    "medium_from": "Medium begins at",
    "high_from": "High begins at",
    "critical_from": "Critical begins at",
}


class WeightsForm(forms.Form):
    """All weights, and why."""

    why = forms.CharField(
        label="Why",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Say why. The second person reads it."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in NAMES:
            self.fields[name] = forms.IntegerField(
                label=WORDS[name],
                widget=forms.NumberInput(attrs={"class": "input auto num", "min": 0, "max": 3650}),
                error_messages={"required": "Write a whole number.", "invalid": "Write a whole number."},
            )

    @property
    def numbers(self) -> list[forms.BoundField]:
        """Return the fields of the weights, in order."""
        return [self[name] for name in NAMES]

    @property
    def said(self) -> dict[str, int]:
        """Return the weights as written."""
        return {name: self.cleaned_data[name] for name in NAMES}


@dataclass(frozen=True, slots=True)
class Change:
    """One weight that a proposal changes."""

    words: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal with what it changes."""

    proposal: RiskProposal
    changes: tuple[Change, ...]
    is_mine: bool


@needs(RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
def risk(request: HttpRequest) -> HttpResponse:
    """Show the weights and what is proposed; look at others, and propose them."""
    if request.method == "POST":
        if not standing_of(request).is_security_admin:
            raise NotAllowed("Weights are changed by who administers security.")
        return _write(request)
    return _page(request, WeightsForm(initial=risk_weights.weights_in_force().as_json()))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def settle(request: HttpRequest, weights_id: int, deed: str) -> HttpResponse:
    """Approve or decline a proposal as a second person, or take back one's own."""
    proposal = RiskProposal.objects.filter(pk=weights_id).first()
    if proposal is None:
        raise NotFound("There is no such proposal.")
    person, actor = person_of(request), actor_of(request)
    try:
        if deed == "approve":
            said = f"Version {risk_weights.approve(proposal, approver=person, actor=actor).number} counts from now on."
        elif deed == "decline":
            reason = request.POST.get("reason", "")
            risk_weights.decline(proposal, approver=person, reason=reason, actor=actor)
            said = "Declined."
        else:
            risk_weights.withdraw(proposal, proposer=person, actor=actor)
            said = "Taken back."
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("risk")
    messages.success(request, said)
    return redirect("risk")


def _write(request: HttpRequest) -> HttpResponse:
    looks = request.POST.get("step") != "propose"
    form = WeightsForm(request.POST)
    if looks:
        form.fields["why"].required = False
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        weights = check(form.said)
        if not looks:
            person, why = person_of(request), form.cleaned_data["why"]
            risk_weights.propose(form.said, why=why, proposer=person, actor=actor_of(request))
            messages.success(request, "Proposed. A second person who administers security decides.")
            return redirect("risk")
    except Invalid as problem:
        for name, sentences in problem.fields.items():
            form.add_error(name if name in form.fields else None, list(sentences))
        return _page(request, form, status=422)
    return _page(request, form, weights)


def _page(
    request: HttpRequest, form: WeightsForm, weights: Weights | None = None, *, status: int = 200
) -> HttpResponse:
    current = risk_weights.weights_in_force()
    person = person_of(request)
    shown = {
        "page": "risk",
        "form": form,
        "current": current,
        "facts": [(WORDS[name], value) for name, value in current.as_json().items()],
        "proposals": [_shown(one, current, person.pk) for one in risk_weights.waiting_proposals()],
        "versions": risk_weights.versions(),
        "preview": preview(weights, at=now()) if weights else None,
        "may_change": standing_of(request).is_security_admin,
        "is_shipped": current.version == STANDARD.version,
    }
    return render(request, "govern/risk.html", shown, status=status)


def _shown(proposal: RiskProposal, current: Weights, reader_id: int) -> Shown:
    changes = risk_weights.changes(current, weights_of(proposal.weights, current.version))
    return Shown(
        proposal,
        tuple(Change(WORDS[name], before, after) for name, (before, after) in changes.items()),
        proposal.proposed_by_id == reader_id,
    )
