"""The list of what waits for somebody, narrowed by what the address says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.http import QueryDict

from governance.access.models import AccessRequest
from governance.access.narrowing import Narrowing, narrowed
from governance.access.queries import waiting_for
from governance.identity.models import Person
from governance.web.my_work.approval_forms import WaitingForm

#: So many that wait are listed; the number of all is said.
LISTED = 100


@dataclass(frozen=True, slots=True)
class WaitingList:
    """What waits for a reader and fits, the oldest first."""

    rows: tuple[AccessRequest, ...]
    #: How many fit, and how many wait at all.
    total: int
    everything: int
    #: Slug and name of the applications in which something waits.
    applications: tuple[tuple[str, str], ...]
    form: WaitingForm

    @property
    def asking(self) -> str:
        """Return the query that shows the same list, with its question mark; empty for everything."""
        return f"?{self.form.kept}" if self.form.kept else ""

    @property
    def more(self) -> str:
        """Return the same to be put behind another query."""
        return f"&{self.form.kept}" if self.form.kept else ""

    @property
    def is_narrowed(self) -> bool:
        """Tell whether something is filtered out, or could be."""
        return bool(self.form.kept)


def waiting_list(person: Person, said: QueryDict, at: datetime) -> WaitingList:
    """Return what waits for a person. One statement; one more when it is narrowed or very long, or both two."""
    form = WaitingForm(said)
    by = form.narrowing(at)
    waiting = narrowed(waiting_for(person), by, reader=person)
    rows = tuple(waiting[:LISTED])
    is_whole = len(rows) < LISTED
    if by == Narrowing() and is_whole:
        names = {one.entitlement.application.slug: one.entitlement.application.name for one in rows}
        return WaitingList(rows, len(rows), len(rows), _by_name(names), form)
    total = len(rows) if is_whole else waiting.order_by().count()
    application = ("entitlement__application__slug", "entitlement__application__name")
    grouped = waiting_for(person).order_by().values_list(*application).annotate(number=Count("pk"))
    counted = {(slug, name): number for slug, name, number in grouped}
    return WaitingList(rows, total, sum(counted.values()), _by_name(dict(counted.keys())), form)


def _by_name(names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(names.items(), key=lambda one: one[1].casefold()))
