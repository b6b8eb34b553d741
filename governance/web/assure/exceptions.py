"""Exceptions of controls today: the list, one of them with its answer, and the readings that found them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.catalog.models import Application
from governance.core.clock import now
from governance.core.errors import Invalid, NotFound
from governance.evidence import continuous
from governance.evidence.controls import FRAMEWORKS
from governance.evidence.looking import report_named
from governance.evidence.reports.registry import BY_ID
from governance.exceptions import actions, queries
from governance.exceptions.days import company_zone, day_of
from governance.exceptions.models import STATE_WORDS, ControlException, State
from governance.exceptions.rights import Rights, check_may_see
from governance.identity.models import Person, RoleName
from governance.identity.queries import names_by_ref, person_by_email
from governance.ledger.queries import entries
from governance.ledger.recording import Subject
from governance.web import charts
from governance.web.actor import actor_of, person_of
from governance.web.govern.lines import lines_of
from governance.web.govern.pages import add_errors, show, sliced, whole_number
from governance.web.roles import employee_page, needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
#: Icon and tone of each state.
LOOKS = {
    State.OPEN: ("circle-alert", "t-warn"),
    State.EXPLAINED: ("message-square", ""),
    State.OVERDUE: ("calendar-x", "t-bad"),
    State.ACCEPTED: ("hourglass", ""),
    State.FIXED: ("circle-check", "t-good"),
}
#: Ages a list can be narrowed to, in days.
AGES = (7, 30, 90)


class AnswerForm(forms.Form):
    """Who answers for it, why it is there, and until when it is fixed."""

    owner = forms.CharField(
        required=False,
        max_length=320,
        label="Who answers for it",
        help_text="An e-mail address. Empty: the owners of the application, or of the report, or security.",
    )
    explanation = forms.CharField(
        required=False,
        max_length=actions.LONGEST,
        label="Why it is there",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Auditors read it, in every bundle that has this row.",
    )
    fix_by = forms.DateField(
        required=False,
        label="Fixed by",
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Write the day as 2026-03-31."},
    )
    after = forms.IntegerField(widget=forms.HiddenInput)


class AcceptForm(forms.Form):
    """Until when its risk is carried, and why."""

    until = forms.DateField(
        label="Until, at the latest in a year",
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Write the day as 2026-03-31.", "required": "Choose a day."},
    )
    why = forms.CharField(
        max_length=actions.LONGEST,
        label="Why the risk is carried",
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Say why the risk is carried."},
    )
    after = forms.IntegerField(widget=forms.HiddenInput)


class ReportOwnerForm(forms.Form):
    """Who answers for a report."""

    owner = forms.CharField(required=False, max_length=320, label="E-mail address")


@employee_page
@require_GET
def exceptions(request: HttpRequest) -> HttpResponse:
    """List exceptions: all of them for those who administer security or audit, their own for everybody else."""
    sees_all = _sees_all(request)
    found = _narrowed(request, sees_all=sees_all)
    page = sliced(found, "pk", request.GET, descending=True)
    today, owners = day_of(now()), queries.owners_of_reports()
    context = {
        "page": "control_exceptions",
        "slice": page,
        "rows": [{**_shown(one, today), "default": owners.get(one.report)} for one in page.rows],
        "sees_all": sees_all,
        "states": queries.STATES,
        "state": request.GET.get("state", ""),
        "reports": continuous.reports_read(),
        "report": request.GET.get("report", ""),
        "control": request.GET.get("control", ""),
        "applications": list(Application.objects.order_by("name").values_list("slug", "name")) if sees_all else [],
        "application": request.GET.get("application", ""),
        "owner": request.GET.get("owner", ""),
        "ages": AGES,
        "age": whole_number(request.GET.get("age"), 0),
        "last": queries.last_reading(),
    }
    return show(request, "assure/exceptions.html", "rows", context)


@employee_page
@require_GET
def exception(request: HttpRequest, ref: str) -> HttpResponse:
    """Show one exception to whoever answers for it, or sees all."""
    found, rights = _one(request, ref)
    return _exception(request, found, rights)


@employee_page
@require_POST
def answer(request: HttpRequest, ref: str) -> HttpResponse:
    """Say who answers for it, why it is there, and until when it is fixed."""
    found, rights = _one(request, ref)
    form = AnswerForm(request.POST)
    if form.is_valid():
        said = form.cleaned_data
        try:
            actions.answer(
                found,
                owner=_named(said["owner"]),
                explanation=said["explanation"],
                fix_by=said["fix_by"],
                after=said["after"],
                actor=actor_of(request),
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Your answer is saved.")
            return redirect("control_exceptions") if _is_handed_on(request, ref) else redirect("control_exception", ref)
    return _exception(request, found, rights, answer_form=form, status=422)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def accept(request: HttpRequest, ref: str) -> HttpResponse:
    """Carry the risk of an exception until a day."""
    found, rights = _one(request, ref)
    form = AcceptForm(request.POST, prefix="accept")
    if form.is_valid():
        try:
            actions.accept_risk(found, **form.cleaned_data, actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "The risk is accepted until that day.")
            return redirect("control_exception", ref)
    return _exception(request, found, rights, accept_form=form, status=422)


@needs(*READERS)
@require_GET
def readings(request: HttpRequest) -> HttpResponse:
    """Show the last readings, and one of them report by report: the last, or the one in the address."""
    read = queries.readings()
    chosen = queries.reading(request.GET["reading"]) if request.GET.get("reading") else queries.last_reading()
    context = {
        "page": "control_exceptions",
        "readings": read,
        "names": names_by_ref({one.reading.asked_by_ref for one in read}),
        "chosen": chosen,
        "reports": [(each, BY_ID.get(each.report)) for each in (queries.reports_of(chosen) if chosen else ())],
        "trend": trend([one.exceptions for one in reversed(read)]),
        "under_way": queries.reading_under_way(),
        "zone": company_zone(),
        "may_ask": standing_of(request).is_security_admin,
    }
    return render(request, "assure/readings.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def report_owner(request: HttpRequest, report_id: str) -> HttpResponse:
    """Say who answers for the exceptions of a report where nobody else does."""
    report = report_named(report_id.upper())
    form = ReportOwnerForm(request.POST)
    if form.is_valid():
        try:
            actions.set_report_owner(report.id, _named(form.cleaned_data["owner"]), actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, f"Kept for {report.id}.")
            return redirect("control_report_owners")
    return _report_owners(request, {report.id: form}, status=422)


@needs(*READERS)
@require_GET
def report_owners(request: HttpRequest) -> HttpResponse:
    """Show who answers for the exceptions of each report where nobody else does."""
    return _report_owners(request, {})


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def read_now(request: HttpRequest) -> HttpResponse:
    """Have everything read again now."""
    continuous.ask_for_reading(actor=actor_of(request))
    messages.success(request, "The reports are being read. That takes a moment.")
    return redirect("control_readings")


def _report_owners(request: HttpRequest, refused: Mapping[str, ReportOwnerForm], *, status: int = 200) -> HttpResponse:
    owners = queries.owners_of_reports()
    rows = [
        (report, owners.get(report.id), refused.get(report.id) or _owner_form(owners.get(report.id)))
        for report in continuous.reports_read()
    ]
    context = {"page": "control_exceptions", "rows": rows, "may_change": standing_of(request).is_security_admin}
    return render(request, "assure/report_owners.html", context, status=status)


def _owner_form(owner: Person | None) -> ReportOwnerForm:
    return ReportOwnerForm(initial={"owner": owner.email or owner.user_name if owner else ""})


def trend(numbers: Collection[int]) -> Any:
    """Return a line of bars over readings, the oldest first; nothing for fewer than two."""
    if len(numbers) < 2:
        return ""
    said = ", ".join(str(number) for number in numbers)
    return charts.bars(list(numbers), f"Exceptions in the last {len(numbers)} readings, the oldest first: {said}")


def _sees_all(request: HttpRequest) -> bool:
    standing = standing_of(request)
    return standing.is_security_admin or standing.is_auditor


def _narrowed(request: HttpRequest, *, sees_all: bool) -> Any:
    said = request.GET
    owner, person = said.get("owner", ""), person_of(request)
    age = whole_number(said.get("age"), 0)
    return queries.narrowed(
        reports=_reports(said.get("report", ""), said.get("control", "")),
        state=said.get("state", ""),
        application=said.get("application", ""),
        owner=person if owner == "me" else None,
        unowned=owner == "nobody",
        days=min(age, 3650) or None,
        seen_by=None if sees_all else person.pk,
    )


def _reports(report: str, control: str) -> Collection[str] | None:
    """Return the reports that the words of the address ask for: one, or those that speak to a control."""
    if report:
        return [report]
    if not control:
        return None
    slug, _, control_id = control.partition(":")
    framework = FRAMEWORKS.get(slug)
    found = framework.control(control_id) if framework else None
    if found is None:
        raise NotFound("There is no such control.")
    return found.reports


def _one(request: HttpRequest, ref: str) -> tuple[ControlException, Rights]:
    found = queries.one(ref)
    return found, check_may_see(found, actor_of(request))


def _named(address: str) -> Person | None:
    """Return whom the form names. Raises Invalid naming `owner`."""
    if not address.strip():
        return None
    try:
        return person_by_email(address)
    except NotFound as error:
        raise Invalid({"owner": str(error)}) from error


def _is_handed_on(request: HttpRequest, ref: str) -> bool:
    """Tell whether the reader gave an exception away that they now see no more."""
    try:
        _one(request, ref)
    except NotFound:
        return True
    return False


def _shown(found: ControlException, today: Any) -> dict[str, Any]:
    state = found.state_on(today)
    report = BY_ID.get(found.report)
    meanings = dict(report.exceptions) if report else {}
    icon, tone = LOOKS[state]
    return {
        "one": found,
        "report": report,
        "what": [meanings.get(code, code) for code in found.codes.split()],
        "state": STATE_WORDS[state],
        "icon": icon,
        "tone": tone,
        "days": (today - day_of(found.open_since)).days,
    }


def _exception(
    request: HttpRequest,
    found: ControlException,
    rights: Rights,
    *,
    answer_form: AnswerForm | None = None,
    accept_form: AcceptForm | None = None,
    status: int = 200,
) -> HttpResponse:
    said = queries.statements_of(found)
    told = lines_of(entries(about=Subject("exception", str(found.ref)), limit=100).entries)
    row = continuous.row_of(found)
    start = {
        "owner": found.owner.email or found.owner.user_name if found.owner else "",
        "explanation": found.explanation,
        "fix_by": found.fix_by,
        "after": found.statements_made,
    }
    context = {
        "page": "control_exceptions",
        "shown": _shown(found, day_of(now())),
        "exception": found,
        "row": list(row.items()) if row else [],
        "is_row_unread": row is None,
        "said": said,
        "speakers": names_by_ref({ref for _, ref, _ in said}),
        "turns": [one for one in told if one.event not in ("exception.answered", "exception.accepted")],
        "owners": queries.default_owners(found),
        "sees_all": _sees_all(request),
        "may_answer": rights.may_answer,
        "form": answer_form or AnswerForm(initial=start),
        "may_accept": not rights.why_not_accept and found.gone_at is None,
        "why_not_accept": rights.why_not_accept if standing_of(request).is_security_admin else "",
        "accept_form": accept_form or AcceptForm(prefix="accept", initial={"after": found.statements_made}),
        "zone": company_zone(),
    }
    return render(request, "assure/exception.html", context, status=status)
