"""Who may open which page: the one place that maps roles to pages, and errors of the rooms to answers.

Every view of this door carries `@employee_page` or `@needs(...)`; `@open_page` says aloud that a page is for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.views.decorators.http import require_http_methods

from governance.core.errors import DomainError, NotAllowed
from governance.identity.models import Person, RoleName
from governance.web import errors
from governance.web.actor import person_of

#: What a guest has in place of roles: they see the engagements they were invited to, and nothing else.
GUEST = "guest"
#: The roles of each person that is read: those assigned, and owner for whoever owns an application.
HELD_ROLES = RawSQL(
    """ARRAY(SELECT role FROM identity_roleassignment WHERE person_id = identity_person.id
        UNION SELECT 'owner' FROM catalog_applicationowner WHERE person_id = identity_person.id
        UNION SELECT 'guest' WHERE identity_person.status = 'guest')""",
    (),
    output_field=ArrayField(CharField()),
)

#: What browsers send to pages. Anything else is refused before a view could take it for one of these.
_pages_only = require_http_methods(["GET", "HEAD", "POST"])

Parameters = ParamSpec("Parameters")
View = Callable[Concatenate[HttpRequest, Parameters], HttpResponse]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the signed-in person is to Gatehouse. Owning an application makes somebody an owner."""

    roles: frozenset[str]

    @property
    def is_owner(self) -> bool:
        """Tell whether they answer for an application."""
        return RoleName.OWNER in self.roles

    @property
    def is_security_admin(self) -> bool:
        """Tell whether they run Gatehouse."""
        return RoleName.SECURITY_ADMIN in self.roles

    @property
    def is_auditor(self) -> bool:
        """Tell whether they look, and change nothing."""
        return RoleName.AUDITOR in self.roles

    @property
    def is_guest(self) -> bool:
        """Tell whether they come from outside, for an engagement."""
        return GUEST in self.roles

    def has_any(self, roles: frozenset[str]) -> bool:
        """Tell whether one of `roles` is among theirs."""
        return bool(self.roles & roles)


def standing_of(request: HttpRequest) -> Standing:
    """Return the standing of the signed-in person, which came with them (`accounts.backend`)."""
    known: Standing | None = getattr(request, "gatehouse_standing", None)
    if known is None:
        known = Standing(_roles(person_of(request)))
        request.gatehouse_standing = known  # type: ignore[attr-defined]
    return known


def employee_page(view: View[Parameters]) -> View[Parameters]:
    """Let in everybody who works here."""
    return _guarded(view, frozenset())


def signed_in_page(view: View[Parameters]) -> View[Parameters]:
    """Let in everybody who is signed in, guests as well."""
    return _guarded(view, frozenset(), guests=True)


def guests_and(*roles: RoleName) -> Callable[[View[Parameters]], View[Parameters]]:
    """Let in guests and who has one of `roles`. The view answers for what a guest may see."""

    def decorate(view: View[Parameters]) -> View[Parameters]:
        return _guarded(view, frozenset(roles), guests=True)

    return decorate


def needs(*roles: RoleName) -> Callable[[View[Parameters]], View[Parameters]]:
    """Let in who has one of `roles`; everybody else is told in plain words who the page is for."""

    def decorate(view: View[Parameters]) -> View[Parameters]:
        return _guarded(view, frozenset(roles))

    return decorate


def open_page(view: View[Parameters]) -> View[Parameters]:
    """Let in everybody, signed in or not."""
    opened = _pages_only(view)
    opened.open_to = "everybody"  # type: ignore[attr-defined]
    return opened


def _guarded(view: View[Parameters], roles: frozenset[RoleName], *, guests: bool = False) -> View[Parameters]:
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        try:
            _check(standing_of(request), roles, guests=guests)
            return view(request, *args, **kwargs)
        except DomainError as error:
            return errors.answer(request, error)

    pages_only = _pages_only(guarded)
    pages_only.open_to = roles or "employees"  # type: ignore[attr-defined]
    return pages_only


def _check(standing: Standing, roles: frozenset[RoleName], *, guests: bool) -> None:
    if standing.is_guest:
        if not guests:
            raise NotAllowed("This page is for people who work here.")
    elif roles and not standing.has_any(frozenset(roles)):
        raise NotAllowed(f"This page is for {_named(roles)}.")


def _roles(person: Person) -> frozenset[str]:
    known: list[str] | None = getattr(person, "held_roles", None)
    if known is None:
        known = Person.objects.filter(pk=person.pk).values_list(HELD_ROLES, flat=True).get()
    return frozenset(known)


def _to_sign_in(request: HttpRequest) -> HttpResponseRedirect:
    come_back = request.get_full_path() if request.method == "GET" else "/"
    return HttpResponseRedirect(f"{resolve_url('account_login')}?{urlencode({'next': come_back})}")


def _named(roles: frozenset[RoleName]) -> str:
    words = {
        RoleName.OWNER: "owners of applications",
        RoleName.SECURITY_ADMIN: "security administrators",
        RoleName.AUDITOR: "auditors",
        RoleName.EMPLOYEE: "employees",
    }
    named = [words[role] for role in words if role in roles]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
