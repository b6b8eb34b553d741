"""The list of applications, adding one, and the tabs of one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Connector, SyncRun
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

HTMX = {"HX-Request": "true"}
TABS = ["", "roles/", "accounts/", "requests/", "connector/", "history/"]


def test_an_application_of_the_catalogue_is_added_in_two_clicks(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    assert "/catalogue/gitlab/add/" in client.get("/catalogue/?q=gitlab").content.decode()

    answer = client.post("/catalogue/gitlab/add/")

    assert (answer.status_code, answer.url) == (302, "/applications/gitlab/owners/")
    added = Application.objects.get(slug="gitlab")
    assert added.entitlements.count() == 1
    assert "Added" in client.get("/catalogue/?q=gitlab").content.decode()


def test_adding_it_again_is_a_conflict_in_words(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    client.post("/catalogue/gitlab/add/")

    answer = client.post("/catalogue/gitlab/add/")

    assert answer.status_code == 409
    assert "was added before" in answer.content.decode()


def test_an_unknown_one_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).post("/catalogue/no-such-thing/add/").status_code == 404


@pytest.mark.parametrize("who", ["ada", "linus", "audrey"])
def test_only_administrators_add_applications(
    who: str, request: pytest.FixtureRequest, snowflake: Application, signed_in: SignedIn
) -> None:
    client = signed_in(request.getfixturevalue(who))

    assert client.get("/catalogue/").status_code == 403
    assert client.post("/catalogue/gitlab/add/").status_code == 403
    assert not Application.objects.filter(slug="gitlab").exists()


def test_owners_are_found_added_and_removed(
    ada: Person, linus: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    assert "Ada Lovelace" in client.get("/applications/snowflake/owners/?q=love").content.decode()

    client.post("/applications/snowflake/owners/", {"person": str(ada.ref), "do": "add"})
    assert {one.person for one in snowflake.ownerships.all()} == {linus, ada}

    client.post("/applications/snowflake/owners/", {"person": str(linus.ref), "do": "remove"})
    assert {one.person for one in snowflake.ownerships.all()} == {ada}


def test_an_owner_who_is_needed_to_decide_is_not_removed(
    ada: Person, linus: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    cast.add_role(snowflake, "Reader", stages=("owner",))
    client = signed_in(sam)
    client.post("/applications/snowflake/owners/", {"person": str(ada.ref), "do": "add"})

    answer = client.post("/applications/snowflake/owners/", {"person": str(ada.ref), "do": "remove"})

    assert answer.status_code == 422
    assert "Nobody could decide at stage 1 when Linus Berg asks for Reader in Snowflake." in answer.content.decode()
    assert {one.person for one in snowflake.ownerships.all()} == {linus, ada}


def test_a_role_that_nobody_could_decide_about_stays_under_its_policy(
    linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    alone = cast.add_role(analyst.application, "Reader", stages=("owner",)).policy
    said = {"name": "Analyst", "sentence": "Read it.", "risk": "2", "is_requestable": "on", "policy": str(alone.pk)}

    answer = signed_in(linus).post("/applications/snowflake/roles/analyst/", said)

    assert answer.status_code == 422
    assert "Nobody could decide at stage 1 when Linus Berg asks for Analyst in Snowflake." in answer.content.decode()
    assert snowflake_role("analyst").policy.slug == "standard"


def test_an_owner_adds_a_role(linus: Person, snowflake: Application, signed_in: SignedIn) -> None:
    role = {"name": "Reader", "sentence": "Read it.", "kind": "group", "target_ref": "readers", "risk": "1",
            "is_requestable": "on", "data_classes": ["phi"]}  # fmt: skip

    answer = signed_in(linus).post("/applications/snowflake/new-role/", role)

    assert (answer.status_code, answer.url) == (302, "/applications/snowflake/roles/")
    added = snowflake.entitlements.get(slug="reader")
    assert (added.risk, added.data_classes, added.is_privileged, added.is_requestable) == (1, ["phi"], False, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"risk": "9"}, "Select a valid choice"),
        ({"name": "Analyst"}, "Snowflake already has Analyst."),
        ({"name": "x" * 121}, "at most 120 characters"),
        ({"data_classes": ["secrets"]}, "Select a valid choice"),
        ({"policy": "999999"}, "Select a valid choice"),
    ],
    ids=["no name", "wrong risk", "taken", "too long", "unknown data", "unknown policy"],
)
def test_a_wrong_role_is_refused_at_its_field(
    change: dict[str, object], said: str, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    role = {"name": "Reader", "sentence": "Read it.", "kind": "group", "target_ref": "readers", "risk": "1"}

    answer = signed_in(linus).post("/applications/snowflake/new-role/", role | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    assert Entitlement.objects.count() == 1


def test_an_owner_changes_a_role(linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client = signed_in(linus)
    address = "/applications/snowflake/roles/analyst/"
    form = client.get(address).content.decode()
    assert f'value="{analyst.name}"' in form
    assert 'name="target_ref"' not in form

    said = {"name": "Reader", "sentence": "Read it.", "risk": "4", "data_classes": ["phi"], "is_privileged": "on"}
    answer = client.post(address, said)

    assert (answer.status_code, answer.url) == (302, "/applications/snowflake/roles/")
    changed = snowflake_role("analyst")
    assert (changed.name, changed.risk, changed.data_classes) == ("Reader", 4, ["phi"])
    assert (changed.is_privileged, changed.is_requestable, changed.target_ref) == (True, False, analyst.target_ref)
    assert snowflake_role("analyst").policy.slug == "standard"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"name": ""}, "This field is required."), ({"name": "WRITER"}, "Snowflake already has WRITER.")],
    ids=["no name", "taken"],
)
def test_a_wrong_change_of_a_role_is_refused_at_its_field(
    change: dict[str, object], said: str, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    cast.add_role(analyst.application, "Writer")
    role = {"name": "Reader", "sentence": "Read it.", "risk": "1"}

    answer = signed_in(linus).post("/applications/snowflake/roles/analyst/", role | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert snowflake_role("analyst").name == "Analyst"


def test_an_owner_of_something_else_changes_no_role(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    cast.add_application("NetSuite", owner=ada)
    role = {"name": "Reader", "sentence": "Read it.", "risk": "1"}

    assert signed_in(ada).post("/applications/snowflake/roles/analyst/", role).status_code == 403
    assert snowflake_role("analyst").name == "Analyst"


def snowflake_role(slug: str) -> Entitlement:
    """Return a role as it is stored now."""
    return Entitlement.objects.get(application__slug="snowflake", slug=slug)


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_opens_within_twelve_statements(
    tab: str, ada: Person, linus: Person, sam: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    stories.approve(stories.submit(ada, analyst), linus)
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    world.account(analyst.application, "svc-backup")
    world.reading(analyst.application)
    for person in (sam, linus, audrey):
        client = signed_in(person)
        with django_assert_max_num_queries(12):
            assert client.get(f"/applications/snowflake/{tab}").status_code == 200


@pytest.mark.parametrize("tab", TABS)
def test_a_stranger_sees_no_tab(tab: str, ada: Person, snowflake: Application, signed_in: SignedIn) -> None:
    cast.add_application("NetSuite", owner=ada)

    assert signed_in(ada).get(f"/applications/snowflake/{tab}").status_code == 403


def test_an_auditor_reads_without_a_button(audrey: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    world.reading(analyst.application)
    client = signed_in(audrey)

    for tab in TABS:
        page = client.get(f"/applications/snowflake/{tab}", headers=HTMX).content.decode()
        assert 'method="post"' not in page, tab


def test_accounts_are_told_apart(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    application = analyst.application
    world.account(application, "ada@there", person=ada)
    world.account(application, "svc-backup")
    world.account(application, "sleeper", person=ada, last_used_at=now() - timedelta(days=100))
    world.account(application, "past", gone_at=now())
    client = signed_in(sam)

    def shown(which: str) -> list[str]:
        page = client.get(f"/applications/snowflake/accounts/?show={which}", headers=HTMX).content.decode()
        return [name for name in ("ada@there", "svc-backup", "sleeper", "past") if f">{name}</a>" in page]

    assert shown("") == ["ada@there", "svc-backup", "sleeper"]
    assert shown("orphan") == ["svc-backup"]
    assert shown("dormant") == ["sleeper"]
    assert shown("gone") == ["past"]


def test_a_connector_is_saved_and_its_token_never_shown(
    sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    said = {"kind": "scim2", "base_url": "https://scim.example.com/v2", "secret": "s3cr3t-t0k3n"}

    answer = client.post("/applications/snowflake/connector/", said)

    assert answer.status_code == 302
    page = client.get("/applications/snowflake/connector/").content.decode()
    assert "A token is kept." in page
    assert "s3cr3t-t0k3n" not in page
    assert "s3cr3t-t0k3n" not in Connector.objects.get().secret_encrypted


@pytest.mark.parametrize(
    "change",
    [{"base_url": "ftp://files.example.com"}, {"kind": "smoke"}, {"secret": ""}],
    ids=lambda one: next(iter(one)),
)
def test_a_wrong_connector_is_refused_at_its_field(
    change: dict[str, str], sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    said = {"kind": "scim2", "base_url": "https://scim.example.com/v2", "secret": "s3cr3t-t0k3n"}

    answer = signed_in(sam).post("/applications/snowflake/connector/", said | change)

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert "s3cr3t-t0k3n" not in answer.content.decode()
    assert not Connector.objects.exists()


@pytest.mark.parametrize("who", ["linus", "audrey", "ada"])
@pytest.mark.parametrize("what", ["", "test/", "read/"])
def test_only_administrators_change_how_an_application_is_reached(
    who: str, what: str, request: pytest.FixtureRequest, snowflake: Application, signed_in: SignedIn
) -> None:
    answer = signed_in(request.getfixturevalue(who)).post(f"/applications/snowflake/connector/{what}", {})

    assert answer.status_code == 403


def test_reading_now_is_asked_for(sam: Person, snowflake: Application, signed_in: SignedIn) -> None:
    world.reading(snowflake)

    answer = signed_in(sam).post("/applications/snowflake/connector/read/")

    assert answer.status_code == 302
    assert Connector.objects.get().read_requested_at is not None


def test_a_reading_that_was_not_complete_says_why(sam: Person, snowflake: Application, signed_in: SignedIn) -> None:
    world.reading(snowflake, is_complete=False, error="Page 3 of 5 was cut off.")

    page = signed_in(sam).get("/applications/snowflake/connector/").content.decode()

    assert "Not complete" in page
    assert "Page 3 of 5 was cut off." in page
    assert SyncRun.objects.count() == 1


def test_the_list_shows_who_answers_and_what_is_orphaned(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    stories.give(ada, analyst)
    world.account(analyst.application, "svc-backup")
    cast.add_application("Unowned")
    client = signed_in(sam)

    with django_assert_max_num_queries(12):
        page = client.get("/applications/").content.decode()

    assert "Linus Berg" in page
    assert "Nobody" in page
    assert '<span class="bad">1</span>' in page


def test_hostile_words_stay_text_on_the_pages_of_an_application(
    sam: Person, linus: Person, signed_in: SignedIn
) -> None:
    application = cast.add_application(stories.HOSTILE, owner=cast.hire(stories.HOSTILE), slug="hostile")
    role = cast.add_role(application, "Analyst")
    Entitlement.objects.filter(pk=role.pk).update(
        name=stories.HOSTILE, sentence=stories.HOSTILE, target_ref=stories.HOSTILE
    )
    person = cast.hire(f"Zed {stories.HOSTILE}")
    world.holding(world.account(application, stories.HOSTILE, person=person), role)
    stories.submit(person, Entitlement.objects.get(pk=role.pk), reason=stories.HOSTILE)
    client = signed_in(sam)

    for path in ("/applications/", "/catalogue/?q=%3Cimg%3E", *(f"/applications/hostile/{tab}" for tab in TABS)):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path


def test_an_owner_says_what_data_an_application_holds_and_sees_it_in_its_history(
    linus: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    client = signed_in(linus)
    said = {"name": "Snowflake", "description": "Our warehouse.", "risk": "4", "data_classes": ["phi", "pii"]}

    assert client.post("/applications/snowflake/edit/", {**said, "risk": "9"}).status_code == 422
    for hours in ("0", "721", "soon"):
        refused = client.post("/applications/snowflake/edit/", {**said, "session_hours": hours})
        assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["session_hours"])
    assert client.post("/applications/snowflake/edit/", {**said, "session_hours": "8"}).status_code == 302

    snowflake.refresh_from_db()
    assert (snowflake.risk, snowflake.data_classes, snowflake.session_hours) == (4, ["phi", "pii"], 8)
    assert 'value="phi" checked' in client.get("/applications/snowflake/edit/").content.decode().replace(
        ' id="id_data_classes_1"', ""
    ).replace(' id="id_data_classes_0"', "")
