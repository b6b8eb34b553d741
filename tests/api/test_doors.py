"""Who may do what at the REST door, and how it says no."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client

from governance.api.urls import urlpatterns
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person, ServiceToken
from governance.identity.queries import locked_person
from governance.identity.roles import issue_token
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.api.conftest import As, Script
from tests.cast import TESTING

REF = "3f8b6a4e-1111-4222-8333-444455556666"
ROLE = {"application": "snowflake", "name": "New", "sentence": "Do.", "target_ref": "new", "risk": 1}
AUDIT = f"engagements/{REF}/"
NO_AUDITOR = {"mallory": 403, "linus": 403}
NOT_ADMIN = {"mallory": 403, "linus": 403, "audrey": 403}
#: Name of the address → method, path, body, and who of the cast is refused for their role (403) or may not know (404).
EVERY: dict[str, list[tuple[str, str, dict[str, Any], dict[str, int]]]] = {
    "schema": [],  # open: it says nothing that the documentation does not
    "nowhere": [],  # open: 404 for everybody
    "me": [("get", "me/", {}, {})],
    "people": [("get", "people/", {}, {})],
    "person": [("get", f"people/{REF}/", {}, {"mallory": 404})],
    "leave": [("post", f"people/{REF}/leave/", {}, {"mallory": 403, "grace": 403, "linus": 403, "audrey": 403})],
    "leave_date": [
        ("post", f"people/{REF}/leave-date/", {}, {"mallory": 403, "grace": 403, "linus": 403, "audrey": 403})
    ],
    "drill": [("get", f"people/{REF}/drill/", {}, {"mallory": 403, "linus": 403})],
    "leavers": [("get", "leavers/", {}, {"mallory": 403, "linus": 403})],
    "leaver": [("get", f"leavers/{REF}/", {}, {"mallory": 403, "linus": 403})],
    "handover_settle": [("post", "handovers/1/settle/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "people_file": [("post", "people-file/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "findings": [("get", "findings/", {}, {"mallory": 403, "linus": 403})],
    "finding": [("get", "findings/1/", {}, {"mallory": 403, "linus": 403})],
    "finding_take": [("post", "findings/1/take/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "finding_explain": [("post", "findings/1/explain/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "finding_close": [("post", "findings/1/close/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "holds": [("get", "holds/", {}, {"mallory": 403, "linus": 403})],
    "hold_limits": [
        ("get", "holds/limits/", {}, {"mallory": 403, "linus": 403}),
        ("post", "holds/limits/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "hold": [("get", f"holds/{REF}/", {}, {"mallory": 403, "linus": 403})],
    "hold_release": [("post", f"holds/{REF}/release/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "hold_refuse": [("post", f"holds/{REF}/refuse/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "applications": [
        ("get", "applications/", {}, {}),
        ("post", "applications/", {"catalogue_id": "gitlab"}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "application": [
        ("get", "applications/snowflake/", {}, {}),
        ("patch", "applications/snowflake/", {}, {"mallory": 404, "audrey": 404}),
    ],
    "application_owners": [
        ("put", "applications/snowflake/owners/", {"owners": []}, {"mallory": 403, "linus": 403, "audrey": 403})
    ],
    "entitlements": [
        ("get", "entitlements/", {}, {}),
        ("post", "entitlements/", ROLE, {"mallory": 404, "audrey": 404}),
    ],
    "entitlement": [
        ("get", "entitlements/snowflake/analyst/", {}, {}),
        ("patch", "entitlements/snowflake/analyst/", {}, {"mallory": 404, "audrey": 404}),
    ],
    "duties": [("get", "duties/", {}, {"mallory": 403, "linus": 403}), ("post", "duties/", {}, NOT_ADMIN)],
    "duty_rule": [
        ("get", "duties/pair/", {}, {"mallory": 403, "linus": 403}),
        ("put", "duties/pair/", {}, NOT_ADMIN),
        ("delete", "duties/pair/", {}, NOT_ADMIN),
    ],
    "duty_exceptions": [
        ("get", "duties/pair/exceptions/", {}, {"mallory": 403, "linus": 403}),
        ("post", "duties/pair/exceptions/", {}, NOT_ADMIN),
    ],
    "duty_exception_end": [("post", "duty-exceptions/1/end/", {}, NOT_ADMIN)],
    "retire_application": [
        ("get", "applications/snowflake/retire/", {}, {"mallory": 404, "grace": 404, "audrey": 404}),
        ("post", "applications/snowflake/retire/", {}, {"mallory": 404, "grace": 404, "audrey": 404}),
    ],
    "retire_entitlement": [
        ("get", "entitlements/snowflake/analyst/retire/", {}, {"mallory": 404, "grace": 404, "audrey": 404}),
        ("post", "entitlements/snowflake/analyst/retire/", {}, {"mallory": 404, "grace": 404, "audrey": 404}),
    ],
    "policies": [("get", "policies/", {}, {"mallory": 403, "grace": 403})],
    "policy": [("get", "policies/standard/", {}, {"mallory": 403})],
    "policy_preview": [("post", "policies/standard/preview/", {}, {"mallory": 403})],
    "policy_draft_replay": [("post", "policies/standard/replay/", {}, {"mallory": 403})],
    "policy_proposals": [
        ("get", "policy-proposals/", {}, {"mallory": 403, "grace": 403}),
        (
            "post",
            "policy-proposals/",
            {"why": "For no reason.", "terms": {}},
            {"mallory": 403, "audrey": 403},
        ),
    ],
    "policy_proposal": [("get", "policy-proposals/1/", {}, {"mallory": 403})],
    "policy_effect": [("get", "policy-proposals/1/effect/", {}, {"mallory": 403})],
    "policy_replay": [
        ("get", "policy-proposals/1/replay/", {}, {"mallory": 403}),
        ("post", "policy-proposals/1/replay/", {}, {"mallory": 403}),
    ],
    "policy_replay_run": [("get", "policy-replays/1/", {}, {"mallory": 403})],
    "policy_approve": [("post", "policy-proposals/1/approve/", {}, {"mallory": 403, "grace": 403, "audrey": 403})],
    "policy_decline": [("post", "policy-proposals/1/decline/", {}, {"mallory": 403, "grace": 403, "audrey": 403})],
    "policy_withdraw": [("post", "policy-proposals/1/withdraw/", {}, {"mallory": 403})],
    "requests": [("get", "requests/", {}, {}), ("post", "requests/", {}, {})],
    "request": [("get", "requests/1/", {}, {"mallory": 404})],
    "approve": [("post", "requests/1/approve/", {}, {"mallory": 404, "audrey": 404})],
    "deny": [("post", "requests/1/deny/", {"reason": "No, because."}, {"mallory": 404, "audrey": 404})],
    "turns": [("get", "requests/1/turns/", {}, {"mallory": 404})],
    "ask_back": [("post", "requests/1/ask-back/", {"question": "Why is that?"}, {"mallory": 404, "audrey": 404})],
    "reply": [("post", "requests/1/reply/", {"reply": "Because."}, {"mallory": 404, "audrey": 404})],
    "hand_over": [("post", "requests/1/hand-over/", {"to": REF, "reason": "Yours."}, {"mallory": 404, "audrey": 404})],
    "give_smaller": [
        ("post", "requests/1/smaller/", {"entitlement": "reader", "reason": "Less."}, {"mallory": 404, "audrey": 404})
    ],
    "approvals": [("get", "approvals/", {}, {})],
    "approvals_decided": [("get", "approvals/decided/", {}, {})],
    "absences": [("get", "absences/", {}, {}), ("post", "absences/", {}, {})],
    "absence_end": [("post", "absences/1/end/", {}, {"mallory": 404})],
    "risk": [("get", "risk/", {}, {"mallory": 403, "linus": 403})],
    "risk_preview": [("post", "risk/preview/", {"weights": {}}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "risk_proposals": [
        ("get", "risk/proposals/", {}, {"mallory": 403, "linus": 403}),
        ("post", "risk/proposals/", {"weights": {}, "why": ""}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "risk_approve": [("post", "risk/proposals/1/approve/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "risk_decline": [
        ("post", "risk/proposals/1/decline/", {"reason": ""}, {"mallory": 403, "linus": 403, "audrey": 403})
    ],
    "risk_withdraw": [("post", "risk/proposals/1/withdraw/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "withdraw": [("post", "requests/1/withdraw/", {}, {"mallory": 404})],
    "change_request": [("post", "requests/1/change/", {"reason": "Something else."}, {"mallory": 404})],
    "remind": [("post", "requests/1/remind/", {}, {"mallory": 404})],
    "request_sets": [("post", "request-sets/", {}, {})],
    "request_set": [("get", "request-sets/1/", {}, {"mallory": 404})],
    "end_questions": [("get", "end-questions/", {}, {})],
    "keep": [("post", "grants/1/keep/", {"lasts_seconds": 1}, {"mallory": 404})],
    "end": [("post", "grants/1/end/", {}, {"mallory": 404})],
    "packages": [("get", "packages/", {}, {}), ("post", "packages/", {}, {"mallory": 403, "audrey": 403})],
    "package": [("get", "packages/none/", {}, {})],
    "retire_package": [("post", "packages/none/retire/", {}, {"mallory": 403, "audrey": 403})],
    "ticket_systems": [
        ("get", "ticket-systems/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
        ("post", "ticket-systems/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "ticket_system": [("get", "ticket-systems/none/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "retire_ticket_system": [
        ("post", "ticket-systems/none/retire/", {}, {"mallory": 403, "linus": 403, "audrey": 403})
    ],
    "break_glasses": [("get", "break-glass/", {}, {}), ("post", "break-glass/", {}, {})],
    "break_glass": [("get", "break-glass/1/", {}, {"mallory": 404})],
    "review_break_glass": [("post", "break-glass/1/review/", {}, {"mallory": 404})],
    "grants": [("get", "grants/", {}, {})],
    "grant": [("get", "grants/1/", {}, {"mallory": 404})],
    "reach": [("get", "reach/?data_class=phi", {}, {"mallory": 403})],
    "why": [("get", "grants/1/why/", {}, {"mallory": 404})],
    "revoke": [("post", "grants/1/revoke/", {}, {"mallory": 404})],
    "give_back": [("post", "grants/1/give-back/", {}, {"mallory": 404})],
    "notices": [("get", "notices/", {}, {})],
    "notices_read": [("post", "notices/read/", {}, {})],
    "notice_read": [("post", "notices/1/read/", {}, {"mallory": 404})],
    "notice_preferences": [("get", "notices/preferences/", {}, {})],
    "anchors": [
        ("get", "anchors/", {}, {"mallory": 403, "linus": 403}),
        ("post", "anchors/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "anchor": [("get", f"anchors/{REF}/", {}, {"mallory": 403, "linus": 403})],
    "anchor_now": [("post", f"anchors/{REF}/now/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "anchor_receipts": [("get", f"anchors/{REF}/receipts/", {}, {"mallory": 403, "linus": 403})],
    "ledger_stream": [("get", "ledger/stream/", {}, {"mallory": 403, "linus": 403})],
    "streams": [
        ("get", "streams/", {}, {"mallory": 403, "linus": 403}),
        ("post", "streams/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "stream": [("get", f"streams/{REF}/", {}, {"mallory": 403, "linus": 403})],
    "stream_test": [("post", f"streams/{REF}/test/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "stream_secret": [("post", f"streams/{REF}/secret/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "webhooks": [("get", "webhooks/", {}, NOT_ADMIN), ("post", "webhooks/", {}, NOT_ADMIN)],
    "webhook": [("get", "webhooks/1/", {}, NOT_ADMIN)],
    "webhook_test": [("post", "webhooks/1/test/", {}, NOT_ADMIN)],
    "webhook_secret": [
        ("post", "webhooks/1/secret/", {}, NOT_ADMIN),
        ("delete", "webhooks/1/secret/", {}, NOT_ADMIN),
    ],
    "webhook_messages": [("get", "webhooks/1/messages/", {}, NOT_ADMIN)],
    "expiries": [("get", "expiries/", {}, {"mallory": 422})],
    "late_ends": [("get", "expiries/late/", {}, {"mallory": 422})],
    "rules": [
        ("get", "rules/", {}, {"mallory": 403, "grace": 403}),
        ("post", "rules/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "rule": [("get", "rules/nothing/", {}, {"mallory": 403, "grace": 403})],
    "rule_versions": [("post", "rules/nothing/versions/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "rule_try_again": [("post", "rules/nothing/try-again/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "rule_call_off": [
        ("post", "rules/nothing/versions/1/call-off/", {}, {"mallory": 403, "linus": 403, "audrey": 403})
    ],
    "rule_retire": [("post", "rules/nothing/retire/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "rule_previews": [("post", "rule-previews/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "rule_suggestions": [("get", "rule-suggestions/", {}, {"mallory": 403, "linus": 403, "audrey": 403})],
    "evidence_reports": [("get", "evidence/reports/", {}, {"mallory": 403, "linus": 403})],
    "evidence_report": [("get", "evidence/reports/r03/", {}, {"mallory": 403, "linus": 403})],
    "control_exceptions": [("get", "control-exceptions/", {}, {})],
    "control_exception": [("get", f"control-exceptions/{REF}/", {}, {"mallory": 404})],
    "control_exception_answer": [("put", f"control-exceptions/{REF}/answer/", {}, {"mallory": 404, "audrey": 404})],
    "control_exception_accept": [("post", f"control-exceptions/{REF}/accept/", {}, {"mallory": 404, "audrey": 404})],
    "control_readings": [
        ("get", "control-readings/", {}, {"mallory": 403, "linus": 403}),
        ("post", "control-readings/", {}, {"mallory": 403, "linus": 403, "audrey": 403}),
    ],
    "control_reading": [("get", f"control-readings/{REF}/", {}, {"mallory": 403, "linus": 403})],
    "engagements": [("get", "engagements/", {}, NO_AUDITOR), ("post", "engagements/", {}, NOT_ADMIN)],
    "engagement": [("get", AUDIT, {}, NO_AUDITOR)],
    "engagement_extend": [("post", f"{AUDIT}extend/", {}, NOT_ADMIN)],
    "engagement_close": [("post", f"{AUDIT}close/", {}, NOT_ADMIN)],
    "engagement_guests": [("get", f"{AUDIT}guests/", {}, NO_AUDITOR), ("post", f"{AUDIT}guests/", {}, NOT_ADMIN)],
    "guest_withdraw": [("post", f"{AUDIT}guests/1/withdraw/", {}, NOT_ADMIN)],
    "engagement_bundles": [("get", f"{AUDIT}bundles/", {}, NO_AUDITOR), ("post", f"{AUDIT}bundles/", {}, NO_AUDITOR)],
    "engagement_bundle": [("get", f"{AUDIT}bundles/{REF}/", {}, NO_AUDITOR)],
    "engagement_bundle_retry": [("post", f"{AUDIT}bundles/{REF}/retry/", {}, NO_AUDITOR)],
    "engagement_bundle_download": [("post", f"{AUDIT}bundles/{REF}/download/", {}, NO_AUDITOR)],
    "audit_requests": [("get", f"{AUDIT}requests/", {}, NO_AUDITOR), ("post", f"{AUDIT}requests/", {}, NO_AUDITOR)],
    "audit_request": [("get", f"{AUDIT}requests/1/", {}, NO_AUDITOR)],
    "audit_thread": [
        ("get", f"{AUDIT}requests/1/thread/", {}, NO_AUDITOR),
        ("post", f"{AUDIT}requests/1/thread/", {}, NO_AUDITOR),
    ],
    "audit_answer": [("post", f"{AUDIT}requests/1/answer/", {}, NOT_ADMIN)],
    "audit_accept": [("post", f"{AUDIT}requests/1/accept/", {}, NO_AUDITOR)],
    "audit_flag": [("post", f"{AUDIT}requests/1/flag/", {}, NO_AUDITOR)],
    "audit_populations": [
        ("get", f"{AUDIT}requests/1/populations/", {}, NO_AUDITOR),
        ("post", f"{AUDIT}requests/1/populations/", {}, NO_AUDITOR),
    ],
    "audit_sample_new": [("post", f"{AUDIT}requests/1/populations/1/samples/", {}, NO_AUDITOR)],
    "audit_sample": [("get", f"{AUDIT}requests/1/samples/1/", {}, NO_AUDITOR)],
    "audit_item": [("get", f"{AUDIT}requests/1/samples/1/rows/1/", {}, NO_AUDITOR)],
    "audit_proof": [("post", f"{AUDIT}requests/1/samples/1/rows/1/proofs/1/", {}, NO_AUDITOR)],
    "erasures": [("get", "erasures/", {}, NO_AUDITOR), ("post", "erasures/", {}, NOT_ADMIN)],
    "erasure": [("get", "erasures/1/", {}, NO_AUDITOR)],
    "erasure_cancel": [("post", "erasures/1/cancel/", {}, NOT_ADMIN)],
    "person_erasure": [("get", f"people/{REF}/erasure/", {}, NOT_ADMIN)],
    "legal_holds": [("get", "legal-holds/", {}, NO_AUDITOR), ("post", "legal-holds/", {}, NOT_ADMIN)],
    "legal_hold": [("get", f"legal-holds/{REF}/", {}, NO_AUDITOR)],
    "legal_hold_propose": [("post", f"legal-holds/{REF}/propose-release/", {}, NOT_ADMIN)],
    "legal_hold_release": [("post", f"legal-holds/{REF}/release/", {}, NOT_ADMIN)],
    "legal_hold_decline": [("post", f"legal-holds/{REF}/decline-release/", {}, NOT_ADMIN)],
    "retention": [("get", "retention/", {}, NO_AUDITOR), ("post", "retention/", {}, NOT_ADMIN)],
    "retention_proposals": [("get", "retention/proposals/", {}, NO_AUDITOR)],
    "retention_confirm": [("post", "retention/proposals/1/confirm/", {}, NOT_ADMIN)],
    "retention_decline": [("post", "retention/proposals/1/decline/", {}, NOT_ADMIN)],
    "log_reviews": [("get", "log-reviews/", {}, NO_AUDITOR)],
    "log_review_cadence": [
        ("get", "log-reviews/cadence/", {}, NO_AUDITOR),
        ("post", "log-reviews/cadence/", {}, NOT_ADMIN),
    ],
    "log_review": [("get", "log-reviews/1/", {}, NO_AUDITOR)],
    "log_review_sign": [("post", "log-reviews/1/sign/", {}, NO_AUDITOR)],
    "evidence_preview": [("get", "evidence/preview/", {}, {"mallory": 403, "linus": 403})],
    "bundles": [
        ("get", "evidence/bundles/", {}, {"mallory": 403, "linus": 403}),
        ("post", "evidence/bundles/", {}, {"mallory": 403, "linus": 403}),
    ],
    "definitions": [
        ("get", "evidence/definitions/", {}, {"mallory": 403, "linus": 403}),
        ("post", "evidence/definitions/", {}, {"mallory": 403, "linus": 403}),
    ],
    "definition": [
        ("get", f"evidence/definitions/{REF}/", {}, {"mallory": 403, "linus": 403}),
        ("put", f"evidence/definitions/{REF}/", {}, {"mallory": 403, "linus": 403}),
    ],
    "definition_retire": [("post", f"evidence/definitions/{REF}/retire/", {}, {"mallory": 403, "linus": 403})],
    "bundle": [("get", f"evidence/bundles/{REF}/", {}, {"mallory": 403, "linus": 403})],
    "bundle_late_facts": [("post", f"evidence/bundles/{REF}/late-facts/", {}, {"mallory": 403, "linus": 403})],
    "bundle_download": [("post", f"evidence/bundles/{REF}/download/", {}, {"mallory": 403, "linus": 403})],
}
CALLS = [call for calls in EVERY.values() for call in calls]


def test_every_address_is_in_the_table() -> None:
    assert {pattern.name for pattern in urlpatterns} == set(EVERY)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "body", "refused"), CALLS, ids=[f"{call[0]} {call[1]}" for call in CALLS])
def test_who_is_nobody_or_of_the_wrong_role_is_refused(
    method: str, path: str, body: dict[str, Any], refused: dict[str, int], as_: As, request: pytest.FixtureRequest
) -> None:
    signed_out = _send(as_(None), method, path, body)
    assert signed_out.status_code == 401
    assert signed_out.headers["WWW-Authenticate"].startswith("Bearer")
    assert signed_out.headers["Content-Type"] == "application/problem+json"

    for name, status in refused.items():
        answer = _send(as_(request.getfixturevalue(name)), method, path, body)
        assert answer.status_code == status, (name, answer.content)


#: What is a guest's as well: who they are, and audits they were invited to. This audit there is not.
GUESTS = {
    "me": 200,
    "engagements": 200,
    **dict.fromkeys(("engagement", "audit_requests", "audit_request", "audit_thread", "audit_accept"), 404),
    **dict.fromkeys(("audit_flag", "audit_populations", "audit_sample_new", "audit_sample", "audit_item"), 404),
    **dict.fromkeys(("audit_proof", "engagement_bundles", "engagement_bundle", "engagement_bundle_retry"), 404),
    "engagement_bundle_download": 404,
}


@pytest.mark.django_db
def test_a_guest_finds_every_door_closed_but_those_of_audits(as_: As) -> None:
    script = as_(cast.be_guest("Gil Outside"))
    wrong = []

    for name, calls in EVERY.items():
        for method, path, body, _ in calls:
            open_to_guests = GUESTS.get(name, 403) if (method, name) != ("post", "engagements") else 403
            answer = _send(script, method, path, body)
            if answer.status_code != open_to_guests:
                wrong.append((method, path, answer.status_code))

    assert wrong == []


@pytest.mark.django_db
def test_a_guest_is_let_in_by_a_browser_as_well(ada: Person) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.be_guest("Gil Outside"))

    assert browser.get("/api/v1/me/").json()["roles"] == ["guest"]
    assert browser.get("/api/v1/people/").status_code == 403
    assert browser.post(f"/api/v1/{AUDIT}requests/", {}, content_type="application/json").status_code == 403
    assert browser.get(f"/api/v1/{AUDIT}").status_code == 404


def _send(script: Script, method: str, path: str, body: dict[str, Any]) -> Any:
    return getattr(script, method)(path, **({} if method in ("get", "delete") else {"body": body}))


@pytest.mark.django_db
def test_a_token_that_is_unknown_expired_revoked_or_read_only_opens_nothing_it_should_not(ada: Person, as_: As) -> None:
    row, expired = issue_token("api", "old", acts_for=ada, scopes=["read"], actor=TESTING)
    ServiceToken.objects.filter(pk=row.pk).update(expires_at=now() - timedelta(days=1))

    for token in ("gh_api_nonsense", expired, "Ünïcode"):
        answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/me/")
        assert answer.status_code == 401, token
    assert as_(ada, "read").get("me/").status_code == 200
    assert as_(ada, "read").post("requests/").status_code == 403
    script = as_(ada)
    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    assert script.get("me/").status_code == 401


@pytest.mark.django_db
def test_a_browser_session_needs_the_csrf_token_to_write(ada: Person, analyst: Entitlement) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)

    assert browser.get("/api/v1/me/").status_code == 200
    assert browser.post("/api/v1/requests/", {}, content_type="application/json").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", "nothing/here/", 404), ("delete", "grants/", 405), ("put", "requests/1/approve/", 405)],
)
def test_every_refusal_is_a_problem_document(method: str, path: str, status: int, ada: Person, as_: As) -> None:
    _, token = issue_token("api", "t", acts_for=ada, scopes=["read", "write"], actor=TESTING)
    client = Client(headers={"Authorization": f"Bearer {token}"})

    answer = getattr(client, method)(f"/api/v1/{path}")

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


@pytest.mark.django_db
def test_the_schema_is_open_and_names_every_address() -> None:
    schema = Client().get("/api/v1/schema/").json()

    assert schema["openapi"].startswith("3.1")
    assert len(schema["paths"]) == len(urlpatterns) - 2


@pytest.mark.django_db
def test_while_the_database_is_away_the_answer_is_try_again(
    ada: Person, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = as_(ada)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr("governance.api.tokens.live_token", away)
    answer = script.get("me/")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.django_db
def test_an_address_that_leads_nowhere_is_a_problem_whatever_the_method() -> None:
    answer = Client(enforce_csrf_checks=True).post("/api/v1/nothing/", {}, content_type="application/json")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_schema_says_that_lists_are_pages() -> None:
    schemas = Client().get("/api/v1/schema/").json()["components"]["schemas"]

    assert set(schemas["GrantPage"]["properties"]) == {"results", "next", "previous"}
    assert "roles" in schemas["MeShape"]["properties"]


def test_the_schema_is_valid_and_nothing_in_it_is_guessed(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


@pytest.mark.django_db
def test_too_many_requests_are_told_when_to_come_back(ada: Person, as_: As, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.api.doorway.PerPerson.rate", "2/min")
    script = as_(ada)

    answers = [script.get("me/") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.django_db
def test_tokens_are_made_listed_and_revoked_by_command(ada: Person) -> None:
    said = StringIO()
    call_command("api_token", "create", "job", "--for", ada.email, "--scope", "read", stdout=said, stderr=StringIO())
    token = said.getvalue().strip().splitlines()[-1]
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/api/v1/me/").status_code == 200

    call_command("api_token", "list", stdout=said)
    call_command("api_token", "revoke", "job", stdout=said)

    assert f"job  {token[:12]}" in said.getvalue()
    assert client.get("/api/v1/me/").status_code == 401
    with pytest.raises(CommandError, match="no live token"):
        call_command("api_token", "revoke", "job")
