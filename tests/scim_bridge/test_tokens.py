"""Bearer tokens at the SCIM door: what opens it, what does not, and what each is told."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.connections import actions
from governance.identity.connections.opening import opened_by_token
from governance.identity.models import Connection
from tests.scim_bridge.conftest import Provider

ACTOR = Actor.system("test", door=Door.COMMAND)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def _asked(header: str) -> tuple[str, str]:
    answer = Client().get("/scim/v2/Users", headers={"Authorization": header})
    return Provider.refused(answer, 401), answer["WWW-Authenticate"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_letter_case(strict: Provider, scheme: str) -> None:
    answer = strict.client.get("/scim/v2/Users", headers={"Authorization": f"{scheme} {strict.token}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic YTpi", "Token abc"])
def test_without_a_token_the_challenge_names_no_error(db: None, header: str) -> None:
    detail, challenge = _asked(header)

    assert challenge == 'Bearer realm="SCIM"'
    assert "bearer token" in detail


@pytest.mark.parametrize(
    "token",
    ["nonsense", "gh_scim_" + "x" * 43, "gh_scim_\xfc", "gh_access_forged.1abc.signature", "a\x00b", "x" * 8000],
)
def test_a_token_that_opens_nothing_is_an_invalid_token(db: None, token: str) -> None:
    detail, challenge = _asked(f"Bearer {token}")

    assert challenge == 'Bearer realm="SCIM", error="invalid_token"'
    assert detail == "The token is unknown, expired or revoked."


def test_who_presents_a_token_that_ended_is_told_when_it_did(db: None) -> None:
    with time_machine.travel(NOON, tick=False):
        connection = actions.open_connection("okta", actor=ACTOR)
        expiring = actions.give_token(connection.ref, days=1, actor=ACTOR)
        revoked = actions.give_token(connection.ref, actor=ACTOR)
        actions.revoke_one_token(connection.ref, revoked.token_id, actor=ACTOR)

    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        assert _asked(f"Bearer {expiring.token}")[0] == "The token ended at 12:00 UTC on 26 November 2026."
        assert "revoked at 12:00 UTC" in _asked(f"Bearer {revoked.token}")[0]


def test_a_token_of_a_revoked_connection_opens_nothing(strict: Provider) -> None:
    Connection.objects.update(revoked_at=now())

    assert "connection was revoked" in Provider.refused(strict.ask("GET", "Users"), 401)


def test_authentication_is_one_statement_whatever_comes_of_it(strict: Provider) -> None:
    actions.open_connection("another", actor=ACTOR)

    for token in (strict.token, "unknown"):
        with CaptureQueriesContext(database) as captured:
            opened_by_token(token)
        assert len(captured) == 1


def test_a_token_names_the_other_live_connections(strict: Provider) -> None:
    actions.open_connection("another", actor=ACTOR)
    gone = actions.open_connection("gone", actor=ACTOR)
    actions.revoke_connection(gone.ref, actor=ACTOR)

    opened = opened_by_token(strict.token)

    assert opened is not None
    assert opened.others == ("scim:another",)


def test_a_read_writes_nothing(strict: Provider) -> None:
    with CaptureQueriesContext(database) as captured:
        strict.get("Users?count=1")

    said = [query["sql"].split(maxsplit=1)[0] for query in captured]
    assert set(said) <= {"SELECT", "SAVEPOINT", "RELEASE"}


def test_no_token_is_ever_logged(strict: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    strict.create_user("ada@halden.example")
    _asked("Bearer gh_scim_wrong-but-secret")

    assert strict.token not in caplog.text
    assert "wrong-but-secret" not in caplog.text
