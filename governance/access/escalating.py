"""What silence causes: at the instant a stage has waited for too long, its fallback is asked too."""

from __future__ import annotations

from datetime import datetime

from governance.access import events, subjects
from governance.access.approvers import deciders, voters
from governance.access.models import AccessRequest, Turn, TurnKind
from governance.access.queries import WITH_REQUEST
from governance.core.actor import Actor
from governance.core.statements import rows
from governance.core.tables import insert_rows
from governance.ledger.recording import Record, record_many
from governance.policy.escalation import Silence


def escalate_due(limit: int, *, at: datetime, actor: Actor) -> int:
    """Ask the fallback of up to `limit` requests that met silence for too long; return how many.

    Joins the caller's transaction. Who is about to answer holds the request, which is skipped: when they did not
    answer after all, the next sweep finds it.
    """
    due = [key for (key,) in rows(_DUE, {"at": at, "limit": limit})]
    if not due:
        return 0
    found = AccessRequest.objects.filter(pk__in=due).select_related(*WITH_REQUEST).prefetch_related("approvals")
    waiting = list(found.prefetch_related("turns__to").order_by("pk"))
    known = deciders({one.entitlement.application_id for one in waiting})
    before = {one.pk: {who.person.pk for who in voters(one, known)} for one in waiting}
    silences = {one.pk: _silence(one, at) for one in waiting}
    AccessRequest.objects.filter(pk__in=due).update(escalates_at=None, escalated_at=at)
    for one in waiting:
        one.escalated_at = at
    asked = {one.pk: [who.person for who in voters(one, known)] for one in waiting}
    _keep(waiting, silences, before, {key: [who.pk for who in people] for key, people in asked.items()}, at)
    record_many(
        [
            Record(
                events.REQUEST_ESCALATED,
                actor=actor,
                subjects=subjects.of_request(one),
                data={"stage": one.stage, "asked": [str(who.ref) for who in asked[one.pk]]},
            )
            for one in waiting
        ]
    )
    return len(waiting)


_DUE = """
SELECT id FROM access_accessrequest WHERE state = 'pending' AND escalates_at <= %(at)s
ORDER BY escalates_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""


def _silence(request: AccessRequest, at: datetime) -> Silence:
    stage = request.route[request.stage]
    assert stage.escalates_after is not None
    assert request.escalates_at is not None
    since = request.stage_since or request.created_at
    return Silence(
        since=since,
        allowed=stage.escalates_after,
        paused=request.escalates_at - since - stage.escalates_after,
        at=at,
    )


def _keep(
    waiting: list[AccessRequest],
    silences: dict[int, Silence],
    before: dict[int, set[int]],
    after: dict[int, list[int]],
    at: datetime,
) -> None:
    insert_rows(
        Turn,
        [
            {
                "request_id": one.pk,
                "stage": one.stage,
                "kind": TurnKind.ESCALATED.value,
                "text": "",
                "facts": silences[one.pk].as_receipt()
                | {
                    "policy_version": one.policy_version_id,
                    "asked_before": sorted(before[one.pk]),
                    "asked_after": after[one.pk],
                },
                "at": at,
            }
            for one in waiting
        ],
    )
