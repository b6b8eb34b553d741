"""How the ledger names what access is about."""

from __future__ import annotations

from governance.access.models import AccessRequest, Grant
from governance.ledger.recording import Subject


def of_request(request: AccessRequest) -> list[Subject]:
    """Return the request, the person it is for and the entitlement."""
    return [
        Subject("request", str(request.number)),
        Subject("person", str(request.person.ref)),
        Subject("application", str(request.entitlement.application_id)),
        Subject("entitlement", str(request.entitlement_id)),
    ]


def of_grant(grant: Grant, person_ref: str) -> list[Subject]:
    """Return the grant, the person who has it and what it gives. Takes the reference so that many need no query."""
    return [
        Subject("grant", str(grant.pk)),
        Subject("person", person_ref),
        Subject("application", str(grant.application_id)),
        Subject("entitlement", str(grant.entitlement_id)),
    ]
