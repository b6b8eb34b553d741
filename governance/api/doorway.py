"""Who comes in, their standing, and the actor that every action wants."""

from __future__ import annotations

import contextlib
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from governance.api.tokens import BearerTokens, BrowserSessions
from governance.api.words import DocumentParser, check_words
from governance.catalog.queries import applications_owned_by
from governance.core.actor import Actor, ActorKind, Door, acting_as
from governance.core.errors import NotAllowed
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import roles_of

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What guests may do where an address is theirs as well.
READ = frozenset({"GET", "HEAD"})
READ_AND_WRITE = READ | {"POST"}


class PerPerson(UserRateThrottle):
    """So many requests a minute for each person, however many tokens act for them."""

    rate = "600/min"


class DoorView(APIView):
    """A view of this door: everybody is somebody, and acts as themselves all through the request.

    `needs` names the roles of which one is needed for anything but reading, `reads` for reading; empty: anybody.
    Whoever answers for an application is an owner, whether or not they have the role.
    """

    authentication_classes = (BearerTokens, BrowserSessions)
    throttle_classes = (PerPerson,)
    parser_classes = (DocumentParser,)
    needs: frozenset[str] = frozenset()
    #: The words a query may hold beside those of paging.
    filters: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    #: With which methods guests come in. The view answers for what a guest may see.
    guests: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let in or refuse, then act as whoever came in."""
        super().initial(request, *args, **kwargs)
        check_words(request, self.filters)
        self._check_standing(str(request.method))
        self._acting = contextlib.ExitStack()
        self._acting.enter_context(acting_as(self.actor))

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Stop acting as the one who came in."""
        acting: contextlib.ExitStack | None = getattr(self, "_acting", None)
        if acting is not None:
            acting.close()
        finished = super().finalize_response(request, response, *args, **kwargs)
        finished.headers.setdefault("Cache-Control", "no-store")
        return finished

    def _check_standing(self, method: str) -> None:
        if self.is_guest:
            if method not in self.guests:
                raise NotAllowed("This is for people who work here.")
            return
        wanted = self.reads if method in _SAFE else self.needs
        if wanted and not wanted & self.roles and not (RoleName.OWNER in wanted and self.owned):
            names = " or ".join(RoleName(role).label.lower() for role in sorted(wanted))
            raise NotAllowed(f"This is for: {names}.")

    @property
    def person(self) -> Person:
        """Return who came in."""
        return cast("Person", self.request.user)

    @property
    def actor(self) -> Actor:
        """Return who came in as the actor of this request."""
        known: Actor | None = getattr(self, "_actor", None)
        if known is None:
            known = Actor(ActorKind.PERSON, str(self.person.ref), Door.API, person_id=self.person.pk)
            self._actor = known
        return known

    @property
    def roles(self) -> frozenset[str]:
        """Return the roles of who came in. One statement a request."""
        known: frozenset[str] | None = getattr(self, "_roles", None)
        if known is None:
            known = roles_of(self.person.pk)
            self._roles = known
        return known

    @property
    def is_guest(self) -> bool:
        """Tell whether who came in is from outside, for an engagement."""
        return self.person.status == Status.GUEST

    @property
    def sees_everything(self) -> bool:
        """Tell whether who came in may read about everybody."""
        return bool(self.roles & {RoleName.SECURITY_ADMIN, RoleName.AUDITOR})

    @property
    def is_security_admin(self) -> bool:
        """Tell whether who came in runs Gatehouse."""
        return RoleName.SECURITY_ADMIN in self.roles

    @property
    def owned(self) -> list[int]:
        """Return the primary keys of the applications who came in answers for. One statement a request."""
        known: list[int] | None = getattr(self, "_owned", None)
        if known is None:
            known = applications_owned_by(self.person.pk)
            self._owned = known
        return known
