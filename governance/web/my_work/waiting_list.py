"""The list of what waits for somebody, narrowed by what the address says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import QueryDict

from governance.access.models import AccessRequest
from governance.access.narrowing import Narrowing, narrowed
from governance.access.queries import waiting_among
from governance.access.waiting_sql import Waiting
from governance.identity.models import Person
from governance.web.my_work.approval_forms import WaitingForm

#: So many that wait are listed; the number of all is said.
LISTED = 50


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


def waiting_list(person: Person, said: QueryDict, at: datetime, *, waiting: Waiting) -> WaitingList:
    """Return what waits for a person. One statement; one more when it is narrowed and very long."""
    form = WaitingForm(said)
    by = form.narrowing(at)
    fitting = narrowed(waiting_among(waiting), by, reader=person)
    rows = tuple(fitting[:LISTED])
    is_everything, is_whole = by == Narrowing(), len(rows) < LISTED
    total = len(waiting) if is_everything else len(rows) if is_whole else fitting.order_by().count()
    return WaitingList(rows, total, len(waiting), _by_name(dict(waiting.values())), form)


def _by_name(names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(names.items(), key=lambda one: one[1].casefold()))
