"""The decider alone, as a table: what happened on the left, who is told what on the right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from governance.notices.deciding import DECIDERS, decide
from governance.notices.happenings import Asked, Audit, Exceptions, Given, Happening, What, Who
from governance.notices.kinds import KINDS
from tests.notices.conftest import HOUR, NOON

ADA, GRACE, LINUS, SAM = (Who(at, f"ref-{name}", name) for at, name in enumerate(("Ada", "Grace", "Linus", "Sam"), 1))
SNOWFLAKE = What("Snowflake", "snowflake", "Analyst", owner_ids=(LINUS.id,))
NOBODYS = replace(SNOWFLAKE, owner_ids=())
WAITING = Asked(2041, ADA, ADA, SNOWFLAKE, is_pending=True, approver_ids=(LINUS.id,), tell_ids=(LINUS.id,))
ANSWERED = replace(WAITING, is_pending=False, approver_ids=(), tell_ids=(), asked_at={LINUS.id: NOON, GRACE.id: NOON})
GRANT = Given(7, ADA, SNOWFLAKE, "request", NOON + HOUR, ADA, 2041)
BASE = Happening("nothing.happened", 12, "c0ffee", NOON, {}, security_ids=(SAM.id,))
#: Sam opened it, Grace looks from outside.
ASKED = Audit("ref", "SOC 2", NOON, 5, waits_for_host=True, host_ids=(SAM.id,), auditor_ids=(GRACE.id,))
GIVEN = replace(ASKED, waits_for_host=False, waits_for_auditor=True)
PEOPLE = {who.ref: who for who in (ADA, GRACE, LINUS, SAM)}


def told(event: str, **known: Any) -> list[tuple[str, str]]:
    names = {who.id: who.name for who in PEOPLE.values()}
    seen = replace(BASE, event=event, **known)
    return sorted((names[one.person_id], one.kind) for one in decide(seen))


CASES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("request.submitted", {"request": WAITING, "actor": ADA}, [("Linus", "approval.wanted")]),
    ("request.submitted", {"request": ANSWERED, "actor": ADA}, []),
    ("request.submitted", {}, []),
    ("request.handed_over", {"request": WAITING, "actor": GRACE}, [("Linus", "approval.wanted")]),
    ("request.reminded", {"request": WAITING, "actor": ADA}, [("Linus", "approval.reminded")]),
    ("request.reminded", {"request": replace(WAITING, asked_at={LINUS.id: NOON - HOUR / 2}), "actor": ADA}, []),
    ("request.escalated", {"request": WAITING}, [("Linus", "approval.escalated")]),
    ("request.escalated", {"request": replace(WAITING, asked_at={LINUS.id: NOON}), "actor": None}, []),
    ("request.asked_back", {"request": WAITING, "actor": LINUS}, [("Ada", "request.question")]),
    ("request.replied", {"request": WAITING, "actor": ADA}, [("Linus", "approval.replied")]),
    (
        "request.approved",
        {"request": ANSWERED, "actor": LINUS},
        [("Ada", "request.approved"), ("Grace", "approval.taken")],
    ),
    ("request.approved", {"request": replace(ANSWERED, asked_at={}), "actor": ADA}, []),
    (
        "request.approved",
        {"request": replace(ANSWERED, requester=GRACE, asked_at={}), "actor": LINUS},
        [("Ada", "request.approved"), ("Grace", "request.approved")],
    ),
    ("request.denied", {"request": ANSWERED, "actor": GRACE}, [("Ada", "request.denied"), ("Linus", "approval.taken")]),
    ("request.lapsed", {"request": ANSWERED}, [("Ada", "request.lapsed")]),
    ("request.withdrawn", {"request": ANSWERED, "actor": ADA}, []),
    ("operation.verified", {"grant": GRANT, "data": {"kind": "give"}}, [("Ada", "request.ready")]),
    ("operation.verified", {"grant": GRANT, "data": {"kind": "take"}}, []),
    ("operation.verified", {"grant": replace(GRANT, number=None), "data": {"kind": "give"}}, []),
    (
        "operation.failed",
        {"grant": GRANT, "data": {"kind": "give"}},
        [("Ada", "request.failed"), ("Linus", "giving.failed")],
    ),
    ("operation.failed", {"grant": GRANT, "data": {"kind": "take"}}, [("Linus", "removal.failed")]),
    ("operation.failed", {"what": NOBODYS, "data": {"kind": "take"}}, [("Sam", "removal.failed")]),
    ("connector.circuit_opened", {"what": SNOWFLAKE}, [("Linus", "connector.stopped")]),
    (
        "grant.started",
        {"grant": replace(GRANT, cause="break_glass"), "actor": ADA},
        [("Linus", "break_glass.used"), ("Sam", "break_glass.used")],
    ),
    ("grant.started", {"grant": replace(GRANT, cause="birthright")}, []),
    ("grant.started", {"grant": replace(GRANT, cause="manual"), "actor": SAM}, [("Ada", "access.given")]),
    ("grant.ended", {"grant": GRANT, "data": {"cause": "expired"}}, []),
    ("grant.ended", {"grant": GRANT, "data": {"cause": "revoked"}, "actor": LINUS}, [("Ada", "access.revoked")]),
    ("grant.ended", {"grant": GRANT, "data": {"cause": "revoked"}, "actor": ADA}, []),
    ("grant.withheld", {"person": ADA}, [("Sam", "duties.withheld")]),
    ("grant.called_off", {"grant": GRANT}, [("Ada", "request.called_off")]),
    ("grant.end_asked", {"grant": GRANT}, [("Ada", "access.kept"), ("Linus", "end.asked")]),
    (
        "grant.end_asked",
        {"grant": replace(GRANT, person=LINUS)},
        [("Linus", "access.kept"), ("Sam", "end.asked")],
    ),
    (
        "grant.end_answered",
        {"grant": GRANT, "data": {"lasts_until": NOON.isoformat()}, "actor": LINUS},
        [("Ada", "access.extended")],
    ),
    ("grant.end_answered", {"grant": GRANT, "data": {"lasts_until": None}, "actor": LINUS}, []),
    ("break_glass.opened", {"reviewer_ids": (GRACE.id,), "person": ADA}, [("Grace", "break_glass.review_wanted")]),
    (
        "break_glass.overdue",
        {"reviewer_ids": (GRACE.id,), "person": ADA},
        [("Grace", "break_glass.overdue"), ("Sam", "break_glass.overdue")],
    ),
    ("break_glass.reviewed", {"person": ADA, "actor": GRACE, "data": {"justified": True}},
     [("Ada", "break_glass.reviewed")]),
    ("break_glass.reviewed", {"person": ADA, "actor": GRACE, "data": {"justified": False}},
     [("Ada", "break_glass.reviewed"), ("Sam", "break_glass.reviewed")]),
    ("hold.opened", {"refs": {"source": "scim:okta"}}, [("Sam", "hold.opened")]),
    ("rule.parked", {"refs": {"rule": "x"}, "data": {"done": 1, "total": 3}}, [("Sam", "rule.parked")]),
    ("invitation.accepted", {"audit": replace(ASKED, number=0), "person": GRACE}, [("Sam", "audit.came")]),
    ("audit_request.added", {"audit": ASKED, "actor": GRACE}, [("Sam", "audit.asked")]),
    ("audit_request.added", {"audit": ASKED, "actor": SAM}, []),
    ("audit_request.added", {"audit": GIVEN, "actor": GRACE}, []),
    ("audit_request.added", {"actor": GRACE}, []),
    ("audit_request.flagged", {"audit": ASKED, "actor": GRACE}, [("Sam", "audit.flagged")]),
    ("audit_request.flagged", {"audit": GIVEN, "actor": GRACE}, []),
    ("audit_request.answered", {"audit": GIVEN, "actor": SAM}, [("Grace", "audit.answered")]),
    ("audit_request.answered", {"audit": ASKED, "actor": SAM}, []),
    ("audit_request.said", {"audit": ASKED, "actor": SAM}, [("Grace", "audit.said")]),
    ("audit_request.said", {"audit": ASKED, "actor": GRACE}, [("Sam", "audit.said")]),
    ("stream.stopped", {"refs": {"stream": "x"}}, [("Sam", "stream.stopped")]),
    ("control_reading.finished",
     {"exceptions": {ADA.id: Exceptions(new=2), LINUS.id: Exceptions(new=1, overdue=1), GRACE.id: Exceptions(near=1)}},
     [("Ada", "exceptions.found"), ("Grace", "exceptions.due"), ("Linus", "exceptions.due"),
      ("Linus", "exceptions.found")]),
    ("control_reading.finished", {"exceptions_of_nobody": Exceptions(new=3)}, [("Sam", "exceptions.unowned")]),
    ("control_reading.finished", {"exceptions": {ADA.id: Exceptions()}}, []),
    ("exception.answered", {"data": {"owner": GRACE.ref, "is_new_owner": True}, "by_ref": PEOPLE, "actor": SAM},
     [("Grace", "exception.given")]),
    ("exception.answered", {"data": {"owner": GRACE.ref, "is_new_owner": False}, "by_ref": PEOPLE, "actor": SAM}, []),
    ("handover.made", {"named": (ADA, GRACE), "data": {"rule": "manager"}, "refs": {"report": "x"}},
     [("Grace", "handover.received")]),
    ("handover.made", {"named": (ADA, GRACE), "data": {"rule": "manager"}, "refs": {"application": "x"}}, []),
    ("handover.made", {"named": (ADA,), "data": {"rule": "nobody"}}, [("Sam", "handover.undecided")]),
    ("absence.planned", {"data": {"deputy": GRACE.ref}, "by_ref": PEOPLE, "actor": LINUS},
     [("Grace", "absence.deputy")]),
    ("policy.proposed", {"data": {"proposal": 3}, "actor": GRACE}, [("Sam", "policy.proposed")]),
    ("policy.proposed", {"data": {"proposal": 3}, "actor": SAM}, []),
    ("policy.proposal_approved", {"data": {"proposal": 3}, "person": GRACE, "actor": SAM},
     [("Grace", "policy.answered")]),
    ("application.owners_changed", {"what": replace(SNOWFLAKE, new_owner_ids=(GRACE.id,)), "actor": SAM},
     [("Grace", "ownership.received")]),
    ("sod_exception.granted", {"data": {"owner": LINUS.ref}, "by_ref": PEOPLE}, [("Linus", "duties.excepted")]),
    ("nobody.cares", {"request": WAITING}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "known", "expected"), CASES, ids=[f"{at} {case[0]}" for at, case in enumerate(CASES)]
)
def test_who_is_told_what(event: str, known: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(event, **known) == expected


def test_every_event_and_every_kind_is_in_the_table() -> None:
    assert set(DECIDERS) - {event for event, _, _ in CASES} <= {
        "request.stage_approved",
        "request.closed",
        "connector.circuit_closed",
        "grant.shortened",
        "policy.proposal_declined",
    }
    said = {kind for _, _, expected in CASES for _, kind in expected}
    elsewhere = {
        "access.ending",
        "audit.ending",
        "log_review.due",
        "log_review.overdue",
        "access.shortened",
        "connector.works_again",
        "request.closed",
        "request.stage_approved",
    }
    assert set(KINDS) - said <= elsewhere | {"request.withheld"}


def test_thousands_of_one_act_are_told_once() -> None:
    causes = {decide(replace(BASE, event="grant.withheld", index=index, person=ADA))[0].cause for index in range(1000)}

    assert len(causes) == 1
