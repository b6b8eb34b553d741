"""Questions about exceptions and readings, for pages, scripts, notices and evidence."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from governance.catalog.models import ApplicationOwner
from governance.core.clock import now
from governance.core.errors import Invalid, NotFound
from governance.exceptions.days import day_of
from governance.exceptions.models import (
    STATE_WORDS,
    ControlException,
    Outcome,
    Reading,
    ReportOwner,
    ReportReading,
    State,
    Turn,
)
from governance.exceptions.readings import unfinished
from governance.exceptions.rights import NOBODY_NAMED, answered_by, application_owners, report_owners
from governance.identity.models import Person, Status

#: States that a list can be narrowed to, beside those of an exception.
NEW, EARLIER = "new", "earlier"
STATES = {
    **{state.value: STATE_WORDS[state] for state in State},
    NEW: "New in the last reading",
    EARLIER: "Of earlier periods",
}
#: Readings that a trend is made of.
TREND = 30
#: So long before its day somebody is told that an exception is to be fixed.
NEAR = timedelta(days=7)
_NEW_TURNS = (Turn.OPENED, Turn.REOPENED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many exceptions some reports have today: found; of them new, overdue, unexplained and accepted.

    `unexplained` are those in the state open: what is overdue is counted as that.
    """

    found: int = 0
    new: int = 0
    overdue: int = 0
    unexplained: int = 0
    accepted: int = 0

    def __add__(self, other: Standing) -> Standing:
        return Standing(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Read:
    """A finished reading with its totals. `exceptions` are those of the reports that could be read."""

    reading: Reading
    exceptions: int
    opened: int
    gone: int
    unreadable: tuple[str, ...]
    #: Report → exceptions; a report that could not be read is not in it.
    by_report: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a reading has to tell: for each person (by key), how many exceptions they answer for.

    `near` are to be fixed within a week, `overdue` were to be. What nobody answers for falls to security.
    """

    new: Mapping[int, int]
    overdue: Mapping[int, int]
    near: Mapping[int, int]
    new_of_nobody: int
    overdue_of_nobody: int


def one(ref: uuid.UUID | str) -> ControlException:
    """Return an exception by its permanent reference. Raises NotFound."""
    try:
        return _with_names(ControlException.objects.all()).get(ref=uuid.UUID(str(ref)))
    except (ValueError, ControlException.DoesNotExist) as error:
        raise NotFound("There is no such exception.") from error


def last_reading() -> Reading | None:
    """Return the last finished reading of the latest period; none before the first."""
    return _finished().order_by("-first_day", "-id").first()


def reading_under_way() -> Reading | None:
    """Return the reading that is under way, if any."""
    return next(iter(unfinished()), None)


def reading(ref: uuid.UUID | str) -> Reading:
    """Return a reading by its permanent reference. Raises NotFound."""
    try:
        return Reading.objects.get(ref=uuid.UUID(str(ref)))
    except (ValueError, Reading.DoesNotExist) as error:
        raise NotFound("There is no such reading.") from error


def readings(limit: int = TREND) -> list[Read]:
    """Return the last finished readings with their totals, the newest first. Two statements."""
    return _with_totals(list(_finished().order_by("-id")[:limit]))


def reports_of(found: Reading) -> Sequence[ReportReading]:
    """Return what a reading found in each report, in their order."""
    by_report = {each.report: each for each in ReportReading.objects.filter(reading=found)}
    return [by_report[report] for report in found.reports if report in by_report]


def standing_by_report() -> dict[str, Standing]:
    """Return how many exceptions each report has today, within the period that was read last. Two statements."""
    last = last_reading()
    if last is None:
        return {}
    today = day_of(now())
    carried = Q(accepted_until__gte=today)
    counted = (
        ControlException.objects.filter(gone_at__isnull=True, period_first__gte=last.first_day)
        .order_by()
        .values_list("report")
        .annotate(
            found=Count("pk"),
            new=Count("pk", filter=Q(turned_by=last, turn__in=_NEW_TURNS)),
            overdue=Count("pk", filter=Q(fix_by__lt=today) & ~carried),
            unexplained=Count("pk", filter=Q(explanation="") & (Q(fix_by__isnull=True) | Q(fix_by__gte=today))),
            accepted=Count("pk", filter=carried),
        )
    )
    return {report: Standing(*numbers) for report, *numbers in counted}


def narrowed(
    *,
    reports: Collection[str] | None = None,
    state: str = "",
    application: str = "",
    owner: Person | None = None,
    unowned: bool = False,
    days: int | None = None,
    seen_by: int | None = None,
) -> QuerySet[ControlException]:
    """Return exceptions, found in the period that was read last unless `state` asks for others.

    `owner` answers for them; `unowned`: nobody does. `days`: found for that long at least. `seen_by` is the key of
    somebody who sees only those they answer for. Raises Invalid naming `state`.
    """
    if state and state not in STATES:
        raise Invalid({"state": f"Choose one of {', '.join(STATES)}."})
    found = _with_names(_in_state(state, last_reading()))
    if reports is not None:
        found = found.filter(report__in=list(reports))
    if application:
        found = found.filter(application__slug=application)
    if owner is not None:
        found = found.filter(answered_by(owner.pk))
    if unowned:
        found = without_answerer(found)
    if days is not None:
        found = found.filter(open_since__lte=now() - timedelta(days=days))
    return found if seen_by is None else found.filter(answered_by(seen_by))


def to_explain() -> QuerySet[ControlException]:
    """Return the exceptions of today that nobody has explained, as `standing_by_report` counts them; to be counted."""
    last = _finished().order_by("-first_day", "-id").values("first_day")[:1]
    found = ControlException.objects.filter(gone_at__isnull=True, period_first__gte=Subquery(last), explanation="")
    return found.filter(Q(fix_by__isnull=True) | Q(fix_by__gte=day_of(now())))


def to_answer(person: Person) -> QuerySet[ControlException]:
    """Return the exceptions somebody was named for, and that wait: nobody explained them, or they are overdue."""
    return _waiting().filter(owner=person)


def to_answer_as_owner(person: Person) -> QuerySet[ControlException]:
    """Return what waits likewise for the owners of their applications, because nobody was named."""
    mine = ApplicationOwner.objects.filter(person=person).values("application")
    return _waiting().filter(NOBODY_NAMED, application__in=mine)


def default_owners(found: ControlException) -> list[Person]:
    """Return who answers for an exception where nobody is named: the owners of the application, or of the report."""
    owners: list[Person] = []
    if found.application is not None:
        at_work = Person.objects.filter(ownerships__application=found.application, status=Status.ACTIVE)
        owners = list(at_work.order_by("display_name"))
    return owners or [owner for report, owner in owners_of_reports().items() if report == found.report]


def owners_of_reports() -> dict[str, Person]:
    """Return who answers for each report, where somebody at work does."""
    newest = ReportOwner.objects.order_by("report", "-id").distinct("report").select_related("owner")
    return {one.report: one.owner for one in newest if one.owner is not None and one.owner.status == Status.ACTIVE}


def to_answer_for_reports(person: Person) -> QuerySet[ControlException]:
    """Return what waits likewise for whoever answers for a report, because nobody is named or owns the application."""
    newest = ReportOwner.objects.filter(report=OuterRef("report")).order_by("-id").values("id")[:1]
    mine = ReportOwner.objects.annotate(newest=Subquery(newest)).filter(id=F("newest"), owner=person)
    return _without_application_owner(_waiting()).filter(report__in=mine.values("report"))


def statements_of(found: ControlException) -> list[tuple[datetime, str, dict[str, object]]]:
    """Return what was said about an exception, the newest first: when, by whom, and what changed by it."""
    said = list(found.statements.select_related("owner").order_by("number"))
    told = []
    before: dict[str, object] = {"owner": None, "explanation": "", "fix_by": None, "accepted_until": None}
    for statement in said:
        after = {name: getattr(statement, name) for name in before}
        changed = {name: value for name, value in after.items() if value != before[name]}
        told.append((statement.said_at, statement.said_by_ref, changed))
        before = after
    return told[::-1]


def digest_of(ref: str) -> Digest | None:
    """Return what a reading has to tell, by its reference; none for one that is not known."""
    try:
        found = Reading.objects.filter(ref=uuid.UUID(ref)).first()
    except ValueError:
        return None
    if found is None:
        return None
    today = day_of(now())
    new = ControlException.objects.filter(turned_by=found, turn__in=_NEW_TURNS)
    carried_by_nobody = ControlException.objects.filter(~Q(accepted_until__gte=today), gone_at__isnull=True)
    late = carried_by_nobody.filter(fix_by__lt=today)
    near = carried_by_nobody.filter(fix_by__gte=today, fix_by__lte=today + NEAR)
    return Digest(
        new=_by_person(new),
        overdue=_by_person(late),
        near=_by_person(near),
        new_of_nobody=without_answerer(new).count(),
        overdue_of_nobody=without_answerer(late).count(),
    )


def without_answerer(found: QuerySet[ControlException]) -> QuerySet[ControlException]:
    """Return those nobody answers for: they fall to security."""
    return _without_application_owner(found).filter(~Exists(report_owners()))


def _finished() -> QuerySet[Reading]:
    wanted = RawSQL("cardinality(reports)", (), output_field=IntegerField())
    return Reading.objects.annotate(done=Count("report_readings"), wanted=wanted).filter(done=F("wanted"))


def _with_totals(found: Sequence[Reading]) -> list[Read]:
    told: dict[int, list[ReportReading]] = defaultdict(list)
    for each in ReportReading.objects.filter(reading__in=found):
        told[each.reading_id].append(each)
    return [_totals(reading, told[reading.pk]) for reading in found]


def _totals(reading: Reading, told: Sequence[ReportReading]) -> Read:
    return Read(
        reading=reading,
        exceptions=sum(one.exceptions or 0 for one in told),
        opened=sum((one.opened or 0) + (one.reopened or 0) for one in told),
        gone=sum(one.gone or 0 for one in told),
        unreadable=tuple(one.report for one in told if one.outcome == Outcome.UNREADABLE),
        by_report={one.report: one.exceptions for one in told if one.exceptions is not None},
    )


def _in_state(state: str, last: Reading | None) -> QuerySet[ControlException]:
    every, today = ControlException.objects.all(), day_of(now())
    if state == State.FIXED:
        return every.filter(gone_at__isnull=False)
    if last is None:
        return every.none()
    if state == EARLIER:
        return every.filter(gone_at__isnull=True, period_first__lt=last.first_day)
    there = every.filter(gone_at__isnull=True, period_first__gte=last.first_day)
    carried, late = Q(accepted_until__gte=today), Q(fix_by__lt=today)
    conditions = {
        "": Q(),
        NEW: Q(turned_by=last, turn__in=_NEW_TURNS),
        State.ACCEPTED.value: carried,
        State.OVERDUE.value: late & ~carried,
        State.EXPLAINED.value: ~carried & ~late & ~Q(explanation=""),
        State.OPEN.value: ~carried & ~late & Q(explanation=""),
    }
    return there.filter(conditions[state])


def _with_names(found: QuerySet[ControlException]) -> QuerySet[ControlException]:
    return found.select_related("application", "person", "owner", "turned_by")


def _waiting() -> QuerySet[ControlException]:
    today = day_of(now())
    late = Q(fix_by__lt=today) & ~Q(accepted_until__gte=today)
    return ControlException.objects.filter(Q(explanation="") | late, gone_at__isnull=True)


def _by_person(found: QuerySet[ControlException]) -> dict[int, int]:
    """Count them by whoever was named, those of nobody by each owner of the application, the rest by the report's.

    Four statements.
    """
    numbers: Counter[int] = Counter()
    named = found.filter(owner__status=Status.ACTIVE).order_by().values_list("owner")
    numbers.update(dict(named.annotate(number=Count("pk"))))
    owned = found.filter(NOBODY_NAMED, application__ownerships__person__status=Status.ACTIVE)
    by_owner = owned.order_by().values_list("application__ownerships__person").annotate(number=Count("pk"))
    numbers.update(dict(by_owner))
    holders = {report: owner.pk for report, owner in owners_of_reports().items()}
    for report, number in _without_application_owner(found).order_by().values_list("report").annotate(n=Count("pk")):
        if report in holders:
            numbers[holders[report]] += number
    return dict(numbers)


def _without_application_owner(found: QuerySet[ControlException]) -> QuerySet[ControlException]:
    return found.filter(NOBODY_NAMED).filter(~Exists(application_owners()))
