"""Rows to SCIM documents and back: django-scim2's documented extension point.

Only the mapping is used. Its filter classes, view bodies and PATCH handlers are not (docs/scim.md says why).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django_scim.adapters import SCIMGroup, SCIMUser
from scim2_models import InvalidValueException

from governance.core.actor import Actor
from governance.identity.connections import ownership
from governance.identity.models import Group, Person
from governance.identity.profiles import Profile, profile_from_document
from governance.lifecycle import actions as lifecycle

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: Of one list of a document; members are not part of it. Every later PATCH compares all of them.
MAX_ELEMENTS = 2000
#: What the server makes or must not keep; never part of a stored document.
NOT_STORED = frozenset({"id", "meta", "groups", "members", "password"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The connection on whose behalf a request acts."""

    source: str
    actor: Actor
    #: None where there is no connection: the public address, and tests of the storage.
    connection_id: int | None = None
    #: The sources of the other live connections: whom they brought is not there for this one.
    others: tuple[str, ...] = ()


class Adapter:
    """What users and groups have in common. `obj` is a row, or a named tuple with the fields that are read."""

    resource_type: ClassVar[str]
    endpoint: ClassVar[str]
    obj: Any

    def __init__(self, obj: Any, *, base_url: str = "", caller: Caller | None = None) -> None:
        self.obj = obj
        self.base_url = base_url
        self.caller = caller

    @property
    def location(self) -> str:
        """Return the address of the resource."""
        return f"{self.base_url}/{self.endpoint}/{self.obj.scim_id}"

    @property
    def version(self) -> str:
        """Return the weak entity tag."""
        return f'W/"{self.obj.version}"'

    @property
    def meta(self) -> dict[str, str]:
        """Return the metadata; the location only when the address of the server is known."""
        meta = {
            "resourceType": self.resource_type,
            "created": rfc3339(self.obj.created_at),
            "lastModified": rfc3339(self.obj.modified_at),
            "version": self.version,
        }
        return {**meta, "location": self.location} if self.base_url else meta

    def to_dict(self) -> dict[str, Any]:
        """Return the document as the client sent it, with what the server knows."""
        return {**self.obj.document, "id": str(self.obj.scim_id), "meta": self.meta}

    def delete(self) -> None:
        """Remove a locked resource from SCIM."""
        raise NotImplementedError

    def claim(self) -> None:
        """Let a locked resource that no live connection has belong to the one that writes to it."""
        raise NotImplementedError

    def acting(self) -> Caller:
        """Return who acts; an adapter made for reading has nobody."""
        if self.caller is None:
            raise RuntimeError("This adapter was made for reading.")
        return self.caller


class PersonAdapter(Adapter, SCIMUser):  # type: ignore[misc]  # published without types
    """A person as a SCIM User."""

    resource_type = "User"
    endpoint = "Users"
    profile: Profile

    def with_groups(self, groups: Iterable[tuple[UUID, str]]) -> dict[str, Any]:
        """Return the document with the groups the person is in (RFC 7643 §4.1.2, read-only)."""
        listed = [
            {"value": str(id_), "$ref": f"{_prefix(self.base_url)}Groups/{id_}", "display": name, "type": "direct"}
            for id_, name in groups
        ]
        return {**self.to_dict(), "groups": listed} if listed else self.to_dict()

    def from_dict(self, d: Mapping[str, Any]) -> None:
        """Read a validated document into the profile that `save` hands to lifecycle.

        Without `active` in it, the person stays what they are. Raises InvalidValueException.
        """
        document = stored_form(d)
        _check_name("userName", str(document.get("userName", "")))
        profile = profile_from_document(document)
        if "active" not in document and self.obj is not None:
            # What the directory said last, which the brake may hold.
            is_active = self.obj.is_active and self.obj.document.get("active") is not False
            profile = replace(profile, is_active=is_active)
        self.profile = profile

    def save(self) -> Person:
        """Join or update. An existing person must be locked. Raises what lifecycle raises."""
        caller = self.acting()
        if self.obj is None:
            self.obj = lifecycle.join(self.profile, source=caller.source, actor=caller.actor)
        else:
            self.claim()
            self.obj = lifecycle.update(self.obj, self.profile, actor=caller.actor)
        person: Person = self.obj
        return person

    def delete(self) -> None:
        """Let a locked person leave and the resource disappear."""
        self.claim()
        lifecycle.leave(self.obj, unlist=True, actor=self.acting().actor)

    def claim(self) -> None:
        """Let a locked person that no live connection has belong to the one that writes to them."""
        caller = self.acting()
        if caller.connection_id is not None and self.obj.source != caller.source:
            ownership.claim_person(self.obj, source=caller.source, actor=caller.actor)


class GroupAdapter(Adapter, SCIMGroup):  # type: ignore[misc]  # published without types
    """A group as a SCIM Group."""

    resource_type = "Group"
    endpoint = "Groups"
    document: dict[str, Any]

    def with_members(self, members: Iterable[tuple[UUID, str | None]]) -> dict[str, Any]:
        """Return the document with its members; an empty list when there are none, as authentik needs it."""
        prefix = f"{_prefix(self.base_url)}Users/"
        listed = [
            {"value": str(id_), "$ref": f"{prefix}{id_}", "type": "User", **({"display": name} if name else {})}
            for id_, name in members
        ]
        return {**self.to_dict(), "members": listed}

    def from_dict(self, d: Mapping[str, Any]) -> None:
        """Read a validated document. Raises InvalidValueException."""
        self.document = stored_form(d)
        _check_name("displayName", str(self.document.get("displayName", "")))

    def save(self, *, member_ids: Iterable[int] | None = None) -> Group:
        """Create or replace. An existing group must be locked; without `member_ids` its members stay."""
        caller = self.acting()
        name, external_id = str(self.document["displayName"]), str(self.document.get("externalId", ""))
        if self.obj is None:
            self.obj = lifecycle.create_group(
                name,
                external_id=external_id,
                document=self.document,
                member_ids=list(member_ids or ()),
                source=caller.source,
                actor=caller.actor,
            )
        else:
            self.claim()
            self.obj = lifecycle.replace_group(
                self.obj,
                name,
                external_id=external_id,
                document=self.document,
                member_ids=None if member_ids is None else list(member_ids),
                actor=caller.actor,
            )
        group: Group = self.obj
        return group

    def delete(self) -> None:
        """Take everybody out of a locked group and remove it."""
        self.claim()
        lifecycle.delete_group(self.obj, actor=self.acting().actor)

    def claim(self) -> None:
        """Let a locked group that no live connection has belong to the one that writes to it."""
        caller = self.acting()
        if caller.connection_id is not None and self.obj.source != caller.source:
            ownership.claim_group(self.obj, source=caller.source, actor=caller.actor)


def rfc3339(instant: datetime | str) -> str:
    """Return an instant as RFC 7643 §2.3.5 writes it, in UTC; what is a text already was written by the database."""
    if isinstance(instant, str):
        return instant
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def stored_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a document: without what the server makes, without secrets, without a blank externalId.

    Raises InvalidValueException for what cannot be stored and read back, naming the attribute.
    """
    kept = {name: value for name, value in document.items() if name not in NOT_STORED}
    if kept.get("externalId") == "":
        del kept["externalId"]
    for name, value in kept.items():
        fault = _fault(name) or _fault(value)
        if fault is not None:
            raise InvalidValueException(detail=f"{name}: holds {fault}.")
    if (twice := _named_twice(kept)) is not None:
        raise InvalidValueException(detail=f"{twice}: is there twice, in different letter case (RFC 7643 §2.1).")
    return kept


def _named_twice(values: Mapping[str, Any]) -> str | None:
    """Return a name that another one equals but for its letter case: filters and profiles could each read the other."""
    if len({name.lower() for name in values}) == len(values):
        return None
    counted = Counter(name.lower() for name in values)
    return next(name for name in values if counted[name.lower()] > 1)


def _fault(value: Any) -> str | None:
    """Return what PostgreSQL or a JSON reader on the other side could not hold of a value, or None."""
    match value:
        case str():
            return "a character that text cannot hold (NUL or half a pair)" if _UNSTORABLE.search(value) else None
        case bool():
            return None
        case int() | float():
            # RFC 8259 §6 warns beyond 2⁵³; beyond 2⁶³ our own writer of JSON refuses what jsonb gives back.
            return None if abs(value) < 2**63 else "a number that is too large"
        case Mapping():
            if (twice := _named_twice(value)) is not None:
                return f"{twice!r} twice, in different letter case"
            return next((fault for pair in value.items() for each in pair if (fault := _fault(each))), None)
        case list():
            if len(value) > MAX_ELEMENTS:
                return f"a list of {len(value)} values, and at most {MAX_ELEMENTS} are kept"
            return next((fault for each in value if (fault := _fault(each))), None)
    return None


def _check_name(attribute: str, name: str) -> None:
    if not name.strip():
        raise InvalidValueException(detail=f"{attribute}: must not be empty.")
    if name != name.strip():
        raise InvalidValueException(detail=f"{attribute}: must not begin or end with white space.")


def _prefix(base_url: str) -> str:
    return f"{base_url}/" if base_url else ""
