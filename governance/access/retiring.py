"""Retiring roles and applications: what would happen, and the ends that follow, in batches, until nothing runs.

Taking it out of use is one short transaction; from then on nobody can ask, be approved or begin. What runs is found by
looking, not kept in a list: whoever is killed leaves nothing behind, and what another transaction gave meanwhile is
found too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from governance.access import endings
from governance.access.models import AccessRequest, EndCause, Grant, GrantCause, RequestState
from governance.catalog import actions as catalog
from governance.catalog import retiring
from governance.catalog.models import AccessPolicy, Application, Entitlement
from governance.catalog.retiring import Mention, mentions
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.statements import row, rows
from governance.core.wakeup import wake
from governance.provisioning.models import Operation, OperationKind, OperationState

WAKE = "access.sweep"
#: So many are named; the others are counted.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who has it now, or was to get it."""

    ref: UUID
    name: str
    department: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What retiring some roles would do now, by number and the first by name."""

    #: People who have one of them or have it booked, and the grants of both kinds.
    people: int
    running: int
    booked: int
    #: The running ones by what they came by.
    by_rule: int
    by_request: int
    otherwise: int
    #: Orders that take a role from a person, and how many of these people have nothing else in the application.
    removals: int
    accounts: int
    named: tuple[Holder, ...]
    #: The numbers of the requests that wait, the oldest first.
    requests: tuple[int, ...]
    mentions: tuple[Mention, ...]
    #: Stays the same while it would do the same to the same people.
    digest: str

    @property
    def unnamed(self) -> int:
        """Return how many people are not named."""
        return self.people - len(self.named)

    @property
    def named_requests(self) -> tuple[int, ...]:
        """Return the numbers that are shown."""
        return self.requests[:NAMED]


def look_at_role(role: Entitlement) -> Look:
    """Return what retiring a role would do now. Four statements, however many have it."""
    return _look([role.pk], role.application_id)


def look_at_application(application: Application) -> Look:
    """Return what retiring an application with its roles would do now. Five statements, however many have them."""
    return _look(list(application.entitlements.values_list("pk", flat=True)), application.pk)


@transaction.atomic
def retire_role(role: Entitlement, *, seen: str | None = None, actor: Actor) -> Entitlement:
    """Take a role out of use for good and have every access by it ended.

    Raises Conflict when it was retired before, and with the digest that was `seen` when it would do something else now.
    """
    if seen is not None and look_at_role(role).digest != seen:
        raise _changed()
    retired = retiring.retire_entitlement(role, actor=actor)
    wake(WAKE)
    return retired


@transaction.atomic
def retire_application(application: Application, *, seen: str | None = None, actor: Actor) -> Application:
    """Take an application with all its roles out of use for good and have every access by it ended.

    Raises what `retire_role` does.
    """
    if seen is not None and look_at_application(application).digest != seen:
        raise _changed()
    retired = retiring.retire_application(application, actor=actor)
    wake(WAKE)
    return retired


@transaction.atomic
def add_role(
    application: Application,
    name: str,
    *,
    sentence: str,
    target_ref: str,
    kind: str,
    risk: int,
    data_classes: Sequence[str] = (),
    is_privileged: bool = False,
    is_requestable: bool = True,
    policy: AccessPolicy | None = None,
    actor: Actor,
) -> Entitlement:
    """Return a new role, as `catalog.actions.add_entitlement`, which says what it raises.

    Raises Conflict as well while a retired role of the same name in the application is still being taken away: the
    removals would take what the new one gives.
    """
    former = Entitlement.objects.filter(
        application=application, kind=kind, target_ref=target_ref, retired_at__isnull=False
    )
    if former.filter(_is_leaving(application)).exists():
        raise Conflict(f"{target_ref} is still being taken away from people. Add it when that is done.")
    return catalog.add_entitlement(
        application,
        name,
        sentence=sentence,
        target_ref=target_ref,
        kind=kind,
        risk=risk,
        data_classes=data_classes,
        is_privileged=is_privileged,
        is_requestable=is_requestable,
        policy=policy,
        actor=actor,
    )


@transaction.atomic
def end_batch(limit: int) -> int:
    """End up to `limit` grants of what is retired, order the removals and record; return how many.

    One transaction, set-based. Several may run at once: each takes people the others have not locked.
    """
    at = now()
    due = [key for (key,) in rows(_LOCK, {"at": at, "limit": limit})]
    if not due:
        return 0
    live = Grant.objects.select_for_update(no_key=True, of=("self",)).filter(
        pk__in=due, ends_at__gt=at, end_ordered_at=None
    )
    grants = list(live.order_by("pk"))
    for correlation_id, part in _by_act(grants).items():
        actor = Actor.system("retiring", correlation_id=correlation_id) if correlation_id else Actor.system("retiring")
        endings.end_many(part, cause=EndCause.RETIRED, at=at, actor=actor)
    return len(grants)


def still_running(application: Application) -> int:
    """Return how many grants of retired roles of an application have not ended yet."""
    at = now()
    gone = application.entitlements.filter(retired_at__isnull=False).values("pk")
    return Grant.objects.filter(entitlement__in=gone, ends_at__gt=at, end_ordered_at=None).count()


def _look(role_ids: Collection[int], application_id: int) -> Look:
    known = {"roles": list(role_ids), "application": application_id, "at": now(), "named": NAMED}
    numbers = row(_NUMBERS, known)
    assert numbers is not None
    people, running, booked, by_rule, by_request, removals, accounts, keys = numbers
    waiting = AccessRequest.objects.filter(entitlement__in=role_ids, state=RequestState.PENDING).order_by("number")
    requests = tuple(waiting.values_list("number", flat=True))
    said = tuple(mentions(role_ids))
    return Look(
        people=people,
        running=running,
        booked=booked,
        by_rule=by_rule,
        by_request=by_request,
        otherwise=running - by_rule - by_request,
        removals=removals,
        accounts=accounts,
        named=tuple(
            Holder(ref, name, department, tuple(roles)) for ref, name, department, roles in rows(_NAMES, known)
        ),
        requests=requests,
        mentions=said,
        digest=f"{running + booked}-{keys}-{len(requests)}-{sum(requests)}-{len(said)}",
    )


def _changed() -> Conflict:
    return Conflict("What it affects changed since you looked. Nothing was retired; look again.")


def _is_leaving(application: Application) -> Q:
    """Tell of a role whether somebody still has it, or its removal is not settled."""
    running = Grant.objects.filter(entitlement=OuterRef("pk"), ends_at__gt=now(), end_ordered_at=None)
    takes = Operation.objects.filter(application=application, entitlement=OuterRef("pk"), kind=OperationKind.TAKE)
    return Q(Exists(running)) | Q(Exists(takes.exclude(state=OperationState.VERIFIED)))


def _by_act(grants: Collection[Grant]) -> dict[str, list[Grant]]:
    """Return the grants by the act in which their role was retired; one statement."""
    acts = dict(rows(_ACTS, {"roles": sorted({grant.entitlement_id for grant in grants})})) if grants else {}
    found: dict[str, list[Grant]] = defaultdict(list)
    for grant in grants:
        found[acts.get(grant.entitlement_id, "")].append(grant)
    return found


#: As an array, so that it is a look at an index for each retired role, however many grants there are. What ended before
#: it began has an end ahead, and that end is ordered.
_LOCK = """
SELECT held.id FROM access_grant held JOIN identity_person person ON person.id = held.person_id
WHERE held.entitlement_id = ANY(ARRAY(
        SELECT role.id
        FROM catalog_entitlement role JOIN catalog_application application ON application.id = role.application_id
        WHERE role.retired_at IS NOT NULL OR application.retired_at IS NOT NULL
    )) AND held.ends_at > %(at)s AND held.end_ordered_at IS NULL
LIMIT %(limit)s FOR NO KEY UPDATE OF person SKIP LOCKED
"""
_ACTS = """
SELECT DISTINCT ON (entitlement_id) entitlement_id, correlation_id FROM catalog_entitlementrevision
WHERE entitlement_id = ANY(%(roles)s::bigint[]) AND change = 'retired' ORDER BY entitlement_id, number DESC
"""
_HELD = """
WITH held AS MATERIALIZED (
    SELECT live.id, live.person_id, live.entitlement_id, live.cause, live.starts_at <= %(at)s AS is_running
    FROM access_grant live
    WHERE live.entitlement_id = ANY(%(roles)s::bigint[]) AND live.ends_at > %(at)s AND live.end_ordered_at IS NULL
)
"""
_NUMBERS = f"""
{_HELD}
SELECT count(DISTINCT held.person_id), count(*) FILTER (WHERE held.is_running),
    count(*) FILTER (WHERE NOT held.is_running),
    count(*) FILTER (WHERE held.is_running AND held.cause = '{GrantCause.BIRTHRIGHT.value}'),
    count(*) FILTER (WHERE held.is_running AND held.cause = '{GrantCause.REQUEST.value}'),
    count(DISTINCT (held.person_id, held.entitlement_id)) FILTER (WHERE held.is_running),
    (
        SELECT count(*) FROM (SELECT DISTINCT person_id FROM held WHERE is_running) loser
        WHERE NOT EXISTS (
            SELECT FROM access_grant other
            WHERE other.person_id = loser.person_id AND other.application_id = %(application)s
                AND other.starts_at <= %(at)s AND other.ends_at > %(at)s
                AND other.entitlement_id <> ALL(%(roles)s::bigint[])
        )
    ),
    coalesce(sum(held.id), 0)::text
FROM held
"""  # noqa: S608 - parts of the code; values are parameters
_NAMES = f"""
{_HELD}
SELECT person.ref, person.display_name, person.department, array_agg(DISTINCT role.name ORDER BY role.name)
FROM held JOIN identity_person person ON person.id = held.person_id
JOIN catalog_entitlement role ON role.id = held.entitlement_id
GROUP BY person.id ORDER BY person.display_name, person.id LIMIT %(named)s
"""  # noqa: S608 - parts of the code; values are parameters
