"""How late access ended: due, ordered, delivered and read back in a period, and everything that was missed, by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from governance.access.lateness import LateEnd, Report, late_ends, report
from governance.access.models import EndCause
from governance.access.sweep import sweep_lag_seconds
from governance.catalog.models import Application
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.identity.models import RoleName
from governance.ledger.recording import Subject, record
from governance.web.actor import actor_of
from governance.web.govern.exporting import guarded
from governance.web.govern.pages import show, start_of_day
from governance.web.govern.reach import reach_of
from governance.web.roles import needs

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
EXPIRIES_EXPORTED = "expiries.exported"
PAGE = 50
LONGEST_DAYS = 366
#: A sweep that is behind by this much is said on the page.
BEHIND_SECONDS = 5.0
LIMITS = [("5", "5 seconds"), ("60", "a minute"), ("300", "5 minutes"), ("3600", "an hour"), ("86400", "a day")]
#: Ends that time alone brought about, or all: also those that people and the directory brought about.
WHICH = [("time", "Ended by time"), ("all", "Any end")]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: ends due from `first` until before `before`, in which applications, late by how much."""

    first: datetime
    before: datetime
    longer_than: timedelta
    causes: tuple[EndCause, ...]
    #: None: all of them.
    applications: tuple[int, ...] | None
    slug: str = ""

    @property
    def known(self) -> dict[str, Any]:
        """Return what both questions are asked with."""
        return {"causes": self.causes, "applications": self.applications}


class PeriodForm(forms.Form):
    """The filters in the address. `to` is the last day that counts."""

    first = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})
    last = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})
    late = forms.ChoiceField(required=False, choices=LIMITS)
    ends = forms.ChoiceField(required=False, choices=WHICH)
    app = forms.SlugField(required=False, max_length=80)

    def __init__(self, data: Mapping[str, Any]) -> None:
        names = {"from": "first", "to": "last"}
        super().__init__(
            {names.get(name, name): data[name] for name in ("from", "to", "late", "ends", "app") if name in data}
        )

    def clean(self) -> dict[str, Any]:
        """Refuse a period that is none, or that is too long."""
        said = super().clean() or {}
        first, last = self.days(said)
        if first > last:
            self.add_error("first", "The first day is after the last.")
        elif (last - first).days >= LONGEST_DAYS:
            self.add_error("first", "Choose at most a year.")
        return said

    def days(self, said: Mapping[str, Any] | None = None) -> tuple[date, date]:
        """Return the first and the last day: by default the last seven."""
        found = self.cleaned_data if said is None else said
        last = found.get("last") or timezone.localdate(now())
        return found.get("first") or last - timedelta(days=6), last


@needs(*READERS)
@require_GET
def expiries(request: HttpRequest) -> HttpResponse:
    """Show how late access ended in a period."""
    form, at = PeriodForm(request.GET), now()
    question = _question(request, form)
    found = report(question.first, question.before, at=at, **question.known)
    misses = late_ends(
        question.first,
        question.before,
        at=at,
        longer_than=question.longer_than,
        after=_after(request.GET.get("after", "")),
        limit=PAGE + 1,
        **question.known,
    )
    lag = sweep_lag_seconds()
    context = {
        "page": "expiries",
        "form": form,
        "question": question,
        "days": form.days()
        if form.is_valid()
        else (timezone.localdate(at) - timedelta(days=6), timezone.localdate(at)),
        "report": found,
        "stages": _stages(found),
        "misses": misses[:PAGE],
        "next": _place(misses[PAGE - 1]) if len(misses) > PAGE else "",
        "limits": LIMITS,
        "which": WHICH,
        "limit": str(int(question.longer_than.total_seconds())),
        "ends": "all" if len(question.causes) > 1 else "time",
        "lag": lag if lag > BEHIND_SECONDS else 0,
        "applications": reach_of(request).within(Application.objects.order_by("name"), "pk"),
    }
    return show(request, "govern/expiries.html", "list", context)


@needs(*READERS)
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Answer with everything that was missed as CSV, and record that it left the house."""
    question, at = _question(request, PeriodForm(request.POST)), now()
    lines = list(_lines(question, at))
    _record_export(question, len(lines), actor=actor_of(request))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(lines)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="late-ends-{at:%Y-%m-%dT%H%MZ}.csv"'
    return response


HEADER = (
    "grant", "person_ref", "name", "application", "role", "due_at", "ordered_at", "delivered_at", "verified_at",
    "seconds_late", "missing", "state", "by_hand", "cause",
)  # fmt: skip


def _lines(question: Question, at: datetime) -> Iterator[tuple[str, ...]]:
    after = None
    while True:
        found = late_ends(
            question.first,
            question.before,
            at=at,
            longer_than=question.longer_than,
            after=after,
            limit=5_000,
            **question.known,
        )
        yield from map(_line, found)
        if len(found) < 5_000:
            return
        after = (found[-1].due_at, found[-1].grant_id)


def _line(end: LateEnd) -> tuple[str, ...]:
    instants = (end.due_at, end.ordered_at, end.delivered_at, end.verified_at)
    return (
        str(end.grant_id),
        end.person_ref,
        guarded(end.person),
        guarded(end.application),
        guarded(end.entitlement),
        *(at.isoformat() if at else "" for at in instants),
        f"{end.seconds_late:.3f}",
        end.missing,
        end.state,
        guarded(end.by_hand),
        guarded(end.last_error),
    )


@transaction.atomic
def _record_export(question: Question, rows: int, *, actor: Actor) -> None:
    record(
        EXPIRIES_EXPORTED,
        actor=actor,
        subjects=[Subject("person", actor.ref)],
        data={
            "from": question.first,
            "before": question.before,
            "longer_than_seconds": int(question.longer_than.total_seconds()),
            "applications": None if question.applications is None else len(question.applications),
            "rows": rows,
        },
    )


def _question(request: HttpRequest, form: PeriodForm) -> Question:
    is_valid = form.is_valid()
    today = timezone.localdate(now())
    first, last = form.days() if is_valid else (today - timedelta(days=6), today)
    said = form.cleaned_data if is_valid else {}
    return Question(
        first=start_of_day(first),
        before=start_of_day(last + timedelta(days=1)),
        longer_than=timedelta(seconds=int(said.get("late") or 60)),
        causes=tuple(EndCause) if said.get("ends") == "all" else (EndCause.EXPIRED,),
        applications=_applications(request, said.get("app", "")),
        slug=said.get("app", ""),
    )


def _applications(request: HttpRequest, slug: str) -> tuple[int, ...] | None:
    reach = reach_of(request)
    if not slug:
        return None if reach.applications is None else tuple(reach.applications)
    found = reach.within(Application.objects.filter(slug=slug), "pk").first()
    if found is None:
        raise NotFound(f"There is no application called {slug}.")
    return (found.pk,)


def _stages(found: Report) -> list[tuple[str, int, int, Any, str]]:
    """Return each stage: its name, how many came that far of how many, how late, and what that means."""
    total = found.total
    return [
        ("Ordered", total.ordered, total.due, total.until_ordered, "from the end until the removal was ordered"),
        ("Delivered", total.delivered, total.removals, total.until_delivered, "until the application took it"),
        ("Read back", total.verified, total.removals, total.until_verified, "until the application showed it gone"),
    ]


def _after(text: str) -> tuple[datetime, int] | None:
    """Return where a page begins: instant and key of the last one before; anything else is the beginning."""
    instant, _, key = text.rpartition("~")
    try:
        at = datetime.fromisoformat(instant)
        return (at, int(key)) if at.tzinfo is not None else None
    except ValueError:
        return None


def _place(end: LateEnd) -> str:
    return f"{end.due_at.isoformat()}~{end.grant_id}"
