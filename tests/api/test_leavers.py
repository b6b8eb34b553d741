"""Leavers, held changes and files of people at the REST door."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from governance.catalog.models import Entitlement
from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, tasks
from governance.lifecycle.models import Handover, Hold
from tests import cast
from tests.api.conftest import As
from tests.web import stories

pytestmark = pytest.mark.django_db
WHY = "Its administrator confirmed it by telephone."


def leave(person: Person, actor: Actor = cast.TESTING) -> None:
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=actor)


def test_a_leaver_is_followed_to_the_read_back(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement, as_: As
) -> None:
    stories.give(ada, analyst)
    script = as_(sam)
    before = script.get(f"people/{ada.ref}/drill/").json()
    assert (before["orders"], before["applications"][0]["application"]) == (1, "snowflake")
    assert script.get(f"leavers/{ada.ref}/").status_code == 409

    leave(ada)
    leave(linus)

    lines = {line["display_name"]: line for line in script.get("leavers/").json()["results"]}
    assert lines["Ada Lovelace"]["state"] == "ordered"
    assert lines["Ada Lovelace"]["read_back_after"] is None
    one = script.get(f"leavers/{ada.ref}/").json()["applications"][0]
    assert (one["state"], one["removals"][0]["sent_after"]) == ("ordered", None)
    handover = script.get(f"leavers/{linus.ref}/").json()["handovers"][0]
    assert (handover["subject"], handover["rule"], handover["heir"]) == ("snowflake", "security", None)
    assert script.post(f"handovers/{handover['id']}/settle/").status_code == 200
    assert Handover.objects.get(pk=handover["id"]).settled_by == sam
    assert script.get(f"people/{ada.ref}/drill/").status_code == 409


def test_a_leave_date_is_planned_and_called_off(ada: Person, sam: Person, as_: As) -> None:
    script = as_(sam)
    leaves_at = (now() + timedelta(days=3)).replace(microsecond=0)

    said = script.post(f"people/{ada.ref}/leave-date/", leaves_at=leaves_at.isoformat(), note="Contract ends")
    assert said.json()["is_held"] is False
    assert script.get(f"people/{ada.ref}/").json()["leaves_at"] == leaves_at.isoformat().replace("+00:00", "Z")
    assert script.post(f"people/{ada.ref}/leave-date/", leaves_at="2001-01-01T00:00:00Z").status_code == 422
    assert script.post(f"people/{sam.ref}/leave-date/", leaves_at=leaves_at.isoformat()).status_code == 422

    assert script.post(f"people/{ada.ref}/leave-date/", leaves_at=None).status_code == 200
    assert Person.objects.get(pk=ada.pk).leaves_at is None


def test_what_is_held_is_read_and_decided(sam: Person, as_: As) -> None:
    brake.set_limits("scim:okta", brake.Limits(at_least=1, share_percent=0), actor=cast.TESTING)
    for number in range(4):
        person = cast.hire(f"Person{number} X", user_name=f"p{number}@halden.example")
        leave(person, Actor.service("okta", door=Door.SCIM))
    script = as_(sam)

    (found,) = script.get("holds/").json()["open"]
    assert (found["source"], found["people"]) == ("scim:okta", {"waiting": 3})
    items = script.get(f"holds/{found['ref']}/").json()["results"]
    assert len(items) == 3
    assert script.post(f"holds/{found['ref']}/release/", reason="no").status_code == 422
    chosen = script.post(f"holds/{found['ref']}/refuse/", reason=WHY, items=[items[0]["id"]])
    assert chosen.json() == {"people": 1}
    assert script.post(f"holds/{found['ref']}/release/", reason=WHY).json() == {"people": 2}
    tasks.sweep()

    assert Person.objects.filter(status=Status.LEFT).count() == 3
    assert Hold.objects.get().state == "decided"
    assert script.post(f"holds/{found['ref']}/release/", reason=WHY).status_code == 409


def test_limits_are_read_and_changed(sam: Person, audrey: Person, as_: As) -> None:
    said = {"source": "file:hr", "share_percent": 10, "at_least": 20, "at_most": 900, "window_hours": 48}

    assert as_(sam).post("holds/limits/", said).json()["at_least"] == 20
    assert as_(sam).post("holds/limits/", {**said, "at_least": 0}).status_code == 422
    assert as_(sam).post("holds/limits/", {**said, "source": "nothing"}).status_code == 422
    known = {line["source"]: line for line in as_(audrey).get("holds/limits/").json()}
    assert known["file:hr"]["window_hours"] == 48


def test_a_file_is_looked_at_and_applied(ada: Person, sam: Person, as_: As) -> None:
    script = as_(sam)
    file = {"name": "people.csv", "content": "user_name,status\nada@halden.example,left\n"}

    assert script.post("people-file/", {**file, "dry_run": True}).json()["left"] == ["Ada Lovelace"]
    assert Person.objects.get(pk=ada.pk).is_active
    wrong = script.post("people-file/", {**file, "content": "user_name,status\nada,perhaps\n"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "row 2.status"

    assert script.post("people-file/", file).json()["left"] == ["Ada Lovelace"]
    assert not Person.objects.get(pk=ada.pk).is_active
