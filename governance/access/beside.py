"""The facts beside the buttons, which an answer keeps: what the person has there, what was asked before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.access.models import AccessRequest, RequestState
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

    @property
    def state_words(self) -> str:
        """Return where it stands, inside a sentence."""
        return RequestState(self.state).label.lower()


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
    """Return what stands beside the buttons for one request. One statement."""
    ends_at = None if request.duration is None else max(request.starts_at or at, at) + request.duration
    given = {
        "request": request.pk,
        "person": request.person_id,
        "application": request.entitlement.application_id,
        "role": request.entitlement_id,
        "limit": EARLIER,
        "at": at,
    }
    reached, before = [], []
    for kind, key, role_id, person, role, word, moment in rows(_BESIDE, given):
        if kind == "reached":
            is_residual = ends_at is not None and moment > ends_at and key != request.extends_id
            reached.append(Reached(key, role_id, role, word, moment, is_residual))
        else:
            before.append(Before(key, person, role, word, moment, is_theirs=kind == "theirs"))
    return Beside(tuple(sorted(reached, key=lambda one: (one.entitlement, one.grant_id))), tuple(before))


_EARLIER = f"""
FROM access_accessrequest earlier
JOIN catalog_entitlement role ON role.id = earlier.entitlement_id
JOIN identity_person person ON person.id = earlier.person_id
WHERE earlier.state <> '{RequestState.PENDING.value}'"""
_BESIDE = f"""
(SELECT 'reached', held.id, held.entitlement_id, '', role.name, held.cause, held.ends_at
FROM access_grant held JOIN catalog_entitlement role ON role.id = held.entitlement_id
WHERE held.person_id = %(person)s AND held.application_id = %(application)s
    AND held.starts_at <= %(at)s AND held.ends_at > %(at)s)
UNION ALL
(SELECT 'theirs', earlier.number, role.id, person.display_name, role.name, earlier.state, earlier.created_at {_EARLIER}
    AND earlier.person_id = %(person)s AND role.application_id = %(application)s AND earlier.id <> %(request)s
ORDER BY earlier.id DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'others', earlier.number, role.id, person.display_name, role.name, earlier.state, earlier.created_at {_EARLIER}
    AND earlier.entitlement_id = %(role)s AND earlier.person_id <> %(person)s
ORDER BY earlier.id DESC LIMIT %(limit)s)
"""  # noqa: S608 - constants of the code; values are parameters
