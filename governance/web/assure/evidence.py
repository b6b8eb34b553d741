"""Evidence: choose a framework and a period, see what it holds, build it, download it, know how to verify it."""

from __future__ import annotations

import contextlib
from datetime import date, timedelta
from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from governance.core.clock import now
from governance.core.errors import Invalid
from governance.evidence import actions, queries
from governance.evidence.controls import FRAMEWORKS
from governance.evidence.models import OPEN_STATES, DefinitionVersion, EvidenceBundle
from governance.identity.models import RoleName
from governance.identity.queries import names_by_ref
from governance.ledger.queries import Head, latest_checkpoint
from governance.web.actor import actor_of
from governance.web.assure.keys import signing_key
from governance.web.govern.pages import add_errors, is_htmx, show
from governance.web.roles import needs
from governance.web.zone import zone_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


class PeriodForm(forms.Form):
    """What a bundle is about. The fields are named as the errors of evidence name them."""

    framework = forms.ChoiceField(choices=[(one.slug, one.name) for one in FRAMEWORKS.values()])
    zone = forms.CharField(max_length=64, label="Time zone")

    field_order: tuple[str, ...] = ("framework", "from", "to", "zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        day = {"invalid": "Write the day as 2026-03-31.", "required": "Choose a day."}
        widget = forms.DateInput(attrs={"type": "date"})
        self.fields["from"] = forms.DateField(label="First day", error_messages=day, widget=widget)
        self.fields["to"] = forms.DateField(label="Last day", error_messages=day, widget=widget)
        self.order_fields(self.field_order)


class QuestionForm(PeriodForm):
    """What a bundle is about, and the definition that says what it holds; its framework is the one that counts."""

    definition = forms.CharField(max_length=36, required=False)

    field_order: tuple[str, ...] = (*PeriodForm.field_order, "definition")

    @property
    def chosen(self) -> DefinitionVersion | None:
        """Return the definition that is asked by, where there is such a one."""
        ref = self["definition"].value()
        with contextlib.suppress(Invalid):
            return queries.definition_version(ref) if ref else None
        return None


@needs(*READERS)
@require_GET
def evidence(request: HttpRequest) -> HttpResponse:
    """Show what a bundle would hold, and the bundles there are."""
    is_asked = bool(request.GET.get("from") or request.GET.get("to"))
    form = QuestionForm(request.GET if is_asked else None, initial=start(request))
    head = latest_checkpoint()
    context = _context(request, form, head) | {"preview": None, "controls": ()}
    if is_asked and form.is_valid():
        try:
            preview = queries.preview_of(queries.question_of(**asked(form), head=head))
        except Invalid as error:
            add_errors(form, error)
        else:
            context |= {"preview": preview, "controls": queries.controls_of(preview)}
    return show(request, "assure/evidence.html", "preview", context, status=422 if form.errors else 200)


@needs(*READERS)
@require_POST
def build(request: HttpRequest) -> HttpResponse:
    """Ask for a bundle; it is built soon after, and its card tells how far it is."""
    form = QuestionForm(request.POST)
    if form.is_valid():
        try:
            made = actions.request_bundle(**asked(form), actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            if is_htmx(request):
                return render(request, "assure/bundle.html#card", _card(made))
            return redirect("bundle", made.ref)
    context = _context(request, form) | {"preview": None, "controls": ()}
    return show(request, "assure/evidence.html", "preview", context, status=422)


@needs(*READERS)
@require_GET
def bundle(request: HttpRequest, ref: str) -> HttpResponse:
    """Show how far a bundle is, or what it holds; the card asks again by itself until it is done."""
    return show(request, "assure/bundle.html", "card", _card(queries.bundle(ref)))


@needs(*READERS)
@require_POST
def retry(request: HttpRequest, ref: str) -> HttpResponse:
    """Build a failed bundle again."""
    made = actions.retry_bundle(queries.bundle(ref), actor=actor_of(request))
    return render(request, "assure/bundle.html#card", _card(made)) if is_htmx(request) else redirect("bundle", made.ref)


@needs(*READERS)
@require_POST
def late_facts(request: HttpRequest, ref: str) -> HttpResponse:
    """Ask the same again, and what became known since."""
    made = actions.ask_what_came_since(queries.bundle(ref), actor=actor_of(request))
    return redirect("bundle", made.ref)


@needs(*READERS)
@require_POST
def download(request: HttpRequest, ref: str) -> HttpResponse:
    """Hand out the file of a bundle; that it left the house is recorded."""
    made = queries.bundle(ref)
    path = actions.hand_out(made, actor=actor_of(request))
    file = FileResponse(
        path.open("rb"), as_attachment=True, filename=made.suggested_name, content_type="application/zip"
    )
    return cast("HttpResponse", file)


def asked(form: PeriodForm) -> dict[str, Any]:
    """Return what a valid form asks, as the room of evidence names it. Raises Invalid naming `definition`."""
    said = form.cleaned_data
    asked = {"framework": said["framework"], "first": said["from"], "last": said["to"], "zone": said["zone"]}
    if not (ref := said.get("definition")):
        return asked
    version = queries.definition_version(ref)
    return {**asked, "framework": version.definition.framework, "definition": version}


def _context(request: HttpRequest, form: QuestionForm, head: Head | None = None) -> dict[str, Any]:
    made = queries.bundles()
    first, last = last_quarter(timezone.localdate(now()))
    return {
        "page": "evidence",
        "form": form,
        "bundles": made,
        "makers": names_by_ref({one.made_by_ref for one in made}),
        "frameworks": FRAMEWORKS,
        "definitions": queries.definitions(),
        "chosen": form.chosen,
        "quarter": {"from": first.isoformat(), "to": last.isoformat()},
        "zones": sorted(available_timezones()),
        "note": queries.mapping_note(),
        **signing_key(head),
    }


def _card(made: EvidenceBundle) -> dict[str, Any]:
    return {
        "page": "evidence",
        "bundle": made,
        "is_open": made.state in OPEN_STATES,
        "late": queries.late_facts_of(made),
        "framework": FRAMEWORKS.get(made.framework),
        "here": reverse("bundle", args=[made.ref]),
        "back": reverse("evidence"),
        **signing_key(),
    }


def start(request: HttpRequest) -> dict[str, Any]:
    """Return what the form begins with: the quarter before this one, in the reader's zone."""
    first, last = last_quarter(timezone.localdate(now()))
    chosen = request.GET.get("framework", "")
    framework = chosen if chosen in FRAMEWORKS else next(iter(FRAMEWORKS))
    definition = request.GET.get("definition", "")
    return {"framework": framework, "from": first, "to": last, "zone": zone_of(request).key, "definition": definition}


def last_quarter(today: date) -> tuple[date, date]:
    """Return the first and last day of the calendar quarter before this one."""
    this = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1)
    last = this - timedelta(days=1)
    return date(last.year, 3 * ((last.month - 1) // 3) + 1, 1), last
