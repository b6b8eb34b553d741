"""How far the signed-in person reaches: which applications they see, and where they may change something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from governance.catalog.models import Application
from governance.catalog.queries import applications_owned_by
from governance.core.errors import NotAllowed, NotFound
from governance.identity.models import Person
from governance.provisioning.models import SyncRun
from governance.web.actor import person_of
from governance.web.roles import standing_of

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Reach:
    """What somebody sees of the applications. `applications` is None when they see all of them."""

    applications: frozenset[int] | None
    owned: frozenset[int]
    is_security_admin: bool

    def sees(self, application_id: int) -> bool:
        """Tell whether the application is within reach."""
        return self.applications is None or application_id in self.applications

    def may_change(self, application_id: int) -> bool:
        """Tell whether they may decide about access in this application: its owners and security administrators."""
        return self.is_security_admin or application_id in self.owned

    def within(self, rows: QuerySet[Row], path: str = "application_id") -> QuerySet[Row]:
        """Narrow rows to the applications within reach; `path` leads to the application's primary key."""
        return rows if self.applications is None else rows.filter(**{f"{path}__in": self.applications})


def reach_of(request: HttpRequest) -> Reach:
    """Return the reach of the signed-in person. One query for owners, none for others, once for each request."""
    known: Reach | None = getattr(request, "gatehouse_reach", None)
    if known is None:
        standing = standing_of(request)
        asks = standing.is_owner and not standing.is_security_admin
        owned = frozenset(applications_owned_by(person_of(request).pk)) if asks else frozenset()
        sees_all = standing.is_security_admin or standing.is_auditor
        known = Reach(None if sees_all else owned, owned, standing.is_security_admin)
        request.gatehouse_reach = known  # type: ignore[attr-defined]
    return known


def application_in_reach(request: HttpRequest, slug: str) -> Application:
    """Return the application with its connector. Raises NotFound, and NotAllowed when it is somebody else's."""
    found = (
        Application.objects.select_related("connector").annotate(read_at=read_to_the_end()).filter(slug=slug).first()
    )
    if found is None:
        raise NotFound(f"There is no application called {slug}.")
    if not reach_of(request).sees(found.pk):
        raise NotAllowed(f"This page is for the owners of {found.name}, security administrators and auditors.")
    return found


def read_to_the_end() -> Subquery:
    """Return when an application was last read completely, as a column of a query over applications."""
    reading = SyncRun.objects.filter(application=OuterRef("pk"), is_complete=True).order_by("-started_at")
    return Subquery(reading.values("finished_at")[:1])


def require_change(request: HttpRequest, of: Application) -> None:
    """Raise NotAllowed unless the person may change something in this application."""
    if not reach_of(request).may_change(of.pk):
        raise NotAllowed(f"Only the owners of {of.name} and security administrators can do this.")


def require_sight(request: HttpRequest, person: Person) -> None:
    """Raise NotAllowed when an owner looks at somebody who has nothing in their applications."""
    reach = reach_of(request)
    if reach.applications is None:
        return
    has_access = person.grants.filter(application_id__in=reach.applications).exists()
    if not has_access and not person.accounts.filter(application_id__in=reach.applications).exists():
        raise NotAllowed(f"{person.display_name} has nothing in your applications.")
