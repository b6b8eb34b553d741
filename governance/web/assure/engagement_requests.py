"""One request of an engagement: its population, the sample, what stands behind a row, and what was said."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.errors import Invalid
from governance.engagements import asking, queries, sampling
from governance.engagements.models import AuditRequest, RequestState
from governance.evidence.looking import MOST_SAMPLED, report_named
from governance.evidence.queries import gaps_of
from governance.evidence.reports.registry import BY_ID, UNBUILT
from governance.identity.models import RoleName
from governance.identity.queries import names_by_ref
from governance.ledger import queries as ledger
from governance.ledger.reading_log import note_opened
from governance.web.actor import actor_of
from governance.web.assure.engagements import READERS, NewRequestForm, readable
from governance.web.govern.lines import lines_of
from governance.web.govern.pages import add_errors
from governance.web.roles import guests_and, needs, standing_of

_UNBUILT = {one.id: one for one in UNBUILT}


class SeedForm(forms.Form):
    """The auditor's seed, and how many rows."""

    seed = forms.CharField(
        max_length=200,
        help_text="Any word or number of yours, chosen after you saw the digest.",
        error_messages={"required": "Give a seed."},
    )
    n = forms.IntegerField(
        label="Rows",
        min_value=1,
        max_value=MOST_SAMPLED,
        initial=25,
        error_messages={"invalid": "Give a whole number.", "required": "Say how many rows."},
    )


class TextForm(forms.Form):
    """Something to say."""

    text = forms.CharField(label="What you say", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class OptionalTextForm(forms.Form):
    """Something to say, or nothing."""

    text = forms.CharField(
        label="What you say", max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


@guests_and(*READERS)
@require_POST
def add(request: HttpRequest, ref: str) -> HttpResponse:
    """Ask for something in one's own words."""
    engagement, form = readable(request, ref), NewRequestForm(request.POST)
    if form.is_valid():
        try:
            asked = asking.add_request(
                engagement, form.cleaned_data["wording"], due_on=form.cleaned_data["due_on"], actor=actor_of(request)
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            return redirect("audit_request", ref, asked.number)
    context = {"page": "engagements", "engagement": engagement, "form": form}
    return render(request, "assure/audit_request_new.html", context, status=422)


@guests_and(*READERS)
@require_GET
def one(request: HttpRequest, ref: str, number: int) -> HttpResponse:
    """Show a request with its populations, samples and thread."""
    return _page(request, _asked(request, ref, number))


@guests_and(*READERS)
@require_POST
def take(request: HttpRequest, ref: str, number: int) -> HttpResponse:
    """Count the population now and pin it."""
    asked = _asked(request, ref, number)
    sampling.take_population(asked, actor=actor_of(request))
    return redirect("audit_request", ref, number)


@guests_and(*READERS)
@require_POST
def draw(request: HttpRequest, ref: str, number: int, population_id: int) -> HttpResponse:
    """Take a sample of a population by the auditor's seed."""
    asked, form = _asked(request, ref, number), SeedForm(request.POST)
    population = queries.population_of(asked, population_id)
    if form.is_valid():
        try:
            sample = sampling.take_sample(
                population, form.cleaned_data["seed"], form.cleaned_data["n"], actor=actor_of(request)
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            return redirect("audit_sample", ref, number, sample.pk)
    return _page(request, asked, seed_form=form, seed_for=population.pk, status=422)


@guests_and(*READERS)
@require_GET
def sample(request: HttpRequest, ref: str, number: int, sample_id: int) -> HttpResponse:
    """Show the rows of a sample, each with a way to what stands behind it."""
    asked = _asked(request, ref, number)
    found = queries.sample_of(asked, sample_id)
    seen = sampling.rows_of(found)
    hidden = ("row_no", "exceptions", "person_ref", "row_id", "first_entry", "last_entry")
    names = [name for name in seen.report.header if name not in hidden]
    context = {
        "page": "engagements",
        "engagement": asked.engagement,
        "asked": asked,
        "sample": found,
        "report": seen.report,
        "names": names,
        "rows": [(row["row_no"], row["exceptions"], [row[name] for name in names]) for row in seen.rows],
    }
    return render(request, "assure/audit_sample.html", context)


@guests_and(*READERS)
@require_GET
def item(request: HttpRequest, ref: str, number: int, sample_id: int, row_no: int) -> HttpResponse:
    """Show one sampled row with everything the ledger says of it, in its order; that it was read is recorded."""
    asked = _asked(request, ref, number)
    found = queries.sample_of(asked, sample_id)
    opened = sampling.open_item(found, row_no, actor=actor_of(request))
    report = report_named(found.population.report)
    meanings = {column.name: column.meaning for column in report.columns}
    context = {
        "page": "engagements",
        "engagement": asked.engagement,
        "asked": asked,
        "sample": found,
        "report": report,
        "row_no": row_no,
        "row": [(name, value, meanings.get(name, "")) for name, value in opened.row.items() if value],
        "lines": lines_of(opened.entries),
        "has_more": opened.has_more,
    }
    return render(request, "assure/audit_item.html", context)


@guests_and(*READERS)
@require_POST
def proof(request: HttpRequest, ref: str, number: int, sample_id: int, row_no: int, index: int) -> HttpResponse:
    """Hand out the proof of one entry behind a sampled row, as a file that verifies offline."""
    asked = _asked(request, ref, number)
    sampling.check_entry(queries.sample_of(asked, sample_id), row_no, index, actor=actor_of(request))
    found = ledger.entry(index)
    note_opened(index, actor=actor_of(request), as_file=True)
    response = HttpResponse(found.proof_file, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="entry-{index}.tlog-proof"'
    return response


@guests_and(*READERS)
@require_POST
def say(request: HttpRequest, ref: str, number: int) -> HttpResponse:
    """Say something about a request."""
    asked, form = _asked(request, ref, number), TextForm(request.POST)
    if not form.is_valid():
        return _page(request, asked, text_form=form, status=422)
    asking.say(asked, form.cleaned_data["text"], actor=actor_of(request))
    return redirect("audit_request", ref, number)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def answer(request: HttpRequest, ref: str, number: int) -> HttpResponse:
    """Answer a request with words, a population, or a bundle."""
    asked, form = _asked(request, ref, number), OptionalTextForm(request.POST)
    given = request.POST.get("give", "")
    try:
        population = queries.population_of(asked, int(given[11:])) if _is(given, "population-") else None
        bundle = queries.bundle_of(asked.engagement, given[7:]) if given.startswith("bundle-") else None
        text = form.cleaned_data["text"] if form.is_valid() else ""
        if form.is_valid():
            asking.answer(asked, text, population=population, bundle=bundle, actor=actor_of(request))
            return redirect("audit_request", ref, number)
    except Invalid as error:
        add_errors(form, error)
    return _page(request, asked, answer_form=form, status=422)


@guests_and(*READERS)
@require_POST
def accept(request: HttpRequest, ref: str, number: int) -> HttpResponse:
    """Accept what was given."""
    asked, form = _asked(request, ref, number), OptionalTextForm(request.POST)
    if not form.is_valid():
        return _page(request, asked, judge_form=form, status=422)
    asking.accept(asked, form.cleaned_data["text"], actor=actor_of(request))
    messages.success(request, "Accepted.")
    return redirect("audit_request", ref, number)


@guests_and(*READERS)
@require_POST
def flag(request: HttpRequest, ref: str, number: int) -> HttpResponse:
    """Say what is wrong with what was given."""
    asked, form = _asked(request, ref, number), OptionalTextForm(request.POST)
    if form.is_valid():
        try:
            asking.flag(asked, form.cleaned_data["text"], actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Flagged. The company answers again.")
            return redirect("audit_request", ref, number)
    return _page(request, asked, judge_form=form, status=422)


def _asked(request: HttpRequest, ref: str, number: int) -> AuditRequest:
    return queries.request_of(readable(request, ref), number)


def _is(given: str, kind: str) -> bool:
    return given.startswith(kind) and given[len(kind) :].isascii() and given[len(kind) :].isdigit()


def _page(
    request: HttpRequest,
    asked: AuditRequest,
    *,
    seed_form: SeedForm | None = None,
    seed_for: int | None = None,
    text_form: TextForm | None = None,
    answer_form: OptionalTextForm | None = None,
    judge_form: OptionalTextForm | None = None,
    status: int = 200,
) -> HttpResponse:
    engagement, standing = asked.engagement, standing_of(request)
    populations = queries.populations_of(asked)
    is_built = asked.report in BY_ID
    takers = {one.taken_by_ref for one in populations}
    context: dict[str, Any] = {
        "page": "engagements",
        "engagement": engagement,
        "asked": asked,
        "report": BY_ID.get(asked.report),
        "unbuilt": _UNBUILT.get(asked.report),
        "populations": populations,
        "takers": names_by_ref(takers),
        "gaps": gaps_of(sampling.question_for(engagement)) if is_built else (),
        "messages_of": queries.messages_of(asked),
        "bundles": queries.bundles_of(engagement),
        "is_host": standing.is_security_admin,
        "may_judge": (standing.is_guest or standing.is_auditor)
        and asked.state in (RequestState.ANSWERED, RequestState.ACCEPTED),
        "may_sample": standing.is_guest or standing.is_auditor,
        "runs": engagement.closed_at is None,
        "seed_form": seed_form or SeedForm(),
        "seed_for": seed_for or (populations[0].pk if populations else None),
        "text_form": text_form or TextForm(),
        "answer_form": answer_form or OptionalTextForm(auto_id="answer_%s"),
        "judge_form": judge_form or OptionalTextForm(auto_id="judge_%s"),
    }
    return render(request, "assure/audit_request.html", context, status=status)
