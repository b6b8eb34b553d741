"""The facts beside the buttons, which an answer keeps: what the person has there, what was asked before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.access.models import AccessRequest, Grant, RequestState
from governance.core.statements import rows

#: So many earlier requests of the person in the application, and of others for the role, are shown.
EARLIER = 5


@dataclass(frozen=True, slots=True)
class Reached:
    """A reason for which the person can reach something in the application now. `ends_at` is OPEN_END without end."""

    grant_id: int
    entitlement_id: int
    entitlement: str
    cause: str
    ends_at: datetime
    #: Whether it outlasts what is asked for: what the person still has there when that has ended.
    is_residual: bool


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier request: of the person in the application, or of somebody for the role."""

    number: int
    person: str
    entitlement: str
    state: str
    created_at: datetime
    is_theirs: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """Everything a person looks at beside the buttons that the receipt of the request does not say."""

    reached: tuple[Reached, ...]
    before: tuple[Before, ...]

    @property
    def residual(self) -> tuple[Reached, ...]:
        """Return what the person still has in the application after what is asked for has ended."""
        return tuple(one for one in self.reached if one.is_residual)

    @property
    def of_person(self) -> tuple[Before, ...]:
        """Return what the person asked for in the application before."""
        return tuple(one for one in self.before if one.is_theirs)

    @property
    def of_role(self) -> tuple[Before, ...]:
        """Return who else asked for the role lately."""
        return tuple(one for one in self.before if not one.is_theirs)

    def as_kept(self) -> dict[str, Any]:
        """Return what an answer keeps of it: references only, no names."""
        return {
            "grants": [one.grant_id for one in self.reached],
            "residual": [one.grant_id for one in self.residual],
            "requests": [one.number for one in self.before],
        }


def beside(request: AccessRequest, *, at: datetime) -> Beside:
    """Return what stands beside the buttons for one request. Two statements."""
    ends_at = None if request.duration is None else max(request.starts_at or at, at) + request.duration
    return Beside(_reached(request, ends_at, at), _before(request))


def _reached(request: AccessRequest, ends_at: datetime | None, at: datetime) -> tuple[Reached, ...]:
    covering = Grant.objects.filter(
        person=request.person_id, application=request.entitlement.application_id, starts_at__lte=at, ends_at__gt=at
    ).order_by("entitlement__name", "pk")
    found = covering.values_list("pk", "entitlement_id", "entitlement__name", "cause", "ends_at")
    return tuple(
        Reached(*one, is_residual=ends_at is not None and one[4] > ends_at and one[0] != request.extends_id)
        for one in found
    )


def _before(request: AccessRequest) -> tuple[Before, ...]:
    given = {
        "request": request.pk,
        "person": request.person_id,
        "application": request.entitlement.application_id,
        "role": request.entitlement_id,
        "limit": EARLIER,
    }
    return tuple(Before(*one) for one in rows(_BEFORE, given))


_BEFORE = f"""
(SELECT earlier.number, person.display_name, role.name, earlier.state, earlier.created_at, true
FROM access_accessrequest earlier
JOIN catalog_entitlement role ON role.id = earlier.entitlement_id
JOIN identity_person person ON person.id = earlier.person_id
WHERE earlier.person_id = %(person)s AND role.application_id = %(application)s AND earlier.id <> %(request)s
    AND earlier.state <> '{RequestState.PENDING.value}'
ORDER BY earlier.id DESC LIMIT %(limit)s)
UNION ALL
(SELECT earlier.number, person.display_name, role.name, earlier.state, earlier.created_at, false
FROM access_accessrequest earlier
JOIN catalog_entitlement role ON role.id = earlier.entitlement_id
JOIN identity_person person ON person.id = earlier.person_id
WHERE earlier.entitlement_id = %(role)s AND earlier.person_id <> %(person)s
    AND earlier.state <> '{RequestState.PENDING.value}'
ORDER BY earlier.id DESC LIMIT %(limit)s)
"""  # noqa: S608 - a constant of the code
