"""Held changes: what a source wants of too many people, with the names; release, refuse; and the limits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.errors import Invalid, NotAllowed, NotFound, Refused
from governance.identity.models import RoleName
from governance.lifecycle import brake, holds_queries
from governance.lifecycle import holds as holding
from governance.lifecycle.brake import Limits
from governance.lifecycle.holds_queries import SourceLine
from governance.lifecycle.models import ItemState
from governance.web.actor import actor_of, person_of
from governance.web.govern.pages import add_errors, sliced
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


class DecisionForm(forms.Form):
    """Why, and for whom: everybody who waits, or those who are ticked."""

    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    whom = forms.ChoiceField(choices=[("all", "Everybody"), ("ticked", "Ticked")], initial="all")
    item = forms.TypedMultipleChoiceField(coerce=int, required=False)

    def __init__(self, data: Any = None, **known: Any) -> None:
        super().__init__(data, **known)
        ticked = data.getlist("item") if data is not None else []
        self.fields["item"].choices = [(one, one) for one in ticked if one.isascii() and one.isdigit()]  # type: ignore[attr-defined]

    def items(self) -> list[int] | None:
        """Return the chosen items, or None for all."""
        return self.cleaned_data["item"] if self.cleaned_data["whom"] == "ticked" else None


class LimitsForm(forms.Form):
    """From how many people on a source is held."""

    source = forms.CharField(widget=forms.HiddenInput, max_length=120)
    share_percent = forms.IntegerField(
        min_value=0, max_value=100, label="Share of its people, in percent", help_text="Above it the change is held …"
    )
    at_least = forms.IntegerField(
        min_value=1,
        max_value=2_000_000_000,
        label="But never fewer people than",
        help_text="So many always leave at once.",
    )
    at_most = forms.IntegerField(
        min_value=1,
        max_value=2_000_000_000,
        label="And always more people than",
        help_text="However large the company.",
    )
    window_hours = forms.IntegerField(
        min_value=1, max_value=168, label="Within so many hours", help_text="Counted by the hour, 1 to 168."
    )

    @staticmethod
    def initial_of(line: SourceLine) -> dict[str, Any]:
        """Return what stands in the form at first."""
        return {"source": line.source, **{name: getattr(line.limits, name) for name in Limits.__slots__}}

    def limits(self) -> Limits:
        """Return the limits that were chosen."""
        return Limits(**{name: self.cleaned_data[name] for name in Limits.__slots__})


@needs(*READERS)
@require_GET
def holds(request: HttpRequest) -> HttpResponse:
    """List what waits for a decision, and what was decided."""
    context = {
        "page": "holds",
        "open": holds_queries.holds(is_open=True),
        "decided": holds_queries.holds(is_open=False, limit=50),
    }
    return render(request, "govern/holds.html", context)


@needs(*READERS)
@require_GET
def hold(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show one held change with the names."""
    return _hold(request, ref, DecisionForm())


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def release(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Let what is held happen."""
    return _decide(request, ref, is_release=True)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def refuse(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Decide that what is held must not happen."""
    return _decide(request, ref, is_release=False)


@needs(*READERS)
def limits(request: HttpRequest) -> HttpResponse:
    """Show the limits of every source; a security administrator changes those of one."""
    lines = holds_queries.sources()
    standing = standing_of(request)
    if request.method == "POST" and not standing.is_security_admin:
        raise NotAllowed("This is for security administrators.")
    chosen = request.POST.get("source") or request.GET.get("source", "")
    line = next((one for one in lines if one.source == chosen), None)
    if request.method != "POST":
        form = LimitsForm(initial=LimitsForm.initial_of(line)) if line and standing.is_security_admin else None
        return _limits(request, lines, form, line)
    if line is None:
        raise NotFound("There is no such source.")
    form = LimitsForm(request.POST)
    if form.is_valid() and _set(request, line, form):
        return redirect("hold_limits")
    return _limits(request, lines, form, line, status=422)


def _set(request: HttpRequest, line: SourceLine, form: LimitsForm) -> bool:
    try:
        brake.set_limits(line.source, form.limits(), actor=actor_of(request))
    except Invalid as error:
        add_errors(form, error)
        return False
    messages.success(request, f"The limits of {line.words} are saved.")
    return True


def _limits(
    request: HttpRequest,
    lines: list[SourceLine],
    form: LimitsForm | None,
    line: SourceLine | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    may_change = standing_of(request).is_security_admin
    context = {"page": "holds", "lines": lines, "form": form, "line": line, "may_change": may_change}
    return render(request, "govern/hold_limits.html", context, status=status)


def _decide(request: HttpRequest, ref: UUID, *, is_release: bool) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _hold(request, ref, form, status=422)
    act = holding.release if is_release else holding.refuse
    reason = form.cleaned_data["reason"]
    try:
        number = act(ref, form.items(), by=person_of(request), reason=reason, actor=actor_of(request))
    except Refused as refusal:
        for one in refusal.reasons:
            form.add_error(one.field if one.field in form.fields else None, one.sentence)
        return _hold(request, ref, form, status=422)
    if is_release:
        holding.carry_out_released(holding.AT_ONCE)
    messages.success(request, _said(number, is_release=is_release))
    return redirect("hold", ref)


def _said(number: int, *, is_release: bool) -> str:
    people = f"{number:,} {'person' if number == 1 else 'people'}"
    if is_release:
        return f"Released for {people}. It happens now; how far it is stands with each name."
    return f"Refused for {people}. They stay as they are."


def _hold(request: HttpRequest, ref: UUID, form: DecisionForm, *, status: int = 200) -> HttpResponse:
    line = holds_queries.hold_line(ref)
    page = sliced(holds_queries.items_of(line.hold), "pk", request.GET)
    own = str(person_of(request).ref)
    context = {
        "page": "holds",
        "line": line,
        "hold": line.hold,
        "slice": page,
        "numbers": [(ItemState(state).label, number) for state, number in sorted(line.numbers.items())],
        "form": form,
        "may_decide": standing_of(request).is_security_admin and line.waiting,
        "is_own": any(item.signalled_by_ref == own for item in page.rows),
    }
    return render(request, "govern/hold.html", context, status=status)
