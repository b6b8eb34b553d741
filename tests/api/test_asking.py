"""Asking through the REST door: several roles, changes, reminders, what is asked at the end, emergencies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from governance.access import deciding, requests
from governance.access.models import AccessRequest, BreakGlass, Grant, RequestState
from governance.access.sweep import sweep
from governance.catalog.models import Application, AtEnd, Entitlement
from governance.identity.models import Person
from tests.api.conftest import As
from tests.cast import acting, add_role, ask

pytestmark = pytest.mark.django_db

NOON = datetime(2036, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHY = "The nightly load failed and I have to see why."


def roles(*slugs: str) -> list[dict[str, str]]:
    return [{"application": "snowflake", "entitlement": slug} for slug in slugs]


def test_several_roles_are_asked_for_together(
    ada: Person, analyst: Entitlement, snowflake: Application, as_: As
) -> None:
    add_role(snowflake, "Writer")
    body = {"roles": roles("analyst", "writer"), "duration_seconds": 3600, "purpose": "Fix an incident", "reason": WHY}

    answer = as_(ada).post("request-sets/", body)

    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert [one["entitlement"]["slug"] for one in made["requests"]] == ["analyst", "writer"]
    assert as_(ada).get(f"request-sets/{made['number']}/").json() == made


def test_a_refusal_names_every_reason_by_role_and_nothing_is_sent(
    ada: Person, analyst: Entitlement, snowflake: Application, as_: As
) -> None:
    add_role(snowflake, "Closed", is_requestable=False)
    body = {"roles": roles("analyst", "closed"), "duration_seconds": 3600, "purpose": "Fix an incident", "reason": WHY}

    answer = as_(ada).post("request-sets/", body)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["snowflake/closed entitlement"]
    assert not AccessRequest.objects.exists()


def test_an_outsider_sees_nothing_of_a_set(ada: Person, mallory: Person, analyst: Entitlement, as_: As) -> None:
    made = requests.submit_together(ada, [requests.Wanted(analyst, ask())], actor=acting(ada))

    assert as_(mallory).get(f"request-sets/{made.number}/").status_code == 404


def test_a_request_is_changed_and_reminded_of(ada: Person, analyst: Entitlement, as_: As) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        made = requests.submit(ada, analyst, ask(), actor=acting(ada))
        script = as_(ada)
        terms = {"duration_seconds": 600, "purpose": "Fix an incident", "reason": WHY}
        changed = script.post(f"requests/{made.number}/change/", terms).json()
        too_early = script.post(f"requests/{changed['number']}/remind/")
        clock.shift(HOUR)
        reminded = script.post(f"requests/{changed['number']}/remind/")

    made.refresh_from_db()
    assert (made.state, changed["duration_seconds"]) == (RequestState.WITHDRAWN, 600)
    assert (too_early.status_code, reminded.status_code) == (409, 200)
    assert reminded.json()["reminded_at"] == "2036-03-04T13:00:00Z"


def test_owners_answer_whether_access_lasts_longer(
    ada: Person, linus: Person, sam: Person, snowflake: Application, as_: As
) -> None:
    role = add_role(snowflake, "Asking", terms={"at_end": AtEnd.ASK, "kept_for": timedelta(days=1)})
    with time_machine.travel(NOON, tick=False) as clock:
        deciding.approve(requests.submit(ada, role, ask(), actor=acting(ada)), approver=linus, actor=acting(linus))
        clock.shift(2 * HOUR)
        sweep()
        grant = Grant.objects.get()
        (question,) = as_(linus).get("end-questions/").json()
        assert as_(sam).get("end-questions/").json() == []
        assert as_(ada).post(f"grants/{grant.pk}/keep/", {"lasts_seconds": 60}).status_code == 422
        kept = as_(linus).post(f"grants/{grant.pk}/keep/", {"lasts_seconds": 7200})
        again = as_(linus).post(f"grants/{grant.pk}/end/")

    assert question["grant"]["id"] == grant.pk
    assert (kept.status_code, kept.json()["lasts_until"]) == (200, "2036-03-04T16:00:00Z")
    assert again.status_code == 409


def test_an_emergency_through_the_rest_door(
    ada: Person, linus: Person, sam: Person, mallory: Person, snowflake: Application, as_: As
) -> None:
    add_role(snowflake, "Root", terms={"break_glass_up_to": HOUR})
    body = {"application": "snowflake", "entitlement": "root", "duration_seconds": 600, "reason": WHY}
    review = {"is_justified": True, "done": "Restarted the load and left."}
    with time_machine.travel(NOON, tick=False) as clock:
        stale, fresh = as_(ada), None
        clock.shift(HOUR)
        assert stale.post("break-glass/", body).status_code == 403
        fresh = as_(ada)
        opened = fresh.post("break-glass/", body)
        assert opened.status_code == 201, opened.content
        at = f"break-glass/{opened.json()['id']}/"
        assert as_(mallory).get(at).status_code == 404
        assert [one["id"] for one in as_(linus).get("break-glass/", state="due").json()["results"]] == [
            opened.json()["id"]
        ]
        assert as_(ada).post(f"{at}review/", review).status_code == 422
        assert as_(sam).post(f"{at}review/", review).json()["review"]["is_justified"] is True

    assert BreakGlass.objects.get().review.reviewer == sam


def test_one_request_says_how_long_answers_usually_take(
    ada: Person, linus: Person, analyst: Entitlement, as_: As
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        script = as_(ada)
        for minutes in (10, 20, 60):
            made = requests.submit(ada, analyst, ask(), actor=acting(ada))
            assert script.get(f"requests/{made.number}/").json()["answer_times"] == {}
            clock.shift(timedelta(minutes=minutes))
            deciding.deny(made, approver=linus, reason="Use Looker.", actor=acting(linus))

        said = script.get(f"requests/{made.number}/").json()["answer_times"]

    assert said["owner"]["median_seconds"] == 20 * 60
    assert 20 * 60 < said["owner"]["p95_seconds"] <= 60 * 60
    assert "answer_times" not in script.get("requests/").json()["results"][0]
