"""Questions about who exists."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import TypeVar

import orjson
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Upper

from governance.core.errors import NotFound
from governance.core.statements import row, rows
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


def people_by_email(emails: Collection[str]) -> dict[str, Person]:
    """Return whom each of these addresses or user names belongs to, as `person_by_email` would; those that are known.

    One statement, however many.
    """
    keys, uppers = {one: key(one) for one in emails}, {one: one.strip().upper() for one in emails}
    named = Q(user_name_key__in=list(keys.values())) | Q(upper_email__in=list(uppers.values()))
    found = list(Person.objects.alias(upper_email=Upper("email")).filter(named, is_listed=True).order_by("-pk"))
    by_name = {one.user_name_key: one for one in found}
    by_email = {one.email.upper(): one for one in found}
    people = {one: by_name.get(keys[one]) or by_email.get(uppers[one]) for one in emails}
    return {one: person for one, person in people.items() if person is not None}


def locked_person(scim_id: uuid.UUID | str) -> Person:
    """Return a listed person by SCIM id, locked until the transaction ends. Raises NotFound."""
    return _locked(Person, _LOCKED_PERSON, _uuid(scim_id), "user")


def locked_group(scim_id: uuid.UUID | str) -> Group:
    """Return a listed group by SCIM id, locked until the transaction ends. Raises NotFound."""
    return _locked(Group, _LOCKED_GROUP, _uuid(scim_id), "group")


def person_ids_by_scim_id(scim_ids: Iterable[uuid.UUID], *, not_from: Collection[str] = ()) -> dict[uuid.UUID, int]:
    """Return the primary keys of the listed people with these SCIM ids; unknown ones are missing. One statement.

    People of the sources in `not_from` are unknown too.
    """
    wanted = list(scim_ids)
    if len(wanted) == 1:
        return dict(rows(_ONE_ID, [wanted[0], list(not_from)]))
    return dict(rows(_IDS, [wanted, list(not_from)]))


_IDS = (
    "SELECT scim_id, id FROM identity_person"
    " WHERE scim_id = ANY(%s::uuid[]) AND is_listed AND source <> ALL(%s::text[])"
)


# For one value PostgreSQL keeps a plan; for an array of any length it makes one each time.
_ONE_ID = _IDS.replace("ANY(%s::uuid[])", "%s::uuid")


def roles_of(person_id: int) -> frozenset[str]:
    """Return the roles a person holds in Gatehouse; everybody active is an employee."""
    held = RoleAssignment.objects.filter(person_id=person_id).values_list("role", flat=True)
    return frozenset(held) | {RoleName.EMPLOYEE.value}


def is_guest(person_id: int) -> bool:
    """Tell whether this person comes from outside, for an engagement."""
    return Person.objects.filter(pk=person_id, status=Status.GUEST).exists()


def security_admins() -> QuerySet[Person]:
    """Return the active people who administer security."""
    return Person.objects.filter(status=Status.ACTIVE, role_assignments__role=RoleName.SECURITY_ADMIN).order_by("id")


def refs_of(person_ids: Collection[int]) -> dict[int, str]:
    """Return the permanent references of these people, by primary key. One statement."""
    return {id_: str(ref) for id_, ref in rows(_REFS, [list(person_ids)])}


_REFS = "SELECT id, ref FROM identity_person WHERE id = ANY(%s::bigint[])"


def _fields(model: type[Model]) -> list[str]:
    """Return what a writer reads of a row: all but the copy that only filters read, and Django's own."""
    unread = {"document_key", "password", "last_login"}
    return [field.attname for field in model._meta.concrete_fields if field.attname not in unread]


def _locking(model: type[Model]) -> str:
    return (
        f"SELECT {', '.join(_fields(model))} FROM {model._meta.db_table}"  # noqa: S608 - names of the code
        " WHERE scim_id = %s AND is_listed FOR NO KEY UPDATE"
    )


_LOCKED_PERSON, _LOCKED_GROUP = _locking(Person), _locking(Group)


def _locked(model: type[Row], sql: str, scim_id: uuid.UUID, what: str) -> Row:
    found = row(sql, [scim_id])
    if found is None:
        raise NotFound(f"There is no such {what}.")
    names = _fields(model)
    values = dict(zip(names, found, strict=True))
    values["document"] = orjson.loads(values["document"])
    return model.from_db(DEFAULT_DB_ALIAS, names, list(values.values()))


def names_by_ref(refs: Collection[str]) -> dict[str, str]:
    """Return the names of people by their permanent reference; what is no reference of a person is left out."""
    known = {parsed for ref in refs if (parsed := _uuid_or_none(ref))}
    found = Person.objects.filter(ref__in=known).values_list("ref", "display_name") if known else []
    return {str(ref): name for ref, name in found}


def people_by_ref(refs: Collection[str]) -> dict[str, Person]:
    """Return people by their permanent reference; what is no reference of a person is left out. One statement."""
    known = {parsed for ref in refs if (parsed := _uuid_or_none(ref))}
    return {str(one.ref): one for one in Person.objects.filter(ref__in=known)} if known else {}


def _one(found: QuerySet[Row], what: str) -> Row:
    first = found.first()
    if first is None:
        raise NotFound(f"There is no such {what}.")
    return first


def _uuid_or_none(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def _uuid(value: uuid.UUID | str) -> uuid.UUID:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
    except ValueError as error:
        raise NotFound("There is nothing by that id.") from error
