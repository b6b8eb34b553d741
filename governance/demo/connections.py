"""The two directories of the demo company: what each brought, what it did in the last day, one conflict between them.

Most people stay without an owner: they came with the demo, and the first connection that writes to them has them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.core.actor import Actor, ActorKind, Door
from governance.demo import staff
from governance.demo.people import Company, Member
from governance.demo.world import World
from governance.identity import events
from governance.identity.models import (
    Connection,
    ConnectionConflict,
    ConnectionExchange,
    ConnectionHour,
    ConnectionToken,
    Group,
    ServiceToken,
)
from governance.ledger.recording import Subject

#: Of its own, so that what comes before and after draws the same as without.
_SEED = 20261
_HOURS = 24
_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_MESSAGES = "urn:ietf:params:scim:api:messages:2.0:"
_USER, _GROUP, _PATCH = [f"{_CORE}User"], [f"{_CORE}Group"], [f"{_MESSAGES}PatchOp"]
_LIST, _ERROR = [f"{_MESSAGES}ListResponse"], [f"{_MESSAGES}Error"]


@dataclass(frozen=True, slots=True)
class _Directory:
    """An identity provider of the company. The token ends so many days from now."""

    name: str
    dialect: str
    user_agent: str
    opened_days_ago: int
    token_ends_in_days: int
    last_used_ago: timedelta
    #: Requests in a quiet and in a busy hour.
    quiet: int
    busy: int
    note: str


_OKTA = _Directory(
    "Okta workforce", "okta", "Okta SCIM Client 1.0.0", 150, 215, timedelta(seconds=40), 14, 260,
    "Employees. Run by the identity team; application Gatehouse in the Okta tenant of Halden Health.",
)  # fmt: skip
_ENTRA = _Directory(
    "Entra contractors", "entra", "azureidentityscim/1.0", 120, 11, timedelta(minutes=13), 22, 48,
    "Contractors, from the tenant of the staffing partner.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Said:
    """One exchange, as the door keeps it: masked."""

    method: str
    path: str
    status: int
    understood: Sequence[str]
    query: str = ""
    request: Any = None
    response: Any = None
    problem: str = ""
    section: str = ""


def connect(world: World, company: Company) -> None:
    """Make both connections with what they brought, counted and said, and the conflict."""
    chance = random.Random(_SEED)  # noqa: S311 - repeatable on purpose
    okta, entra = _open(world, company, _OKTA), _open(world, company, _ENTRA)
    contractors = [one for one in _others(company) if one.person_type == "Contractor"]
    recent = [
        one for one in _others(company) if one.person_type == "Employee" and one.now.recorded_at > okta.created_at
    ]
    _claim(world, okta, recent, {staff.ON_CALL, staff.PHI_TRAINED})
    _claim(world, entra, contractors, {staff.CONTRACTORS})
    for directory, connection in ((_OKTA, okta), (_ENTRA, entra)):
        _count(world, directory, connection, chance)
    wanted = min(contractors, key=lambda one: one.person.pk)
    _disagree(world, okta, entra, wanted)
    groups = [row for row in world.rows[Group] if isinstance(row, Group) and row.source == okta.source]
    _say(world, _OKTA, okta, _okta_said(recent, groups, wanted), chance)
    _say(world, _ENTRA, entra, _entra_said(contractors), chance)


def _others(company: Company) -> list[Member]:
    """Return the active people of whom no story is told."""
    named = {one.handle for one in staff.NAMED}
    return [one for one in company if one.is_active and one.handle not in named]


def _open(world: World, company: Company, directory: _Directory) -> Connection:
    opened_at, admin = world.at - timedelta(days=directory.opened_days_ago), company["ravi.menon"].person
    used_at = world.at - directory.last_used_ago
    connection = world.add(
        Connection(
            ref=world.ref(),
            name=directory.name,
            dialect=directory.dialect,
            note=directory.note,
            created_at=opened_at,
            last_used_at=used_at,
        )
    )
    token = world.add(
        ServiceToken(
            audience=ServiceToken.Audience.SCIM.value,
            name=directory.name,
            # No token has this digest: a demo must not bring a key that everybody who has the code could make.
            digest=world.word(64),
            hint=f"gh_scim_{world.word(4)}",
            created_at=opened_at,
            created_by_ref=str(admin.ref),
            expires_at=world.at + timedelta(days=directory.token_ends_in_days),
            last_used_at=used_at,
        )
    )
    world.add(ConnectionToken(connection=connection, token=token))
    actor, subject = world.by(admin), Subject("connection", str(connection.ref))
    opened: dict[str, object] = {"name": connection.name, "dialect": connection.dialect}
    world.record(events.CONNECTION_OPENED, subject, actor=actor, at=opened_at, data=opened)
    issued: dict[str, object] = {"audience": "scim", "name": connection.name}
    world.record(events.TOKEN_ISSUED, Subject("token", str(token.pk)), actor=actor, at=opened_at, data=issued)
    return connection


def _claim(world: World, connection: Connection, members: list[Member], groups: set[str]) -> None:
    """Let the connection have these people and groups, since the first change it sent about them."""
    for member in members:
        member.person.source = connection.source
        at = max(member.now.recorded_at, connection.created_at + timedelta(minutes=5))
        _record_claim(world, connection, events.PERSON_CLAIMED, member.subject, at)
    for group in (row for row in world.rows[Group] if isinstance(row, Group) and row.display_name in groups):
        group.source = connection.source
        at = connection.created_at + timedelta(minutes=9)
        _record_claim(world, connection, events.GROUP_CLAIMED, Subject("group", str(group.ref)), at)


def _record_claim(world: World, connection: Connection, event: str, subject: Subject, at: datetime) -> None:
    actor = _acting(world, connection)
    world.record(event, subject, actor=actor, at=at, data={"from": "demo", "to": connection.source})


def _acting(world: World, connection: Connection) -> Actor:
    return Actor(ActorKind.SERVICE, connection.name, Door.SCIM, correlation_id=world.correlation())


def _count(world: World, directory: _Directory, connection: Connection, chance: random.Random) -> None:
    """Count a day: busy in the working hours of Berlin, a handful refused."""
    last = world.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for ago in range(_HOURS):
        hour = last - timedelta(hours=ago)
        is_busy = 6 <= hour.hour < 17 and hour.weekday() < 5
        most = directory.busy if is_busy else directory.quiet
        share = (world.at - last) / timedelta(hours=1) if ago == 0 else 1
        requests = max(1, round(most * chance.uniform(0.55, 1) * share))
        errors = chance.choice((0, 0, 0, 1, 3)) if is_busy and requests > 5 else 0
        world.add(ConnectionHour(connection=connection, hour=hour, requests=requests, errors=errors))


def _disagree(world: World, okta: Connection, entra: Connection, wanted: Member) -> None:
    """Let Okta ask for a contractor who is about to be employed, and whom Entra brought."""
    world.add(
        ConnectionConflict(
            connection=okta,
            holder=entra,
            person=wanted.person,
            name=wanted.person.user_name,
            first_seen_at=world.at - timedelta(hours=5, minutes=12),
            last_seen_at=world.at - timedelta(minutes=12),
            count=6,
        )
    )


def _say(world: World, directory: _Directory, connection: Connection, said: list[_Said], chance: random.Random) -> None:
    """Keep the exchanges, the first of the list being the latest."""
    at = world.at - directory.last_used_ago
    for one in said:
        world.add(
            ConnectionExchange(
                connection=connection,
                at=at,
                method=one.method,
                path=one.path,
                query=one.query,
                status=one.status,
                milliseconds=round(chance.uniform(2.1, 9.4), 3),
                user_agent=directory.user_agent,
                correlation_id=world.correlation(),
                request_body=one.request,
                response_body=one.response,
                understood=list(one.understood),
                problem=one.problem,
                section=one.section,
            )
        )
        at -= timedelta(seconds=chance.randrange(20, 320))


def _okta_said(people: list[Member], groups: list[Group], wanted: Member) -> list[_Said]:
    """Return what Okta and the door said to each other, the latest first."""
    said = [_looked_for(people[0]), _okta_title(people[1]), _refused_name(wanted), _looked_for(wanted, found=0)]
    said += [_put(one) for one in people[2:8]]
    said += [_joined_group(groups[0], people[3]), _refused_path(groups[0]), *map(_looked_for, people[4:10])]
    return [*said, _put(people[1]), _listed(len(people)), _configured()]


def _entra_said(people: list[Member]) -> list[_Said]:
    """Return what Entra and the door said to each other, the latest first."""
    said = [_matched(one) for one in people[:5]]
    return [*said, _entra_title(people[2]), *map(_matched, people[5:9]), _listed(len(people)), _configured()]


def _looked_for(member: Member, found: int = 1) -> _Said:
    name = _masked(member.person.user_name)
    ids = [{"id": str(member.person.scim_id)}][:found]
    return _Said(
        "GET", "/Users", 200,
        [f"Look for a user named {name}: {f'{found} found' if found else 'none found'}."],
        query=f'filter=userName eq "{name}"&startIndex=1&count=100',
        response={"schemas": _LIST, "totalResults": found, "startIndex": 1, "itemsPerPage": found, "Resources": ids},
    )  # fmt: skip


def _matched(member: Member) -> _Said:
    external = _masked(member.person.external_id)
    return _Said(
        "GET", "/Users", 200,
        [f"Look for a user whose externalId is {external}: 1 found."],
        query=f'filter=externalId eq "{external}"',
        response={"schemas": _LIST, "totalResults": 1, "startIndex": 1, "itemsPerPage": 1,
                  "Resources": [{"id": str(member.person.scim_id)}]},
    )  # fmt: skip


def _put(member: Member) -> _Said:
    person = member.person
    body = {
        "schemas": _USER,
        "id": str(person.scim_id),
        "userName": _masked(person.user_name),
        "displayName": _masked(person.display_name),
        "title": _masked(person.title),
        "active": True,
    }
    path = f"/Users/{person.scim_id}"
    understood = [f"Replace everything about the user {person.scim_id}.", "They are active."]
    return _Said("PUT", path, 200, understood, request=body, response=body)


def _okta_title(member: Member) -> _Said:
    return _changed_title(member, {"op": "replace", "value": {"title": _masked(member.person.title)}})


def _entra_title(member: Member) -> _Said:
    return _changed_title(member, {"op": "Replace", "path": "title", "value": _masked(member.person.title)})


def _changed_title(member: Member, operation: dict[str, Any]) -> _Said:
    scim_id = str(member.person.scim_id)
    return _Said(
        "PATCH", f"/Users/{scim_id}", 200, ["Replace title."],
        request={"schemas": _PATCH, "Operations": [operation]},
        response={"schemas": _USER, "id": scim_id, "userName": _masked(member.person.user_name), "active": True},
    )  # fmt: skip


def _joined_group(group: Group, member: Member) -> _Said:
    operation = {"op": "add", "path": "members", "value": [{"value": str(member.person.scim_id)}]}
    return _Said(
        "PATCH", f"/Groups/{group.scim_id}", 204, ["Put 1 person into the group."],
        request={"schemas": _PATCH, "Operations": [operation]},
    )  # fmt: skip


def _refused_path(group: Group) -> _Said:
    operation = {"op": "replace", "path": "membership", "value": [{"value": "… (12 characters)"}]}
    detail = "The path membership names no attribute of a group."
    return _Said(
        "PATCH", f"/Groups/{group.scim_id}", 400, ["Replace membership with 1 value."],
        request={"schemas": _PATCH, "Operations": [operation]},
        response={"schemas": _ERROR, "status": "400", "scimType": "invalidPath", "detail": detail},
        problem=f"The path of an operation names nothing that exists. {detail} Nothing was changed.",
        section="RFC 7644 §3.5.2",
    )  # fmt: skip


def _refused_name(wanted: Member) -> _Said:
    name = _masked(wanted.person.user_name)
    detail = (
        f"The user name {name} belongs to somebody whom the connection {_ENTRA.name} brought. "
        "A security administrator can hand over or dismiss this in Gatehouse."
    )
    return _Said(
        "POST", "/Users", 409, [f"Create the user {name}."],
        request={"schemas": _USER, "userName": name, "displayName": _masked(wanted.person.display_name),
                 "active": True},
        response={"schemas": _ERROR, "status": "409", "scimType": "uniqueness", "detail": detail},
        problem=f"The name is taken, and it must be unique. {detail} Nothing was changed.",
        section="RFC 7644 §3.3",
    )  # fmt: skip


def _listed(number: int) -> _Said:
    return _Said(
        "GET", "/Users", 200, [f"List the users from number 1 on: {number} found."], query="startIndex=1&count=2",
        response={"schemas": _LIST, "totalResults": number, "startIndex": 1, "itemsPerPage": 2},
    )  # fmt: skip


def _configured() -> _Said:
    return _Said("GET", "/ServiceProviderConfig", 200, ["Asks what this server can do."])


def _masked(text: str) -> str:
    """Return a text as the door keeps it: its first two characters and its length."""
    return f"{text[:2] if len(text) > 3 else ''}… ({len(text)} characters)"
