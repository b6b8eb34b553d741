"""Connections to identity providers on the pages: who may, what is shown once, what each button does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from governance.identity.connections import actions, queries
from governance.identity.connections.dialects import DIALECTS
from governance.identity.models import (
    Connection,
    ConnectionClient,
    ConnectionConflict,
    ConnectionExchange,
    ConnectionHour,
    Person,
    ServiceToken,
)
from governance.web import charts, counts
from governance.web.govern import connections_steps, connections_words
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

HTMX = {"HX-Request": "true"}
AT = datetime(2026, 11, 25, 14, 12, tzinfo=UTC)
HOUR = datetime(2026, 11, 25, 14, tzinfo=UTC)
TOKEN = re.compile(r"gh_scim_[\w-]{40,}")
SECRET = re.compile(r"gh_secret_[\w-]{40,}")


@pytest.fixture(autouse=True)
def at(db: None) -> Iterator[Any]:
    """It is a Wednesday afternoon."""
    with time_machine.travel(AT, tick=False) as traveller:
        yield traveller


@pytest.fixture
def admin(sam: Person, signed_in: SignedIn) -> Client:
    return signed_in(sam)


@pytest.fixture
def okta() -> Connection:
    return actions.open_connection("okta", actions.Terms(dialect="okta"), actor=cast.TESTING)


@pytest.fixture
def entra() -> Connection:
    return actions.open_connection("entra", actions.Terms(dialect="entra"), actor=cast.TESTING)


def exchange(connection: Connection, status: int = 200, **known: Any) -> ConnectionExchange:
    said = {"at": AT, "method": "GET", "path": "/Users", "milliseconds": 4.21, "correlation_id": uuid4().hex} | known
    return ConnectionExchange.objects.create(connection=connection, status=status, **said)


def conflict(asker: Connection, holder: Connection, person: Person) -> ConnectionConflict:
    Person.objects.filter(pk=person.pk).update(source=holder.source)
    return ConnectionConflict.objects.create(
        connection=asker,
        holder=holder,
        person=person,
        name=person.user_name,
        first_seen_at=AT,
        last_seen_at=AT,
        count=3,
    )


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def opened(client: Client, **said: str) -> Any:
    return client.post("/new-connection/", {"name": "Okta workforce", "dialect": "okta", "days": "365", **said})


# ---- Who may


@pytest.mark.parametrize("who", ["ada", "linus", "audrey"])
def test_only_security_administrators_get_in_or_see_the_link(
    who: str, request: pytest.FixtureRequest, signed_in: SignedIn
) -> None:
    client = signed_in(request.getfixturevalue(who))

    assert client.get("/connections/").status_code == 403
    assert "/connections/" not in client.get("/settings/").content.decode()


def test_an_empty_list_says_what_to_do(admin: Client) -> None:
    page = shown(admin, "/connections/")

    assert "No directory is connected" in page
    assert 'href="/new-connection/"' in page


# ---- Connect


def test_connecting_shows_address_token_and_steps(admin: Client) -> None:
    page = opened(admin).content.decode()

    (token,) = set(TOKEN.findall(page))
    assert ServiceToken.objects.get().digest == actions.digest(token)
    assert f'value="{settings.PUBLIC_URL}/scim/v2"' in page
    assert "In the Okta Admin Console" in page
    assert "Waiting for the first request" in page


def test_the_token_is_shown_once_and_kept_nowhere(admin: Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = opened(admin)
    (token,) = set(TOKEN.findall(answer.content.decode()))
    ref = Connection.objects.get().ref

    later = [shown(admin, f"/connections/{ref}/{tab}") for tab in ("", "keys/", "steps/", "settings/", "exchanges/")]

    assert answer["Cache-Control"] == "no-store"
    assert not [page for page in later if token in page]
    assert token not in caplog.text
    assert not [cookie for cookie in admin.cookies.values() if token in cookie.value]
    assert not [session for session in Session.objects.all() if token in str(session.get_decoded())]


def test_sending_the_form_again_makes_nothing_and_shows_nothing(admin: Client) -> None:
    opened(admin)

    again = opened(admin)

    assert again.status_code == 422
    assert "There is a connection Okta workforce already" in again.content.decode()
    assert not TOKEN.search(again.content.decode())
    assert (Connection.objects.count(), ServiceToken.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"name": ""}, "This field is required."),
        ({"dialect": "ldap"}, "Select a valid choice."),
        ({"days": "12"}, "Select a valid choice."),
        ({"days": ""}, "This field is required."),
        ({"name": "two\u2028lines"}, "Give the connection a name of 1 to 80 characters."),
    ],
    ids=["no name", "unknown kind", "odd lifetime", "no lifetime", "a name that does not print"],
)
def test_a_form_that_does_not_fit_comes_back_with_its_sentence(
    said: dict[str, str], sentence: str, admin: Client
) -> None:
    answer = opened(admin, **said)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Connection.objects.exists()


@pytest.mark.parametrize(("days", "ends"), [("90", AT + timedelta(days=90)), ("none", None)], ids=["dated", "open"])
def test_the_token_lives_as_long_as_was_chosen(days: str, ends: datetime | None, admin: Client) -> None:
    opened(admin, days=days)

    assert ServiceToken.objects.get().expires_at == ends


@pytest.mark.parametrize("name", DIALECTS)
def test_every_kind_has_steps(name: str) -> None:
    assert len(connections_steps.set_up_of(name).steps) >= 4


# ---- The first request


def test_the_page_asks_again_until_the_first_request_came(admin: Client, okta: Connection) -> None:
    path = f"/connections/{okta.ref}/first-request/"
    before = admin.get(path, {"look": "7"}, headers=HTMX).content.decode()
    assert f'hx-get="{path}?look=8"' in before

    exchange(okta, user_agent="Okta SCIM Client 1.0.0")

    after = admin.get(path, {"look": "8"}, headers=HTMX).content.decode()
    assert "hx-get" not in after
    assert "Connected <time" in after
    assert "by Okta SCIM Client 1.0.0" in after


def test_the_page_stops_asking_after_ten_minutes(admin: Client, okta: Connection) -> None:
    page = admin.get(f"/connections/{okta.ref}/first-request/", {"look": "300"}, headers=HTMX).content.decode()

    assert "hx-get" not in page
    assert "Look again" in page


def test_a_first_request_that_was_refused_says_so(admin: Client, okta: Connection) -> None:
    exchange(okta, 400, problem="The filter cannot be understood.")

    page = shown(admin, f"/connections/{okta.ref}/steps/")

    assert "The first request was refused: The filter cannot be understood." in page


# ---- Keys


def keys_form(client: Client, ref: Any, name: str) -> dict[str, Any]:
    """Return what the form of this name would send."""
    form = client.get(f"/connections/{ref}/keys/").context[name]
    return {bound.html_name: "" if bound.value() is None else bound.value() for bound in form}


def test_rotating_shows_a_new_token_and_ends_the_old_one_later(admin: Client, okta: Connection) -> None:
    old = actions.give_token(okta.ref, actor=cast.TESTING)
    form = keys_form(admin, okta.ref, "rotate_form") | {"rotate-overlap_hours": "6"}

    page = admin.post(f"/connections/{okta.ref}/tokens/rotate/", form).content.decode()

    assert TOKEN.search(page)
    assert "The earlier tokens end in 6 hours." in page
    assert ServiceToken.objects.get(pk=old.token_id).expires_at == AT + timedelta(hours=6)


@pytest.mark.parametrize(
    ("address", "name", "secret"),
    [
        ("tokens/add/", "token_form", TOKEN),
        ("tokens/rotate/", "rotate_form", TOKEN),
        ("clients/add/", "client_form", SECRET),
    ],
    ids=["token", "rotation", "client"],
)
def test_a_key_form_that_is_sent_twice_makes_one_key(
    address: str, name: str, secret: re.Pattern[str], admin: Client, okta: Connection
) -> None:
    form = keys_form(admin, okta.ref, name)
    first = admin.post(f"/connections/{okta.ref}/{address}", form)
    assert secret.search(first.content.decode())

    second = admin.post(f"/connections/{okta.ref}/{address}", form)

    assert second.status_code == 409
    assert not secret.search(second.content.decode())
    assert ServiceToken.objects.count() + ConnectionClient.objects.count() == 1


@pytest.mark.parametrize(
    ("address", "name"),
    [("tokens/add/", "token_form"), ("tokens/rotate/", "rotate_form"), ("clients/add/", "client_form")],
    ids=["token", "rotation", "client"],
)
def test_a_key_is_only_made_after_a_fresh_sign_in(
    address: str, name: str, admin: Client, sam: Person, okta: Connection
) -> None:
    form = keys_form(admin, okta.ref, name)
    stale = Client()
    stale.force_login(sam)  # and no password was given lately

    page = stale.get(f"/connections/{okta.ref}/keys/").content.decode()
    answer = stale.post(f"/connections/{okta.ref}/{address}", form)

    assert "first give your password again" in page
    assert f"/{address}" not in page
    assert answer.url == f"/sign-in/again/?next=%2Fconnections%2F{okta.ref}%2Fkeys%2F"
    assert not ServiceToken.objects.exists()
    assert not ConnectionClient.objects.exists()
    assert admin.post(f"/connections/{okta.ref}/{address}", form).status_code == 200


def test_a_key_is_revoked_without_a_fresh_sign_in(sam: Person, okta: Connection) -> None:
    token = actions.give_token(okta.ref, actor=cast.TESTING)
    stale = Client()
    stale.force_login(sam)

    assert "Revoke" in stale.get(f"/connections/{okta.ref}/keys/").content.decode()
    stale.post(f"/connections/{okta.ref}/tokens/{token.token_id}/revoke/")

    assert ServiceToken.objects.get(pk=token.token_id).revoked_at == AT


def test_a_new_connection_asks_for_a_fresh_sign_in_and_keeps_what_was_typed(sam: Person) -> None:
    stale = Client()
    stale.force_login(sam)

    answer = stale.post("/new-connection/", {"name": "Okta Nord", "dialect": "okta", "days": "90"})

    assert not Connection.objects.exists()
    come_back = parse_qs(urlsplit(answer.url).query)["next"][0]
    form = stale.get(come_back).context["form"]
    assert [form[name].value() for name in ("name", "dialect", "days")] == ["Okta Nord", "okta", "90"]


def test_an_overlap_that_is_too_long_is_refused_at_its_field(admin: Client, okta: Connection) -> None:
    form = keys_form(admin, okta.ref, "rotate_form") | {"rotate-overlap_hours": "99999"}

    answer = admin.post(f"/connections/{okta.ref}/tokens/rotate/", form)

    assert answer.status_code == 422
    assert "less than or equal to 2160" in answer.content.decode()
    assert not ServiceToken.objects.exists()


def test_a_token_is_revoked(admin: Client, okta: Connection) -> None:
    token = actions.give_token(okta.ref, actor=cast.TESTING)

    answer = admin.post(f"/connections/{okta.ref}/tokens/{token.token_id}/revoke/", headers=HTMX)

    assert answer["HX-Redirect"] == f"/connections/{okta.ref}/keys/"
    assert ServiceToken.objects.get().revoked_at == AT
    assert "Revoked" in shown(admin, f"/connections/{okta.ref}/keys/")


def test_a_token_of_another_connection_is_not_revoked(admin: Client, okta: Connection, entra: Connection) -> None:
    token = actions.give_token(entra.ref, actor=cast.TESTING)

    assert admin.post(f"/connections/{okta.ref}/tokens/{token.token_id}/revoke/").status_code == 404
    assert ServiceToken.objects.get().revoked_at is None


def test_a_client_is_revoked(admin: Client, okta: Connection) -> None:
    client = actions.give_client(okta.ref, actor=cast.TESTING)

    admin.post(f"/connections/{okta.ref}/clients/{client.client_pk}/revoke/")

    assert ConnectionClient.objects.get().revoked_at == AT


def test_a_provider_that_was_not_given_the_new_token_is_told_of(admin: Client, okta: Connection, at: Any) -> None:
    old = actions.give_token(okta.ref, actor=cast.TESTING)
    actions.rotate_tokens(okta.ref, overlap_hours=24, actor=cast.TESTING)
    ServiceToken.objects.filter(pk=old.token_id).update(last_used_at=AT)

    page = shown(admin, f"/connections/{okta.ref}/keys/")

    assert "The provider still uses gh_scim_" in page


# ---- Settings and the end


def test_settings_are_changed(admin: Client, okta: Connection) -> None:
    said = {"dialect": "entra", "requests_per_minute": "600", "keep_exchanges_days": "3", "note": "Call the help desk."}

    answer = admin.post(f"/connections/{okta.ref}/settings/", said)

    assert answer.status_code == 302
    okta.refresh_from_db()
    assert (okta.dialect, okta.requests_per_minute, okta.keep_exchanges_days, okta.note) == (
        "entra", 600, 3, "Call the help desk.",
    )  # fmt: skip


def test_settings_out_of_range_come_back(admin: Client, okta: Connection) -> None:
    said = {"dialect": "okta", "requests_per_minute": "1", "keep_exchanges_days": "3", "note": ""}

    assert admin.post(f"/connections/{okta.ref}/settings/", said).status_code == 422


def test_a_connection_is_revoked_only_when_its_name_was_typed(admin: Client, okta: Connection, ada: Person) -> None:
    Person.objects.filter(pk=ada.pk).update(source=okta.source)
    actions.give_token(okta.ref, actor=cast.TESTING)
    page = shown(admin, f"/connections/{okta.ref}/settings/")
    assert "Nothing happens to its 1 person and 0 groups" in page

    wrong = admin.post(f"/connections/{okta.ref}/revoke/", {"typed": "Okta"})
    assert wrong.status_code == 422
    assert "Type okta exactly." in wrong.content.decode()
    assert queries.connection_line(okta.ref).state == "live"

    admin.post(f"/connections/{okta.ref}/revoke/", {"typed": "okta"})

    assert queries.connection_line(okta.ref).state == "revoked"
    ada.refresh_from_db()
    assert (ada.is_active, ada.source) == (True, "scim:okta")
    assert "cannot be opened again" in shown(admin, f"/connections/{okta.ref}/settings/")


@pytest.mark.parametrize(("address", "name"), [("tokens/add/", "token_form"), ("clients/add/", "client_form")])
def test_a_revoked_connection_gets_no_key(address: str, name: str, admin: Client, okta: Connection) -> None:
    form = keys_form(admin, okta.ref, name)
    actions.revoke_connection(okta.ref, actor=cast.TESTING)

    answer = admin.post(f"/connections/{okta.ref}/{address}", form)

    assert answer.status_code == 409
    assert "The connection okta was revoked" in answer.content.decode()
    assert "Add token" not in shown(admin, f"/connections/{okta.ref}/keys/")


# ---- Conflicts


def test_a_conflict_is_handed_over(admin: Client, okta: Connection, entra: Connection, ada: Person) -> None:
    about = conflict(okta, entra, ada)
    page = shown(admin, "/connections/")
    assert "Hand over to okta" in page
    assert "Leave with entra" in page

    answer = admin.post(f"/conflicts/{about.pk}/hand-over/", {"back": ""}, headers=HTMX)

    assert answer["HX-Redirect"] == "/connections/"
    ada.refresh_from_db()
    assert ada.source == okta.source
    assert "Ada Lovelace belongs to okta from now on." in shown(admin, "/connections/")


def test_a_conflict_is_left_where_it_is(admin: Client, okta: Connection, entra: Connection, ada: Person) -> None:
    about = conflict(okta, entra, ada)

    answer = admin.post(f"/conflicts/{about.pk}/leave/", {"back": str(okta.ref)})

    assert answer.url == f"/connections/{okta.ref}/"
    ada.refresh_from_db()
    assert ada.source == entra.source
    assert "Left with entra" in shown(admin, f"/connections/{okta.ref}/")


def test_a_conflict_that_was_decided_is_said_to_be(
    admin: Client, okta: Connection, entra: Connection, ada: Person
) -> None:
    about = conflict(okta, entra, ada)
    admin.post(f"/conflicts/{about.pk}/leave/")

    answer = admin.post(f"/conflicts/{about.pk}/hand-over/", headers=HTMX)

    assert answer.status_code == 409
    assert "This was decided at 25 November 2026" in answer.content.decode()


# ---- Exchanges


def test_exchanges_are_listed_and_filtered(admin: Client, okta: Connection) -> None:
    exchange(okta, path="/Groups", understood=["List the groups from number 1 on."])
    exchange(okta, 400, path="/Users", problem="The filter cannot be understood.")

    every = shown(admin, f"/connections/{okta.ref}/exchanges/")
    rejected = shown(admin, f"/connections/{okta.ref}/exchanges/?show=rejected")

    assert "List the groups from number 1 on." in every
    assert "4.2 ms" in every
    assert "The filter cannot be understood." in rejected
    assert "List the groups" not in rejected


def test_exchanges_are_paged_and_the_last_page_says_so(admin: Client, okta: Connection) -> None:
    for number in range(100):
        exchange(okta, path=f"/Users/{number:03}", at=AT - timedelta(seconds=number))

    first = shown(admin, f"/connections/{okta.ref}/exchanges/")
    earlier = re.search(r'href="(\?before=\d+)"', first)
    assert earlier
    second = shown(admin, f"/connections/{okta.ref}/exchanges/{earlier[1]}")

    assert "/Users/049" in first
    assert "/Users/050" not in first
    assert "/Users/099" in second
    assert "Earlier" not in second


def test_a_rejected_exchange_is_explained_with_its_section(admin: Client, okta: Connection) -> None:
    one = exchange(
        okta, 400, method="PATCH", path="/Users/7", problem="The path names nothing.", section="RFC 7644 §3.5.2.3",
        understood=["Replace nickname."], request_body={"op": "…"}, response_body={"scimType": "noTarget"},
    )  # fmt: skip

    page = shown(admin, f"/connections/{okta.ref}/exchanges/{one.pk}/")

    assert "Why it was rejected" in page
    assert "Replace nickname." in page
    assert 'href="https://www.rfc-editor.org/rfc/rfc7644#section-3.5.2.3"' in page
    assert "&quot;scimType&quot;: &quot;noTarget&quot;" in page


def test_what_a_provider_sends_is_never_markup(admin: Client, okta: Connection) -> None:
    one = exchange(
        okta, 400, path=f"/{stories.HOSTILE}", query=stories.HOSTILE, user_agent=stories.HOSTILE,
        understood=[stories.HOSTILE], problem=stories.HOSTILE, section=stories.HOSTILE,
        request_body={stories.HOSTILE: stories.HOSTILE}, response_body=[stories.HOSTILE],
    )  # fmt: skip

    pages = [
        shown(admin, f"/connections/{okta.ref}/{path}") for path in ("exchanges/", f"exchanges/{one.pk}/", "steps/")
    ]

    assert not [page for page in pages if "<img" in page]


def test_an_exchange_of_another_connection_is_not_there(admin: Client, okta: Connection, entra: Connection) -> None:
    one = exchange(entra)

    assert admin.get(f"/connections/{okta.ref}/exchanges/{one.pk}/").status_code == 404


# ---- States and counts


@pytest.mark.parametrize(
    ("requests", "errors", "word"),
    [(100, 0, "Working"), (100, 4, "Working"), (100, 5, "Errors"), (0, 0, "Never used")],
    ids=["all well", "a few refused", "one in twenty refused", "nothing asked"],
)
def test_the_state_says_whether_to_look_and_is_counted_alike(
    requests: int, errors: int, word: str, admin: Client, okta: Connection
) -> None:
    actions.give_token(okta.ref, actor=cast.TESTING)
    if requests:
        Connection.objects.filter(pk=okta.pk).update(last_used_at=AT)
        ConnectionHour.objects.create(connection=okta, hour=HOUR, requests=requests, errors=errors)

    page = admin.get("/connections/")

    assert [state.word for state in page.context["rows"][0].states] == [word]
    counted = counts.open_work(page.wsgi_request)["connections"]
    assert counted == (word == "Errors")


def test_a_key_that_ends_soon_is_said(okta: Connection) -> None:
    actions.give_token(okta.ref, days=10, actor=cast.TESTING)

    states = connections_words.states_of(queries.connection_line(okta.ref), AT)

    assert [state.word for state in states] == ["Key ends soon", "Never used"]


def test_an_old_token_that_ends_is_no_alarm_when_another_works_on(okta: Connection) -> None:
    actions.give_token(okta.ref, days=10, actor=cast.TESTING)
    actions.give_token(okta.ref, actor=cast.TESTING)

    states = connections_words.states_of(queries.connection_line(okta.ref), AT)

    assert [state.word for state in states] == ["Never used"]


def test_open_conflicts_and_errors_are_counted_on_the_home_page(
    admin: Client, okta: Connection, entra: Connection, ada: Person
) -> None:
    conflict(okta, entra, ada)
    ConnectionHour.objects.create(connection=okta, hour=HOUR, requests=10, errors=10)

    page = shown(admin, "/")

    assert re.search(r"Conflicts and errors of connections</a></span><b>2</b>", page)


def test_those_that_need_somebody_come_first(admin: Client, okta: Connection, entra: Connection, ada: Person) -> None:
    for one in (okta, entra):
        actions.give_token(one.ref, actor=cast.TESTING)
        Connection.objects.filter(pk=one.pk).update(last_used_at=AT)
    conflict(okta, entra, ada)
    gone = actions.open_connection("a former one", actor=cast.TESTING)
    actions.revoke_connection(gone.ref, actor=cast.TESTING)

    rows = admin.get("/connections/").context["rows"]

    assert [row.line.name for row in rows] == ["okta", "entra", "a former one"]


@pytest.mark.parametrize(
    ("section", "address"),
    [
        ("RFC 7644 §3.5.2.3", "https://www.rfc-editor.org/rfc/rfc7644#section-3.5.2.3"),
        ("RFC 9865", "https://www.rfc-editor.org/rfc/rfc9865"),
        ("the manual", ""),
        ("", ""),
    ],
)
def test_a_section_has_its_address(section: str, address: str) -> None:
    assert connections_words.section_url(section) == address


# ---- The chart


def test_requests_above_the_limit_are_told_apart(admin: Client, okta: Connection) -> None:
    ConnectionHour.objects.create(connection=okta, hour=HOUR, requests=900, errors=32, limited=30)

    page = shown(admin, f"/connections/{okta.ref}/")

    assert '<b class="num">32</b> refused, 30 of them for asking too often' in page


def test_the_chart_shows_every_error_and_escapes_its_label() -> None:
    chart = charts.requests([(0, 0), (1000, 1), (3, 3)], stories.HOSTILE)

    assert re.findall(r'class="(\w)"', chart) == ["z", "e", "v", "e"]
    assert 'height="2.0"' in chart
    assert "<img" not in chart


@pytest.mark.parametrize("hours", [[], [(0, 0)], [(5, 5)], [(10**9, 1)]], ids=["nothing", "zero", "errors", "many"])
def test_the_chart_can_be_drawn_of_anything_and_stays_inside(hours: list[tuple[int, int]]) -> None:
    chart = charts.requests(hours, "Requests")

    for y, height in re.findall(r'y="([\d.-]+)" width="[\d.]+" height="([\d.-]+)"', chart):
        assert float(y) >= 0
        assert float(height) >= 0
        assert float(y) + float(height) <= 24.05


# ---- Cost


def test_every_page_costs_at_most_twelve_statements(
    sam: Person, okta: Connection, entra: Connection, ada: Person, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    client = signed_in(sam)
    conflict(okta, entra, ada)
    for number in range(5):
        actions.give_token(okta.ref, actor=cast.acting(sam))
        actions.give_client(okta.ref, actor=cast.acting(sam))
        actions.open_connection(f"more {number}", actor=cast.TESTING)
    first = exchange(okta)
    tabs = ("", "exchanges/", f"exchanges/?before={first.pk}", f"exchanges/{first.pk}/", "keys/", "steps/", "settings/")

    for path in ("/connections/", "/new-connection/", *(f"/connections/{okta.ref}/{tab}" for tab in tabs)):
        with django_assert_max_num_queries(12):
            client.get(path)
