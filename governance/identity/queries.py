"""Questions about who exists."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import TypeVar

from django.db.models import Model, QuerySet

from governance.core.errors import NotFound
from governance.identity.models import Group, Person, RoleAssignment, RoleName, Status
from governance.identity.profiles import key

Row = TypeVar("Row", bound=Model)


def person(ref: uuid.UUID | str) -> Person:
    """Return the person with this permanent reference. Raises NotFound."""
    return _one(Person.objects.select_related("manager").filter(ref=_uuid(ref)), "person")


def person_by_email(email: str) -> Person:
    """Return the listed person with this e-mail address or user name, in any letter case. Raises NotFound."""
    listed = Person.objects.filter(is_listed=True)
    found = listed.filter(user_name_key=key(email)).first() or listed.filter(email__iexact=email.strip()).first()
    if found is None:
        raise NotFound(f"Nobody has the address {email}.")
    return found


def locked_person(scim_id: uuid.UUID | str) -> Person:
    """Return a listed person by SCIM id, locked until the transaction ends. Raises NotFound."""
    people = Person.objects.select_for_update(no_key=True)
    return _one(people.filter(scim_id=_uuid(scim_id), is_listed=True), "user")


def locked_group(scim_id: uuid.UUID | str) -> Group:
    """Return a listed group by SCIM id, locked until the transaction ends. Raises NotFound."""
    groups = Group.objects.select_for_update(no_key=True)
    return _one(groups.filter(scim_id=_uuid(scim_id), is_listed=True), "group")


def person_ids_by_scim_id(scim_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the primary keys of the listed people with these SCIM ids; unknown ones are missing. One statement."""
    rows = Person.objects.filter(scim_id__in=list(scim_ids), is_listed=True).values_list("scim_id", "id")
    return dict(rows)


def roles_of(person_id: int) -> frozenset[str]:
    """Return the roles a person holds in Gatehouse; everybody active is an employee."""
    held = RoleAssignment.objects.filter(person_id=person_id).values_list("role", flat=True)
    return frozenset(held) | {RoleName.EMPLOYEE.value}


def security_admins() -> QuerySet[Person]:
    """Return the active people who administer security."""
    return Person.objects.filter(status=Status.ACTIVE, role_assignments__role=RoleName.SECURITY_ADMIN).order_by("id")


def refs_of(person_ids: Collection[int]) -> dict[int, str]:
    """Return the permanent references of these people, by primary key. One statement."""
    return {id_: str(ref) for id_, ref in Person.objects.filter(id__in=person_ids).values_list("id", "ref")}


def _one(found: QuerySet[Row], what: str) -> Row:
    first = found.first()
    if first is None:
        raise NotFound(f"There is no such {what}.")
    return first


def _uuid(value: uuid.UUID | str) -> uuid.UUID:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
    except ValueError as error:
        raise NotFound("There is nothing by that id.") from error
