"""Asking, deciding, looking and ending access through the REST door."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.access import grants as grant_actions
from governance.access.models import AccessRequest, Approval, Grant
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.identity.roles import issue_token
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.api.conftest import As
from tests.cast import TESTING, add_role, hire

pytestmark = pytest.mark.django_db
ASK = {
    "application": "snowflake",
    "entitlement": "analyst",
    "duration_seconds": 7200,
    "purpose": "Fix an incident",
    "reason": "The nightly load failed and I have to see why.",
}


def test_a_request_is_asked_approved_listed_and_revoked(
    ada: Person, linus: Person, analyst: Entitlement, as_: As
) -> None:
    asked = as_(ada).post("requests/", ASK)
    assert asked.status_code == 201, asked.content
    number = asked.json()["number"]
    assert asked.json()["state"] == "pending"

    waiting = as_(linus).get("requests/", scope="waiting_for_me").json()["results"]
    assert [one["number"] for one in waiting] == [number]
    approved = as_(linus).post(f"requests/{number}/approve/", {"duration_seconds": 3600}).json()
    assert approved["state"] == "approved"
    (grant,) = approved["grants"]
    assert grant["given"]["state"] == "waiting"

    held = as_(ada).get("grants/").json()["results"]
    assert [one["id"] for one in held] == [grant["id"]]
    revoked = as_(linus).post(f"grants/{grant['id']}/revoke/").json()
    assert revoked["end_cause"] == "revoked"
    assert revoked["removed"]["state"] == "waiting"
    assert as_(ada).get("grants/").json()["results"] == []
    ended = [entry.body for entry in Pending.objects.all() if entry.body["event"] == "grant.ended"]
    assert [(body["actor"]["door"], body["actor"]["ref"]) for body in ended] == [("api", str(linus.ref))]


def test_access_is_listed_as_it_was_and_as_it_was_known(
    ada: Person, sam: Person, analyst: Entitlement, as_: As
) -> None:
    start = now() + timedelta(days=1)
    script = as_(sam)
    with time_machine.travel(start, tick=False) as clock:
        new = grant_actions.NewGrant(
            ada.pk, analyst.pk, analyst.application_id, "manual", start, start + timedelta(hours=8)
        )
        (grant,) = grant_actions.start_many([new], at=start, actor=TESTING)
        clock.shift(timedelta(hours=1))
        grant_actions.shorten(grant, ends_at=start + timedelta(hours=2), actor=TESTING)
        clock.shift(timedelta(hours=5))

        def listed(hours: float, known: float | None = None) -> int:
            at = {"as_of": (start + timedelta(hours=hours)).isoformat()}
            at |= {"known_on": (start + timedelta(hours=known)).isoformat()} if known is not None else {}
            answer = script.get("grants/", **at)
            assert answer.status_code == 200, answer.content
            return len(answer.json()["results"])

        assert (listed(1), listed(2), listed(3)) == (1, 0, 0)
        assert (listed(3, known=0.5), listed(3, known=1.5)) == (1, 0)
        assert script.get("grants/", as_of=(start - timedelta(days=3)).date().isoformat()).json()["results"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"application": None}, "application"),
        ({"entitlement": "wizard"}, "entitlement"),
        ({"duration_seconds": 99 * 86400}, "duration"),
        ({"duration_seconds": 0}, "duration_seconds"),
        ({"duration_seconds": "soon"}, "duration_seconds"),
        ({"duration_seconds": None}, "duration"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ({"starts_at": "yesterday"}, "starts_at"),
        ({"purpose": "Curiosity"}, "purpose"),
        ({"reason": "no"}, "reason"),
        ({"reason": "x" * 2001}, "reason"),
        ({"ticket": "x" * 121}, "ticket"),
        ({"person": "3f8b6a4e-1111-4222-8333-444455556666"}, "person"),
        ({"extends": 99}, "extends"),
        ({"colour": "red"}, "colour"),
        ({"reason": "with a NUL \x00 inside of the sentence"}, "reason"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_is_named_and_nothing_is_half_done(
    change: dict[str, Any], field: str, ada: Person, analyst: Entitlement, as_: As
) -> None:
    before = Pending.objects.count()
    script = as_(ada)

    answer = script.post("requests/", {**ASK, **change})

    assert answer.status_code == 422, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert (AccessRequest.objects.count(), Grant.objects.count()) == (0, 0)
    assert Pending.objects.count() == before + 1  # the token of this test


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "null", '{"reason": {"deep": []}}', "\xff"])
def test_a_body_that_is_no_such_document_is_refused(body: str, ada: Person, analyst: Entitlement) -> None:
    _, token = issue_token("api", "t", acts_for=ada, scopes=["read", "write"], actor=TESTING)
    client = Client(headers={"Authorization": f"Bearer {token}"})

    answer = client.post("/api/v1/requests/", body.encode("latin-1"), content_type="application/json")

    assert answer.status_code in (400, 422), answer.content
    assert client.post("/api/v1/requests/", "<a/>", content_type="text/xml").status_code == 415


def test_an_approver_who_left_and_a_policy_that_says_no_are_told_every_reason(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement, as_: As
) -> None:
    number = as_(ada).post("requests/", ASK).json()["number"]
    script = as_(linus)
    lifecycle.leave(locked_person(linus.scim_id), actor=TESTING)
    assert script.post(f"requests/{number}/approve/").status_code == 401

    own = as_(ada).post(f"requests/{number}/approve/")
    assert own.status_code == 422
    assert [error["code"] for error in own.json()["errors"]] == ["own_request", "not_asked"]
    long = as_(sam).post(f"requests/{number}/approve/", {"duration_seconds": 9 * 3600})
    assert [(error["field"], error["code"]) for error in long.json()["errors"]] == [("duration", "longer_than_asked")]
    assert not Approval.objects.exists()


def test_who_was_slower_is_told_who_decided(ada: Person, linus: Person, analyst: Entitlement, as_: As) -> None:
    number = as_(ada).post("requests/", ASK).json()["number"]
    as_(linus).post(f"requests/{number}/deny/", {"reason": "Use the report in Looker."})

    answer = as_(linus).post(f"requests/{number}/approve/")

    assert answer.status_code == 409
    assert "Linus Berg declined this" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("grants/", {"as_of": "2999-01-01"}, "as_of"),
        ("grants/", {"as_of": "03/04/2026"}, "as_of"),
        ("grants/", {"as_of": "2026-03-03T12:00:00"}, "as_of"),
        ("grants/", {"as_of": "2026-03-03", "zone": "Mars/Base"}, "zone"),
        ("grants/", {"person": "ada"}, "person"),
        ("grants/", {"entitlement": "analyst"}, "entitlement"),
        ("grants/", {"limit": "1000"}, "limit"),
        ("grants/", {"colour": "red"}, "colour"),
        ("people/", {"filter": "department eq"}, "filter"),
        ("people/", {"filter": 'shoeSize eq "44"'}, "filter"),
        ("people/", {"status": "asleep"}, "status"),
        ("requests/", {"state": "lost"}, "state"),
        ("evidence/preview/", {"framework": "soc2", "first_day": "2026-05-01", "last_day": "2026-04-01"}, "last_day"),
        ("evidence/preview/", {"framework": "vibes", "first_day": "2026-01-01", "last_day": "2026-02-01"}, "framework"),
    ],
)
def test_a_question_that_cannot_be_answered_says_which_word(
    path: str, params: dict[str, str], field: str, sam: Person, as_: As
) -> None:
    answer = as_(sam).get(path, **params)

    assert answer.status_code == 422, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_lists_go_on_by_key_and_cost_the_same_for_many(
    sam: Person, linus: Person, snowflake: Application, as_: As
) -> None:
    script = as_(sam)
    script.get("me/")  # notes that the token was used
    costs = []
    for size in (2, 8):
        while Grant.objects.count() < size:
            role = add_role(snowflake, f"Role {Grant.objects.count()}")
            person = hire(f"Person{Grant.objects.count()} Test")
            new = grant_actions.NewGrant(person.pk, role.pk, snowflake.pk, "manual", now())
            grant_actions.start_many([new], at=now(), actor=TESTING)
        with CaptureQueriesContext(connection) as captured:
            page = script.get("grants/", limit=100).json()
        assert len(page["results"]) == size
        costs.append(len(captured))
    assert costs[0] == costs[1]

    seen, following = [], "grants/?limit=3"
    while following:
        page = script.get(following).json()
        seen += [one["id"] for one in page["results"]]
        following = page["next"].partition("/api/v1/")[2] if page["next"] else ""
    assert len(seen) == len(set(seen)) == 8


def test_people_are_selected_by_a_condition_and_employees_see_their_own(
    ada: Person, grace: Person, linus: Person, sam: Person, as_: As
) -> None:
    found = as_(sam).get("people/", filter='department eq "Data"').json()["results"]
    assert [one["display_name"] for one in found] == ["Linus Berg"]
    assert {one["display_name"] for one in as_(grace).get("people/").json()["results"]} == {
        "Grace Hopper",
        "Ada Lovelace",
    }
    assert as_(ada).get("me/").json()["manager"] == str(grace.ref)


def test_an_administrator_adds_an_application_and_says_who_left(
    ada: Person, linus: Person, sam: Person, as_: As
) -> None:
    script = as_(sam)

    added = script.post("applications/", {"catalogue_id": "gitlab", "owners": [str(linus.ref)]})
    assert added.status_code == 201, added.content
    assert added.json()["owners"][0]["display_name"] == "Linus Berg"
    assert script.post("applications/", {"catalogue_id": "gitlab"}).status_code == 409
    assert script.post("applications/", {"catalogue_id": "no-such"}).json()["errors"][0]["field"] == "catalogue_id"

    left = script.post(f"people/{ada.ref}/leave/")
    assert left.json()["status"] == "left"
    assert script.post(f"people/{sam.ref}/leave/").status_code == 422


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ASK, "person", "x"]), inner),
        max_leaves=12,
    )
)
def test_no_document_breaks_the_door(body: Any, ada: Person, analyst: Entitlement) -> None:
    _, token = issue_token("api", "t", acts_for=ada, scopes=["read", "write"], actor=TESTING)
    client = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)
    mixed = {**ASK, **body} if isinstance(body, dict) else body

    for path in ("requests/", "requests/1/approve/", "requests/1/deny/", "grants/1/revoke/", "evidence/bundles/"):
        answer = client.post(f"/api/v1/{path}", json.dumps(mixed), content_type="application/json")
        assert answer.status_code < 500, (path, mixed, answer.content)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 200_000, 400),
        (b'{"\\ud800": 1}', 400),
        (b'{"reason": "\\ud800 half a character in a long enough sentence"}', 400),
        (b'{"reason": "' + b"x" * 3_000_000 + b'"}', 413),
    ],
    ids=["nested without end", "half a character in a name", "half a character in a value", "too large"],
)
def test_a_body_that_cannot_be_kept_is_refused(body: bytes, status: int, ada: Person, analyst: Entitlement) -> None:
    _, token = issue_token("api", "t", acts_for=ada, scopes=["read", "write"], actor=TESTING)
    client = Client(headers={"Authorization": f"Bearer {token}"})

    answer = client.post("/api/v1/requests/", body, content_type="application/json")

    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("grants/", {"application": "\x00"}, "application"),
        ("grants/", {"cursor": base64.b64encode(b"p=abc").decode()}, "cursor"),
        ("grants/", {"as_of": "9999-12-31"}, "as_of"),
        ("grants/", {"as_of": "2026-03-03", "zone": "../x"}, "zone"),
        ("me/", {"colour": "red"}, "colour"),
        ("requests/", {"limit": "9" * 30}, "limit"),
    ],
)
def test_a_crafted_word_is_refused_by_name(path: str, params: dict[str, str], field: str, sam: Person, as_: As) -> None:
    answer = as_(sam).get(path, **params)

    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
