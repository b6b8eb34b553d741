"""What an entry looks like on the way: as it was hashed, or as an event of OCSF. Pure.

The schema is OCSF 1.3.0 (schema.ocsf.io, category "Identity & Access Management"). What Gatehouse decides about access
is "User Access Management" (3005); whether an application has done it is an entry of its own (`operation.verified`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.core.actor import ActorKind
from governance.ledger.queries import SealedEntry
from governance.ledger.recording import Subject

OCSF_VERSION = "1.3.0"
_CATEGORY = 3
ACCOUNT, AUTHENTICATION, ENTITY, ACCESS, GROUP = 3001, 3002, 3004, 3005, 3006
CLASS_NAMES = {
    ACCOUNT: "Account Change",
    AUTHENTICATION: "Authentication",
    ENTITY: "Entity Management",
    ACCESS: "User Access Management",
    GROUP: "Group Management",
}
_OTHER = 99
#: Event → class and activity. What is not here is the management of an entity, its activity by the verb.
_EVENTS: dict[str, tuple[int, int]] = {
    "person.joined": (ACCOUNT, 1),
    "person.rejoined": (ACCOUNT, 2),
    "person.left": (ACCOUNT, 5),
    "person.unlisted": (ACCOUNT, 6),
    "person.updated": (ACCOUNT, _OTHER),
    "password.set": (ACCOUNT, 3),
    "login.succeeded": (AUTHENTICATION, 1),
    "login.failed": (AUTHENTICATION, 1),
    "login.ended": (AUTHENTICATION, 2),
    "login.confirmed": (AUTHENTICATION, _OTHER),
    "grant.started": (ACCESS, 1),
    "grant.extended": (ACCESS, _OTHER),
    "grant.shortened": (ACCESS, _OTHER),
    "grant.ended": (ACCESS, 2),
    "break_glass.opened": (ACCESS, 1),
    "role.assigned": (ACCESS, 1),
    "role.removed": (ACCESS, 2),
    "group.created": (GROUP, 6),
    "group.removed": (GROUP, 5),
    "group.updated": (GROUP, _OTHER),
    "group.members_changed": (GROUP, _OTHER),
}
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_VERBS = {
    **dict.fromkeys(
        ("added", "created", "opened", "issued", "inserted", "submitted", "requested", "proposed"), _CREATE
    ),
    **dict.fromkeys(("read", "exported", "downloaded", "searched", "fetched"), _READ),
    **dict.fromkeys(("changed", "updated", "saved", "approved", "denied", "verified", "delivered"), _UPDATE),
    **dict.fromkeys(("ended", "retired", "revoked", "deleted", "removed", "withdrawn"), _DELETE),
}
_INFORMATIONAL, _LOW, _MEDIUM, _HIGH, _CRITICAL = 1, 2, 3, 4, 5
_SEVERITIES = {
    "login.failed": _LOW,
    "operation.failed": _MEDIUM,
    "checkpoint.anchor_failed": _MEDIUM,
    "stream.stopped": _MEDIUM,
    "hold.opened": _MEDIUM,
    "break_glass.opened": _HIGH,
    "break_glass.overdue": _HIGH,
    "finding.opened": _HIGH,
    "log.forgery_refused": _CRITICAL,
    "log.reopened": _CRITICAL,
}
_FAILED = frozenset({"login.failed", "operation.failed", "evidence.failed", "checkpoint.anchor_failed"})
_PERSON, _SYSTEM = 1, 3


@dataclass(frozen=True, slots=True)
class Names:
    """Names by kind and reference. Empty for destinations that get none."""

    by_kind: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, kind: str, ref: str) -> dict[str, str]:
        """Return the member `name`, or nothing when it is not known or not told."""
        name = self.by_kind.get(kind, {}).get(ref)
        return {"name": name} if name else {}


def as_entry(entry: SealedEntry, names: Names) -> dict[str, Any]:
    """Return the entry with the text that was hashed, so that its proof can be checked at the other end."""
    told = {f"{one.kind}:{one.ref}": said["name"] for one in _everybody(entry) if (said := names.of(one.kind, one.ref))}
    return {"index": entry.index, "body": entry.body, **({"names": told} if told else {})}


def as_ocsf(entry: SealedEntry, names: Names) -> dict[str, Any]:
    """Return the entry as an OCSF event. `raw_data` is the text that was hashed."""
    class_uid, activity = _class_of(entry.event)
    return {
        "class_uid": class_uid,
        "class_name": CLASS_NAMES[class_uid],
        "category_uid": _CATEGORY,
        "category_name": "Identity & Access Management",
        "activity_id": activity,
        **({"activity_name": entry.event.partition(".")[2]} if activity == _OTHER else {}),
        "type_uid": class_uid * 100 + activity,
        "time": int(entry.at.timestamp() * 1000),
        "severity_id": _SEVERITIES.get(entry.event, _INFORMATIONAL),
        "status_id": 2 if entry.event in _FAILED else 1,
        "message": entry.event.replace(".", " ").replace("_", " "),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "Gatehouse", "vendor_name": "Gatehouse"},
            "uid": str(entry.index),
            "sequence": entry.index,
            "event_code": entry.event,
            "correlation_uid": entry.correlation_id,
            "log_name": "ledger",
        },
        "actor": _actor(entry, names),
        **_about(class_uid, entry, names),
        "unmapped": {"door": entry.door, "subjects": [_thing(one, names) for one in entry.subjects]},
        "raw_data": entry.body,
    }


def _class_of(event: str) -> tuple[int, int]:
    return _EVENTS.get(event) or (ENTITY, _VERBS.get(event.rpartition(".")[2].rpartition("_")[2], _OTHER))


def _actor(entry: SealedEntry, names: Names) -> dict[str, Any]:
    if entry.actor_kind == ActorKind.PERSON:
        return {"user": {"uid": entry.actor_ref, "type_id": _PERSON, **names.of("person", entry.actor_ref)}}
    return {"app_name": "Gatehouse" if entry.actor_kind == ActorKind.SYSTEM else "token", "app_uid": entry.actor_ref}


def _about(class_uid: int, entry: SealedEntry, names: Names) -> dict[str, Any]:
    """Return the members that the class requires."""
    if class_uid in (ACCOUNT, AUTHENTICATION, ACCESS):
        required: dict[str, Any] = {"user": _user(entry, names)}
        if class_uid == AUTHENTICATION:
            required["service"] = {"name": "Gatehouse"}
        if class_uid == ACCESS:
            required |= _privileges(entry, names)
        return required
    first = entry.subjects[0] if entry.subjects else Subject("log", "")
    if class_uid == GROUP:
        return {"group": {"uid": first.ref, **names.of("group", first.ref)}}
    return {"entity": _thing(first, names)}


def _user(entry: SealedEntry, names: Names) -> dict[str, Any]:
    person = next((one for one in entry.subjects if one.kind == "person"), None)
    if person is None:
        return {"uid": entry.subjects[0].ref if entry.subjects else "", "type_id": 0}
    return {"uid": person.ref, "type_id": _PERSON, **names.of("person", person.ref)}


def _privileges(entry: SealedEntry, names: Names) -> dict[str, Any]:
    """Return what access is about: a role of an application, or a role in Gatehouse."""
    role = next((one for one in entry.subjects if one.kind == "entitlement"), None)
    of = next((one for one in entry.subjects if one.kind == "application"), None)
    if role is None:
        return {
            "privileges": [str(entry.data.get("role", "unknown"))],
            "resource": {"name": "Gatehouse", "type": "product"},
        }
    said = names.of("entitlement", role.ref).get("name") or f"entitlement:{role.ref}"
    return {"privileges": [said], **({"resource": _thing(of, names)} if of else {})}


def _thing(one: Subject, names: Names) -> dict[str, Any]:
    return {"uid": one.ref, "type": one.kind, **names.of(one.kind, one.ref)}


def _everybody(entry: SealedEntry) -> list[Subject]:
    actor = [Subject("person", entry.actor_ref)] if entry.actor_kind == ActorKind.PERSON else []
    return list(dict.fromkeys([*actor, *entry.subjects]))


def syslog_severity(entry: SealedEntry) -> int:
    """Return the severity of RFC 5424: informational for most, notice, warning, error or critical for the rest."""
    return {_INFORMATIONAL: 6, _LOW: 5, _MEDIUM: 4, _HIGH: 3, _CRITICAL: 2}[
        _SEVERITIES.get(entry.event, _INFORMATIONAL)
    ]
