"""OAuth 2.0 client credentials (RFC 6749 §4.4): from the client's secret to a SCIM request, and every refusal."""

from __future__ import annotations

import base64
import json
import logging
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.connections import actions
from governance.identity.connections.actions import NewClient
from governance.identity.models import Connection
from scim_bridge.access_tokens import new_access_token
from tests.scim_bridge.conftest import Provider

ACTOR = Actor.system("test", door=Door.COMMAND)
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def connection(db: None) -> Connection:
    return actions.open_connection("ping", actor=ACTOR)


@pytest.fixture
def client(connection: Connection) -> NewClient:
    return actions.give_client(connection.ref, actor=ACTOR)


def _ask(body: str, *, content_type: str = FORM, **headers: str) -> HttpResponse:
    return Client().generic("POST", "/scim/oauth/token", body.encode(), content_type=content_type, headers=headers)


def _basic(client: NewClient, secret: str | None = None) -> str:
    pair = f"{client.client_id}:{secret or client.client_secret}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _grant(client: NewClient, **more: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    return urlencode({**form, **more})


def _token(client: NewClient) -> str:
    answer = _ask(_grant(client))
    assert answer.status_code == 200, answer.content
    return str(json.loads(answer.content)["access_token"])


def _refused(answer: HttpResponse, status: int, error: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.content)
    assert (answer.status_code, body["error"]) == (status, error)
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Type"].startswith("application/json")
    return body


@pytest.mark.parametrize("place", ["form", "header"])
def test_the_right_secret_gets_a_token_of_an_hour_that_opens_scim(client: NewClient, place: str) -> None:
    if place == "form":
        answer = _ask(_grant(client))
    else:
        answer = _ask("grant_type=client_credentials", Authorization=_basic(client))

    body = json.loads(answer.content)
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 3600)
    assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")
    assert Provider(body["access_token"]).get("Users")["totalResults"] == 0


def test_what_a_client_creates_belongs_to_its_connection(client: NewClient, connection: Connection) -> None:
    Provider(_token(client)).create_user("ada@halden.example")

    assert connection.source == "scim:ping"
    assert Provider(actions.give_token(connection.ref, actor=ACTOR).token).get("Users")["totalResults"] == 1


def test_a_token_is_valid_for_an_hour_and_no_longer(client: NewClient) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        token = _token(client)
        clock.shift(timedelta(minutes=59))
        assert Provider(token).ask("GET", "Users").status_code == 200

        clock.shift(timedelta(minutes=2))

        Provider.refused(Provider(token).ask("GET", "Users"), 401)


@pytest.mark.parametrize("ended", ["client", "connection"])
def test_revoking_the_client_or_the_connection_ends_its_tokens_at_once(
    client: NewClient, connection: Connection, ended: str
) -> None:
    token = _token(client)

    if ended == "client":
        actions.revoke_client(connection.ref, client.client_pk, actor=ACTOR)
    else:
        actions.revoke_connection(connection.ref, actor=ACTOR)

    Provider.refused(Provider(token).ask("GET", "Users"), 401)
    _refused(_ask(_grant(client)), 401, "invalid_client")


def test_a_wrong_secret_and_an_unknown_client_are_told_the_same(client: NewClient) -> None:
    wrong = _ask(_grant(client, client_secret="gh_secret_wrong"))
    unknown = _ask(_grant(client, client_id="gh_client_unknown"))

    assert _refused(wrong, 401, "invalid_client") == _refused(unknown, 401, "invalid_client")
    assert wrong["WWW-Authenticate"].startswith("Basic")


def test_a_client_that_names_itself_in_two_places_is_refused(client: NewClient) -> None:
    _refused(_ask(_grant(client), Authorization=_basic(client)), 400, "invalid_request")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"scope": "everything"}, 400, "invalid_scope"),
        ({"client_id": "a\x00b"}, 401, "invalid_client"),
    ],
)
def test_what_is_not_offered_is_refused_by_its_name(
    client: NewClient, change: dict[str, str], status: int, error: str
) -> None:
    _refused(_ask(_grant(client, **change)), status, error)


def test_the_scope_there_is_may_be_asked_for(client: NewClient) -> None:
    assert _ask(_grant(client, scope="scim")).status_code == 200


@pytest.mark.parametrize("body", ["%", "&".join(["grant_type=client_credentials"] * 2), "é", "x" * 9000, ""])
def test_a_form_out_of_order_is_an_invalid_request(client: NewClient, body: str) -> None:
    _refused(_ask(body), 400, "invalid_request")


def test_json_is_no_form(client: NewClient) -> None:
    _refused(_ask("{}", content_type="application/json"), 400, "invalid_request")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_there_is_no_other_method(db: None, method: str) -> None:
    answer = getattr(Client(), method)("/scim/oauth/token")

    _refused(answer, 405, "invalid_request")
    assert answer["Allow"] == "POST"


def test_a_forged_or_foreign_token_opens_nothing(client: NewClient) -> None:
    good = new_access_token(client.client_id)

    for token in (good[:-1] + ("A" if good[-1] != "A" else "B"), good + "x", new_access_token("gh_client_unknown")):
        Provider.refused(Provider(token).ask("GET", "Users"), 401)


def test_neither_secret_nor_token_is_ever_logged(client: NewClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    token = _token(client)
    _ask("grant_type=client_credentials", Authorization=_basic(client))

    assert token not in caplog.text
    assert client.client_secret not in caplog.text
