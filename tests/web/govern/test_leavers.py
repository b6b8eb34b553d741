"""Leavers, held changes and files of people on pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, planning
from governance.lifecycle.models import Handover, HeldItem, Hold, ItemState, PeopleDraft, SourceBrake
from governance.provisioning.models import Account, Operation, OperationState
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
WHY = "Its administrator confirmed it by telephone."


def leave(person: Person, actor: Actor = cast.TESTING) -> None:
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=actor)


def hold(count: int = 3) -> Hold:
    okta = Actor.service("okta", door=Door.SCIM)
    brake.set_limits("scim:okta", brake.Limits(at_least=1, share_percent=0), actor=cast.TESTING)
    for number in range(count + 1):
        leave(cast.hire(f"Person{number} {HOSTILE}", user_name=f"p{number}@halden.example"), okta)
    return Hold.objects.get()


def upload(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("people.csv", text.encode())


def test_the_page_says_ordered_sent_and_read_back_only_when_it_is_so(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)
    leave(ada)
    client = signed_in(sam)
    order = Operation.objects.get(person=ada, kind="take")

    def shown() -> str:
        return client.get(f"/leavers/{ada.ref}/").content.decode()

    assert "0 of 1 removal read back" in shown()
    assert "Gone, read back" not in shown()
    assert 'hx-trigger="every 5s"' in shown()

    Operation.objects.filter(pk=order.pk).update(state=OperationState.DELIVERED, delivered_at=now())
    assert "Sent, not read back yet" in shown()

    Operation.objects.filter(pk=order.pk).update(
        state=OperationState.FAILED, failed_at=now(), last_error="The token is refused.", next_step="Renew the token."
    )
    assert "The token is refused." in shown()
    assert "Renew the token." in shown()

    Operation.objects.filter(pk=order.pk).update(
        state=OperationState.VERIFIED, verified_at=order.person.left_at and now()
    )
    assert "1 of 1 removal read back" in shown()
    assert "Gone, read back" in shown()
    assert 'hx-trigger="every 5s"' not in shown()


def test_an_account_that_no_grant_explains_is_said_to_be_there(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    Account.objects.create(
        application=analyst.application,
        target_id="1",
        user_name="ada-old",
        person=ada,
        first_seen_at=now(),
        confirmed_at=now(),
    )
    leave(ada)

    page = signed_in(sam).get(f"/leavers/{ada.ref}/").content.decode()

    assert "ada-old" in page
    assert "no order is under way for it" in page


def test_what_has_no_heir_is_listed_and_settled(
    linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    leave(linus)
    client = signed_in(sam)
    made = Handover.objects.get(kind="application")
    assert "Security, until somebody is named" in client.get(f"/leavers/{linus.ref}/").content.decode()

    client.post(f"/handovers/{made.pk}/settle/")

    assert "Sam Okoro settled it" in client.get(f"/leavers/{linus.ref}/").content.decode()
    assert client.post(f"/handovers/{made.pk}/settle/").status_code == 409


def test_a_rehearsal_shows_what_would_happen(
    linus: Person, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(linus, analyst)

    page = signed_in(sam).get(f"/leavers/{linus.ref}/").content.decode()

    assert "If Linus Berg left now" in page
    assert "1 removal would be ordered" in page
    assert "Security, until somebody is named" in page
    assert not Operation.objects.filter(kind="take").exists()


def test_a_leave_date_is_planned_moved_and_called_off(ada: Person, sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    day = (now() + timedelta(days=20)).date()

    assert (
        client.post(f"/leavers/{ada.ref}/plan/", {"day": day, "hour": "18:00", "note": "Last day"}).status_code == 302
    )
    ada.refresh_from_db()
    assert ada.leaves_at is not None
    assert ada.leaves_at.date() == day
    assert "Ada Lovelace" in client.get("/leavers/").content.decode()
    assert "Last day" in client.get(f"/leavers/{ada.ref}/").content.decode()

    client.post(f"/leavers/{ada.ref}/stay/")
    ada.refresh_from_db()
    assert ada.leaves_at is None


@pytest.mark.parametrize(("day", "said"), [("", "required"), ("2001-01-01", "This instant is past.")])
def test_a_date_that_cannot_be_is_refused_beside_its_field(
    ada: Person, sam: Person, signed_in: SignedIn, day: str, said: str
) -> None:
    answer = signed_in(sam).post(f"/leavers/{ada.ref}/plan/", {"day": day, "hour": "18:00"})

    assert answer.status_code == 422
    assert said in answer.content.decode()


def test_nobody_plans_their_own_leaving(sam: Person, signed_in: SignedIn) -> None:
    day = (now() + timedelta(days=20)).date()

    assert signed_in(sam).post(f"/leavers/{sam.ref}/plan/", {"day": day, "hour": "18:00"}).status_code == 409


def test_a_hold_shows_the_names_and_is_released(sam: Person, signed_in: SignedIn) -> None:
    found = hold()
    client = signed_in(sam)
    page = client.get(f"/holds/{found.ref}/").content.decode()
    assert "okta: 3 people held" in page
    assert "Person2 &lt;img" in page
    assert "<img src=x" not in page
    assert "3 people are" in client.get("/leavers/").content.decode()

    assert client.post(f"/holds/{found.ref}/release/", {"whom": "all", "reason": ""}).status_code == 422
    assert client.post(f"/holds/{found.ref}/release/", {"whom": "all", "reason": WHY}).status_code == 302

    assert Person.objects.filter(status=Status.LEFT).count() == 4
    page = client.get(f"/holds/{found.ref}/").content.decode()
    assert "Released, happened" in page
    assert "Release: let it happen" not in page


def test_only_who_is_ticked_is_decided_about(sam: Person, signed_in: SignedIn) -> None:
    found = hold()
    client = signed_in(sam)
    first = found.items.order_by("pk").first()
    assert first is not None

    client.post(f"/holds/{found.ref}/refuse/", {"whom": "ticked", "item": [str(first.pk)], "reason": WHY})
    assert HeldItem.objects.filter(state=ItemState.REFUSED).count() == 1

    client.post(f"/holds/{found.ref}/refuse/", {"whom": "ticked", "reason": WHY})
    assert HeldItem.objects.filter(state=ItemState.REFUSED).count() == 1


def test_who_gave_the_signal_sees_that_somebody_else_releases(sam: Person, signed_in: SignedIn) -> None:
    brake.set_limits("page", brake.Limits(at_least=1, share_percent=0), actor=cast.TESTING)
    client = signed_in(sam)
    for number in range(2):
        person = cast.hire(f"Person{number} X", user_name=f"p{number}@halden.example")
        answer = client.post(f"/people/{person.ref}/leave/")
    assert answer.url == "/holds/"
    found = Hold.objects.get()

    answer = client.post(f"/holds/{found.ref}/release/", {"whom": "all", "reason": WHY})

    assert answer.status_code == 422
    assert "Somebody else has to release it." in answer.content.decode()
    assert "You gave this signal." in client.get(f"/holds/{found.ref}/").content.decode()


def test_limits_are_changed_by_a_security_administrator(sam: Person, audrey: Person, signed_in: SignedIn) -> None:
    said = {"source": "file:hr", "share_percent": "10", "at_least": "20", "at_most": "900", "window_hours": "48"}
    assert signed_in(audrey).post("/holds/limits/", said).status_code == 403
    client = signed_in(sam)

    assert "But never fewer people than" in client.get("/holds/limits/?source=file:hr").content.decode()
    assert client.post("/holds/limits/", said | {"at_least": "0"}).status_code == 422
    assert client.post("/holds/limits/", said | {"source": "scim:nobody"}).status_code == 404
    assert client.post("/holds/limits/", said).status_code == 302

    brake_of = SourceBrake.objects.get(source="file:hr")
    assert (brake_of.at_least, brake_of.window_hours) == (20, 48)


def test_a_file_is_looked_at_then_applied_once(ada: Person, sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    text = "user_name,status\nada@halden.example,left\nnew@halden.example,\n"

    page = client.post("/people-file/", {"file": upload(text)}).content.decode()
    assert "Leave now: 1" in page
    assert "Join: 1" in page
    assert Person.objects.get(pk=ada.pk).is_active
    draft = PeopleDraft.objects.get()

    assert client.post("/people-file/apply/", {"draft": str(draft.ref)}).status_code == 302
    assert not Person.objects.get(pk=ada.pk).is_active
    assert client.post("/people-file/apply/", {"draft": str(draft.ref)}).status_code == 409
    assert client.post("/people-file/apply/", {"draft": "nonsense"}).status_code == 409


def test_nobody_applies_what_another_uploaded(ada: Person, sam: Person, signed_in: SignedIn) -> None:
    signed_in(sam).post("/people-file/", {"file": upload("user_name,status\nada@halden.example,left\n")})
    other = cast.make_security_admin(cast.hire("Second Sam"))

    answer = signed_in(other).post("/people-file/apply/", {"draft": str(PeopleDraft.objects.get().ref)})

    assert answer.status_code == 409


def test_a_file_with_problems_tells_them_by_row(sam: Person, signed_in: SignedIn) -> None:
    answer = signed_in(sam).post("/people-file/", {"file": upload(f"user_name,status\nada,{HOSTILE}\n")})

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "neither active nor left" in page
    assert "<img src=x" not in page
    assert not PeopleDraft.objects.exists()
    assert signed_in(sam).post("/people-file/", {}).status_code == 422


def test_every_page_costs_at_most_twelve_statements(
    ada: Person,
    linus: Person,
    sam: Person,
    analyst: Entitlement,
    signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    found = hold()
    stories.give(ada, analyst)
    stories.give(linus, analyst)
    cast.hire("Rookie One", manager=linus)
    with transaction.atomic():
        planning.plan(
            Person.objects.select_for_update().get(pk=linus.pk), now() + timedelta(days=3), actor=cast.TESTING
        )
    leave(ada)
    client = signed_in(sam)
    assert Grant.objects.exists()

    for address in (
        "/leavers/",
        f"/leavers/{ada.ref}/",
        f"/leavers/{linus.ref}/",
        "/holds/",
        f"/holds/{found.ref}/",
        "/holds/limits/?source=page",
        "/people-file/",
    ):
        with django_assert_max_num_queries(12):
            assert client.get(address).status_code == 200, address


def test_what_is_held_stands_on_the_home_page_of_those_who_decide_it(
    linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    assert "held since" not in client.get("/").content.decode()
    held = hold(3)

    page = client.get("/").content.decode()

    assert "3 changes are held since" in page
    assert "okta took from more people than its limit" in page
    assert f"/holds/{held.ref}/" in page
    assert "Nothing waits for you" not in page
    assert "held since" not in signed_in(linus).get("/").content.decode()
    Hold.objects.update(state="decided", decided_at=now())
    assert "held since" not in client.get("/").content.decode()
