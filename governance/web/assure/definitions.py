"""Definitions: what bundles of a framework hold, chosen report by report, and kept as versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.catalog.models import Application
from governance.core.errors import Conflict, Invalid
from governance.evidence import definitions, queries
from governance.evidence.controls import FRAMEWORKS, Framework
from governance.evidence.models import DefinitionVersion
from governance.evidence.narrowing import Chosen, Selection, changes, choosable, conditions_said, filters_of
from governance.evidence.reports.base import Kind, Report
from governance.evidence.reports.registry import BY_ID, REPORTS
from governance.identity.queries import names_by_ref
from governance.web.actor import actor_of
from governance.web.assure.evidence import READERS
from governance.web.govern.pages import add_errors, whole_number
from governance.web.roles import needs

#: What is written for an empty cell.
EMPTY = "(empty)"


class DefinitionForm(forms.Form):
    """What a definition is called; the choices of each report are read beside it."""

    name = forms.CharField(
        max_length=80,
        error_messages={"required": "Give it a name of 1 to 80 characters."},
        help_text="As it will stand on covers, for instance Finance systems, quarterly.",
    )
    applications = forms.ModelMultipleChoiceField(
        Application.objects.filter(retired_at__isnull=True).order_by("name"),
        required=False,
        to_field_name="slug",
        help_text="Choose none for all of them.",
    )
    reason = forms.CharField(
        max_length=500, required=False, label="Why", help_text="For whoever looks at the versions later."
    )


@dataclass(frozen=True, slots=True)
class ReportChoice:
    """A report in the form: whether it is chosen, its columns with a tick, and the values its rows must have."""

    report: Report
    controls: Sequence[str]
    is_chosen: bool
    columns: Sequence[tuple[str, str, bool]]
    filters: Sequence[tuple[str, str, bool]]
    exceptions_only: bool
    said: Sequence[str] = field(default=())


@needs(*READERS)
@require_GET
def listed(request: HttpRequest) -> HttpResponse:
    """Show the definitions in use."""
    found = queries.definitions()
    context = {
        "page": "evidence",
        "definitions": [(one, FRAMEWORKS[one.definition.framework], len(one.reports)) for one in found],
        "makers": names_by_ref({one.made_by_ref for one in found}),
    }
    return render(request, "assure/definitions.html", context)


@needs(*READERS)
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make a definition, beginning with everything of a framework."""
    slug = request.POST.get("framework") or request.GET.get("framework", "")
    framework = FRAMEWORKS.get(slug) or next(iter(FRAMEWORKS.values()))
    form = DefinitionForm(request.POST or None)
    chosen = [Chosen(report.id) for report in framework.reports]
    if request.method == "POST":
        asked = _asked(request.POST)
        try:
            return _saved(request, definitions.make(framework=framework.slug, actor=actor_of(request), **asked))
        except (Invalid, Conflict) as error:
            _tell(form, error)
            chosen = _drafted(asked["reports"])
    context = _form_context(form, framework, chosen) | {"frameworks": FRAMEWORKS}
    return render(request, "assure/definition_form.html", context, status=422 if form.errors else 200)


@needs(*READERS)
@require_GET
def definition(request: HttpRequest, ref: str) -> HttpResponse:
    """Show what a definition chooses, and how it became so."""
    found = queries.definition(ref)
    versions = queries.versions_of(found)
    number = whole_number(request.GET.get("version"), versions[0].number)
    shown = next((one for one in versions if one.number == number), versions[0])
    selection = shown.selection()
    context = {
        "page": "evidence",
        "definition": found,
        "version": shown,
        "is_last": shown == versions[0],
        "framework": FRAMEWORKS[found.framework],
        "choices": _choices(FRAMEWORKS[found.framework], selection.chosen, only_chosen=True),
        "left_out": selection.left_out,
        "history": _history(versions),
        "makers": names_by_ref({one.made_by_ref for one in versions}),
    }
    return render(request, "assure/definition.html", context)


@needs(*READERS)
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, ref: str) -> HttpResponse:
    """Write the next version of a definition."""
    found = queries.definition(ref)
    last = queries.versions_of(found)[0]
    kept = {"name": last.name, "applications": last.applications}
    form = DefinitionForm(request.POST or None, initial=kept)
    chosen: Sequence[Chosen] = last.selection().chosen
    after = last.number
    if request.method == "POST":
        asked, after = _asked(request.POST), whole_number(request.POST.get("after"), 0)
        try:
            return _saved(request, definitions.change(found, after=after, actor=actor_of(request), **asked))
        except (Invalid, Conflict) as error:
            _tell(form, error)
            chosen = _drafted(asked["reports"])
    context = _form_context(form, FRAMEWORKS[found.framework], chosen) | {"definition": found, "after": after}
    return render(request, "assure/definition_form.html", context, status=422 if form.errors else 200)


@needs(*READERS)
@require_POST
def retire(request: HttpRequest, ref: str) -> HttpResponse:
    """Have nothing new asked by a definition."""
    found = queries.definition(ref)
    definitions.retire(found, actor=actor_of(request))
    messages.success(request, f"{found.name} is retired. What was built by it can be built again.")
    return redirect("definitions")


def _saved(request: HttpRequest, made: DefinitionVersion) -> HttpResponse:
    messages.success(request, f"{made} is kept.")
    return redirect("definition", made.definition.ref)


def _tell(form: DefinitionForm, error: Invalid | Conflict) -> None:
    form.is_valid()
    if isinstance(error, Conflict):
        form.add_error(None, str(error))
        return
    # What the form itself found is said once.
    add_errors(form, Invalid({name: lines for name, lines in error.fields.items() if name not in form.errors}))


def _asked(said: QueryDict) -> dict[str, Any]:
    """Return what was sent, as the writers of definitions take it: they check it."""
    return {
        "name": said.get("name", ""),
        "applications": said.getlist("applications"),
        "reason": said.get("reason", ""),
        "reports": [_asked_of(BY_ID[one], said) for one in said.getlist("report") if one in BY_ID],
    }


def _asked_of(report: Report, said: QueryDict) -> dict[str, Any]:
    texts = {name: said.get(f"filter-{report.id}-{name}", "") for name in filters_of(report)}
    return {
        "report": report.id,
        "columns": said.getlist(f"columns-{report.id}"),
        "filters": {name: values for name, text in texts.items() if (values := _values(text))},
        "exceptions_only": bool(said.get(f"exceptions-{report.id}")),
    }


def _values(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return ["" if line == EMPTY else line for line in lines if line]


def _drafted(reports: Sequence[Mapping[str, Any]]) -> list[Chosen]:
    """Return what was typed, to be shown again as it was."""
    return [Chosen.of_json(one) for one in reports]


def _form_context(form: DefinitionForm, framework: Framework, chosen: Sequence[Chosen]) -> dict[str, Any]:
    choices = _choices(framework, chosen)
    return {"page": "evidence", "form": form, "framework": framework, "choices": choices, "empty": EMPTY}


def _choices(framework: Framework, chosen: Sequence[Chosen], *, only_chosen: bool = False) -> list[ReportChoice]:
    by_id = {one.report: one for one in chosen}
    shown = [report for report in REPORTS if report.id in by_id or not only_chosen]
    return [_choice(framework, report, by_id.get(report.id)) for report in shown]


def _choice(framework: Framework, report: Report, chosen: Chosen | None) -> ReportChoice:
    values = dict(chosen.filters) if chosen else {}
    kinds = {column.name: column.kind for column in report.columns}
    everything = chosen is None or chosen.columns is None
    return ReportChoice(
        report=report,
        controls=[control.id for control in framework.controls if report.id in control.reports],
        is_chosen=chosen is not None,
        columns=[
            (one.name, one.meaning, everything or one.name in (chosen.columns or ()) if chosen else True)
            for one in choosable(report)
        ],
        filters=[
            (name, "\n".join(value or EMPTY for value in values.get(name, ())), kinds[name] is Kind.YES_NO)
            for name in filters_of(report)
        ],
        exceptions_only=bool(chosen and chosen.exceptions_only),
        said=_said(report, chosen) if chosen else (),
    )


def _said(report: Report, chosen: Chosen) -> list[str]:
    """Return what is chosen of a report, in sentences."""
    optional = len(choosable(report))
    kept = optional if chosen.columns is None else len(set(chosen.columns))
    always = len(report.columns) - optional
    columns = "All columns" if kept == optional else f"{kept + always} of {len(report.columns)} columns"
    return [columns, *(f"only rows where {one}" for one in conditions_said(chosen))]


def _history(versions: Sequence[DefinitionVersion]) -> list[tuple[DefinitionVersion, list[str]]]:
    """Return the versions with what each changed, the last first."""
    earlier: list[Selection | None] = [*(one.selection() for one in versions[1:]), None]
    return [
        (one, changes(before, one.selection()) if before else ["The first version."])
        for one, before in zip(versions, earlier, strict=True)
    ]
