"""Signing in and out: who can, what is said, what is recorded."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from governance.core.clock import now
from governance.identity.models import Person
from governance.identity.profiles import Profile
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.web.conftest import PASSWORD, SignedIn

WRONG = "That e-mail address and password do not belong together."


@pytest.fixture
def ada_with_password(ada: Person) -> Person:
    ada.set_password(PASSWORD)
    ada.save()
    return ada


def sign_in(client: Client, email: str, password: str = PASSWORD) -> object:
    return client.post("/sign-in/", {"login": email, "password": password})


def recorded(event: str) -> list[dict[str, object]]:
    return [row.body for row in Pending.objects.all() if row.body["event"] == event]


def test_somebody_signs_in_with_email_and_password(ada_with_password: Person) -> None:
    client = Client()

    answer = sign_in(client, ada_with_password.email)

    assert answer.status_code == 302
    assert client.get("/").status_code == 200
    assert len(recorded("login.succeeded")) == 1


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@halden.example", "not the password"), ("nobody@halden.example", PASSWORD)],
    ids=["wrong password", "nobody by that address"],
)
def test_a_failed_sign_in_does_not_tell_who_exists(ada_with_password: Person, email: str, password: str) -> None:
    answer = sign_in(Client(), email, password)

    assert WRONG in answer.content.decode()
    assert len(recorded("login.failed")) == 1
    assert "nobody@halden.example" not in str(recorded("login.failed"))


def test_somebody_who_left_is_answered_like_a_wrong_password(ada_with_password: Person) -> None:
    lifecycle.leave(ada_with_password, actor=cast.TESTING)

    answer = sign_in(Client(), ada_with_password.email)

    assert WRONG in answer.content.decode()
    assert recorded("login.failed")[0]["data"]["because"] == "left"


def test_a_leaver_is_signed_out_everywhere_at_once(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)
    assert client.get("/").status_code == 200

    lifecycle.leave(ada, actor=cast.TESTING)

    assert client.get("/").status_code == 302


def test_sessions_of_a_leaver_stay_ended_when_they_come_back(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)
    profile = Profile(user_name=ada.user_name, display_name=ada.display_name, email=ada.email)
    lifecycle.leave(ada, unlist=True, actor=cast.TESTING)
    back = lifecycle.join(profile, source="scim:test", actor=cast.TESTING)

    assert back.pk == ada.pk

    assert client.get("/").status_code == 302


def test_too_many_tries_are_slowed_down(ada_with_password: Person) -> None:
    client = Client()
    for _ in range(5):
        sign_in(client, ada_with_password.email, "wrong")

    answer = sign_in(client, ada_with_password.email)

    assert "Too many tries" in answer.content.decode()


def test_there_is_no_sign_up(db: None) -> None:
    assert Client().get("/sign-up/").status_code == 404
    assert "sign-up" not in Client().get("/sign-in/").content.decode().lower()


def test_signing_out_needs_a_post_and_is_recorded(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)
    assert client.get("/sign-out/").status_code == 200
    assert client.get("/").status_code == 200

    client.post("/sign-out/")

    assert client.get("/").status_code == 302
    assert len(recorded("login.ended")) == 1


def test_a_session_ends_by_itself_and_can_be_prolonged(ada_with_password: Person) -> None:
    with time_machine.travel(now(), tick=False) as travel:
        client = Client()
        sign_in(client, ada_with_password.email)
        travel.shift(timedelta(hours=9))
        assert client.post("/session/prolong/", headers={"HX-Request": "true"}).status_code == 204
        travel.shift(timedelta(hours=9))
        assert client.get("/").status_code == 200

        travel.shift(timedelta(hours=2))

        assert client.get("/").status_code == 302


def test_a_new_password_is_kept_and_recorded(ada_with_password: Person, signed_in: SignedIn) -> None:
    new = {"oldpassword": PASSWORD, "password1": "a whole new sentence", "password2": "a whole new sentence"}

    here, elsewhere = signed_in(ada_with_password), signed_in(ada_with_password)

    answer = here.post("/settings/password/", new)

    assert answer.status_code == 302
    ada_with_password.refresh_from_db()
    assert ada_with_password.check_password("a whole new sentence")
    assert here.get("/settings/").status_code == 200
    assert elsewhere.get("/settings/").status_code == 302
    assert len(recorded("password.set")) == 1


def test_who_has_no_password_here_is_sent_to_the_company(ada: Person, signed_in: SignedIn) -> None:
    ada.set_unusable_password()
    ada.save()

    answer = signed_in(ada).get("/settings/password/")

    assert answer.status_code == 403
    assert "your company" in answer.content.decode()
