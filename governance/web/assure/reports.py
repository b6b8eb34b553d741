"""One report of the evidence: its population, its rows narrowed or sampled, and what each column means."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from governance.core.errors import Invalid
from governance.evidence import queries
from governance.evidence.looking import MOST_SAMPLED, SHOWN, Narrowed, Sample, look, report_named
from governance.evidence.models import DefinitionVersion
from governance.evidence.narrowing import filters_of, narrowed
from governance.evidence.reports.base import Report
from governance.web.assure.evidence import READERS, QuestionForm, asked, start
from governance.web.govern.pages import add_errors, show, whole_number
from governance.web.roles import needs


class SampleForm(forms.Form):
    """A sample: the seed of whoever tests, and how many rows."""

    seed = forms.CharField(required=False, max_length=200, label="Seed")
    n = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_SAMPLED,
        label="Rows",
        error_messages={"invalid": "Give a whole number."},
    )


@needs(*READERS)
@require_GET
def report(request: HttpRequest, report_id: str) -> HttpResponse:
    """Show a report over a period; the words of the address narrow it, page it, or take a sample."""
    found = report_named(report_id.upper())
    is_asked = bool(request.GET.get("from") or request.GET.get("to"))
    form = QuestionForm(request.GET if is_asked else None, initial=start(request))
    found = _as_chosen(found, form.chosen)
    sample = SampleForm(request.GET)
    chosen = {name: request.GET[name] for name in filters_of(found) if request.GET.get(name)}
    context: dict[str, Any] = {
        "page": "evidence",
        "form": form,
        "sample": sample,
        "report": found,
        "filters": [(name, _said(name), chosen.get(name, "")) for name in filters_of(found)],
        "exceptions_only": request.GET.get("exceptions") == "only",
        "look": None,
        "chosen": form.chosen,
        "note": queries.mapping_note(),
    }
    if is_asked and form.is_valid() and sample.is_valid():
        _look(request, found, form, sample, chosen, context)
    has_errors = bool(is_asked and (form.errors or sample.errors))
    return show(request, "assure/report.html", "rows", context, status=422 if has_errors else 200)


def _as_chosen(whole: Report, version: DefinitionVersion | None) -> Report:
    """Return the report as a definition chooses it; whole where none does."""
    chosen = version.selection().chosen if version else ()
    return next((narrowed(one) for one in chosen if one.report == whole.id), whole)


def _look(
    request: HttpRequest,
    found: Report,
    form: QuestionForm,
    sample: SampleForm,
    chosen: dict[str, str],
    context: dict[str, Any],
) -> None:
    seed, number = sample.cleaned_data["seed"], sample.cleaned_data["n"]
    taken = Sample(seed, number or 25) if seed else None
    after = max(whole_number(request.GET.get("after"), 0), 0)
    try:
        question = queries.question_of(**asked(form))
        seen = look(found, question, Narrowed(chosen, context["exceptions_only"], taken), after=after)
    except Invalid as error:
        add_errors(form, error)
        return
    # What to look at stands beside the ordinal, and long references at the end; the CSV keeps its own order.
    first, last_of_all = ("row_no", "exceptions"), ("person_ref", "row_id")
    between = [name for name in found.header if name not in (*first, *last_of_all)]
    names = [*first, *between, *(name for name in last_of_all if name in found.header)]
    rows = [[row[name] for name in names] for row in seen.rows]
    last = int(seen.rows[-1]["row_no"]) if seen.rows and not taken and len(seen.rows) == SHOWN else None
    context |= {
        "look": seen,
        "names": names,
        "rows": rows,
        "taken": taken,
        "after": after,
        "next": last,
        "question": question,
        "gaps": queries.gaps_of(question),
    }


def _said(name: str) -> str:
    """Return a column's name as people say it."""
    return name.replace("_ref", " reference").replace("_", " ").capitalize()
