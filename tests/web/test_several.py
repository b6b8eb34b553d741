"""The pages of asking for several roles, of all requests, of emergencies and of what is asked at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.access import break_glass, deciding, requests
from governance.access.models import AccessRequest, BreakGlass, EndQuestion, Grant, RequestSet, RequestState
from governance.access.sweep import sweep
from governance.catalog.models import Application, AtEnd, Entitlement
from governance.catalog.packages import save_package
from governance.core.clock import now
from governance.identity.models import Person
from governance.lifecycle import holding
from governance.lifecycle.brake import Reading
from tests.cast import TESTING, acting, add_application, add_role, ask, hire, move
from tests.web import stories

pytestmark = pytest.mark.django_db

#: A Tuesday.
NOON = datetime(2036, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHY = "The nightly load failed and I have to see why."
SEND = {"length": "3600", "purpose": "Fix an incident", "reason": WHY}


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def writer(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Writer")


def browser(person: Person, *, fresh: bool = False) -> Client:
    client = Client()
    client.force_login(person)
    if fresh:
        session = client.session
        session["confirmed_at"] = datetime.now(UTC).timestamp()
        session.save()
    return client


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined]


def test_several_roles_are_chosen_in_the_address_and_sent_together(
    ada: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    client = browser(ada)

    page = client.get("/access/several/?role=snowflake/analyst&role=snowflake/writer")
    sent = client.post("/access/several/", {**SEND, "role": ["snowflake/analyst", "snowflake/writer"]})

    assert "Send 2 requests" in text(page)
    found = RequestSet.objects.get()
    assert sent.url == f"/requests/R-{found.number}/"
    shown = text(client.get(sent.url))
    assert "2 roles asked for together" in shown
    assert shown.count("Linus Berg decides") == 2


def test_what_is_refused_is_said_by_role_and_what_was_written_stays(
    ada: Person, analyst: Entitlement, snowflake: Application
) -> None:
    add_role(snowflake, "Report", terms={"purposes": ("Close the books",)})

    answer = browser(ada).post("/access/several/", {**SEND, "role": ["snowflake/analyst", "snowflake/report"]})

    assert answer.status_code == 422
    assert "Report in Snowflake: Choose a purpose: Close the books." in text(answer)
    assert WHY in text(answer)
    assert not AccessRequest.objects.exists()


def test_what_one_has_is_left_out_and_said_instead_of_a_form(
    ada: Person, linus: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    deciding.approve(requests.submit(ada, analyst, ask(), actor=acting(ada)), approver=linus, actor=acting(linus))

    page = text(browser(ada).get("/access/several/?role=snowflake/analyst&role=snowflake/writer"))

    assert "Left out: Analyst in Snowflake. You already have this until" in page
    assert "Send 1 request" in page


def test_a_colleague_s_access_shows_only_what_the_reader_may_ask_for(
    ada: Person, linus: Person, analyst: Entitlement, snowflake: Application
) -> None:
    secret = add_role(snowflake, "Secret", terms={"may_request": 'department eq "Data"'})
    mary = hire("Mary Keller", department="Data")
    for role in (analyst, secret):
        deciding.approve(requests.submit(mary, role, ask(), actor=acting(mary)), approver=linus, actor=acting(linus))

    page = text(browser(ada).get("/access/several/?like=mary@halden.example"))

    assert "What Mary Keller has and you may ask for" in page
    assert 'value="snowflake/analyst"' in page
    assert "Secret" not in page


def test_for_somebody_else_only_who_may(ada: Person, grace: Person, mallory: Person, analyst: Entitlement) -> None:
    terms = {**SEND, "role": "snowflake/analyst", "for": "ada@halden.example"}

    refused = browser(mallory).post("/access/several/", terms)
    browser(grace).post("/access/several/", terms)

    assert refused.status_code == 422
    assert "Only Ada Lovelace, their manager" in text(refused)
    made = AccessRequest.objects.get()
    assert (made.requester, made.person) == (grace, ada)
    assert "by Grace Hopper" in text(browser(ada).get("/requests/"))


def test_a_package_puts_its_roles_into_one_request_and_leaves_out_what_is_held(
    ada: Person, linus: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    save_package("Data start", "For the first day.", [analyst, writer], actor=TESTING)
    deciding.approve(requests.submit(ada, writer, ask(), actor=acting(ada)), approver=linus, actor=acting(linus))

    page = text(browser(ada).get("/access/several/?package=data-start"))

    assert "Left out: Writer in Snowflake" in page
    assert 'value="snowflake/analyst"' in page


def test_a_start_and_an_end_are_read_in_the_reader_s_zone(ada: Person, analyst: Entitlement) -> None:
    client = browser(ada)
    client.cookies["zone"] = "Europe/Berlin"
    terms = {**SEND, "role": "snowflake/analyst", "starts_at": "2036-03-05T09:00", "ends_at": "2036-03-05T11:00"}

    client.post("/access/several/", terms)

    made = AccessRequest.objects.get()
    assert (made.starts_at, made.duration) == (datetime(2036, 3, 5, 8, tzinfo=UTC), 2 * HOUR)


@pytest.mark.parametrize(
    "wrong", [{"ends_at": "2036-03-04T11:00"}, {"starts_at": "never"}, {"reason": ""}, {"length": "99999999"}]
)
def test_what_does_not_fit_comes_back_with_its_field(wrong: dict[str, str], ada: Person, analyst: Entitlement) -> None:
    answer = browser(ada).post("/access/several/", {**SEND, "role": "snowflake/analyst", **wrong})

    assert answer.status_code == 422
    assert "another look" in text(answer)
    assert not AccessRequest.objects.exists()


def test_nonsense_in_the_address_breaks_nothing(ada: Person, analyst: Entitlement) -> None:
    answer = browser(ada).get("/access/several/?role=x&role=a/b&for=nobody@x&like=%00&package=none&q=%27&length=-1")

    assert answer.status_code == 200


def test_lists_cost_the_same_for_one_and_for_many(ada: Person, snowflake: Application) -> None:
    client = browser(ada)
    costs = []
    for number in (1, 12):
        for one in range(number):
            requests.submit(ada, add_role(snowflake, f"Role {number} {one}"), ask(), actor=acting(ada))
        with CaptureQueriesContext(connection) as counted:
            assert client.get("/requests/").status_code == 200
        costs.append(len(counted))

    assert costs[0] == costs[1] <= 12


@pytest.mark.parametrize("who", ["linus", "sam"])
@pytest.mark.parametrize(
    "path",
    [
        "/access/several/?role=snowflake/analyst&q=snow",
        "/access/several/?role=snowflake/analyst&role=snowflake/writer&for=ada@halden.example&like=grace@halden.example",
        "/break-glass/",
        "/",
    ],
    ids=["several", "several-for-a-colleague", "break-glass", "home"],
)
def test_pages_stay_within_twelve_statements_whatever_waits(
    path: str, who: str, ada: Person, linus: Person, sam: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    for number in range(3):
        crew = hire(f"Crew{number} Member")
        requests.submit(crew, analyst, ask(), actor=acting(crew))
        grant = stories.give(crew, writer)
        until = now() + timedelta(days=1)
        EndQuestion.objects.create(grant=grant, due_at=now(), asked_at=now(), kept_until=until, correlation_id="x")
        BreakGlass.objects.create(
            grant=stories.give(crew, writer), person=crew, entitlement=writer, opened_at=now(), review_due_at=until,
            policy_version=writer.policy.versions.get(), reason="The load failed.", correlation_id="x",
        )  # fmt: skip
    reading = Reading("scim:okta", "leave", limit=1, taken=2, people=9, window_hours=24)
    with transaction.atomic():
        holding.hold(reading, [holding.Held(ada.pk)], at=now(), actor=TESTING)
    client = browser({"linus": linus, "sam": sam}[who])
    with CaptureQueriesContext(connection) as counted:
        assert client.get(path).status_code == 200

    assert len(counted) <= 12, "\n".join(one["sql"][:150] for one in counted)


def test_the_request_page_reminds_changes_and_says_when_it_lapses(
    ada: Person, analyst: Entitlement, noon: time_machine.Traveller
) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))
    client, here = browser(ada), f"/requests/R-{made.number}/"

    early = text(client.get(here))
    noon.shift(HOUR)
    later = text(client.get(here))
    client.post(f"{here}remind/")

    assert "You can remind them" in early
    assert "It lapses" in early
    assert f'action="{here}remind/"' in later
    made.refresh_from_db()
    assert made.reminded_at == NOON + HOUR


def test_a_request_is_changed_from_its_page_with_what_was_said_before(ada: Person, analyst: Entitlement) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))
    client = browser(ada)

    form = text(client.get(f"/access/snowflake/request/?change=R-{made.number}"))
    client.post(
        "/access/snowflake/request/",
        {**SEND, "role": "analyst", "change": f"R-{made.number}", "reason": WHY + " Again."},
    )

    assert WHY in form
    made.refresh_from_db()
    assert made.state == RequestState.WITHDRAWN
    assert AccessRequest.objects.get(state=RequestState.PENDING).reason.endswith("Again.")


def test_nobody_changes_or_reminds_of_somebody_else_s(ada: Person, mallory: Person, analyst: Entitlement) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))
    client = browser(mallory)

    assert client.get(f"/access/snowflake/request/?change=R-{made.number}").status_code == 404
    assert client.post(f"/requests/R-{made.number}/remind/").status_code == 404


def test_team_398_and_255_and_419_nothing_is_ready_before_it_was_read_back(
    ada: Person, linus: Person, analyst: Entitlement
) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))
    deciding.approve(made, approver=linus, actor=acting(linus))

    page = text(browser(ada).get(f"/requests/R-{made.number}/"))

    assert "We are opening it in Snowflake" in page
    for word in ("Ready:", "granted", "revoked"):
        assert word not in page


def test_teleport_49316_the_reason_has_its_label_and_the_role_its_sentence(ada: Person, analyst: Entitlement) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))

    page = text(browser(ada).get(f"/requests/R-{made.number}/"))

    assert "<dt>Reason</dt>" in page
    assert analyst.sentence in page


def test_teleport_31326_and_34370_no_form_is_offered_to_who_may_not_use_it(mallory: Person) -> None:
    application = add_application("Ledger")
    add_role(application, "Root", terms={"may_request": 'department eq "Data"', "break_glass_up_to": HOUR,
                                         "may_break_glass": 'department eq "Data"'})  # fmt: skip

    client = browser(mallory, fresh=True)

    assert "There is no role here that you may ask for" in text(client.get("/access/ledger/request/"))
    assert client.get("/access/ledger/break-glass/").status_code == 404


def test_what_was_called_off_says_why(
    ada: Person, linus: Person, snowflake: Application, noon: time_machine.Traveller
) -> None:
    role = add_role(snowflake, "Later")
    made = requests.submit(ada, role, ask(starts_at=NOON + HOUR), actor=acting(ada))
    deciding.approve(made, approver=linus, actor=acting(linus))
    Entitlement.objects.filter(pk=role.pk).update(retired_at=NOON)
    noon.shift(HOUR)
    sweep()

    page = text(browser(ada).get(f"/requests/R-{made.number}/"))

    assert "Later in Snowflake does not exist any more." in page
    assert "Begins later" not in page


def test_the_owner_answers_what_is_asked_at_the_end_from_home(
    ada: Person, linus: Person, snowflake: Application, noon: time_machine.Traveller
) -> None:
    role = add_role(snowflake, "Asking", terms={"at_end": AtEnd.ASK, "kept_for": timedelta(days=1)})
    made = requests.submit(ada, role, ask(), actor=acting(ada))
    deciding.approve(made, approver=linus, actor=acting(linus))
    noon.shift(2 * HOUR)
    sweep()
    grant = Grant.objects.get()

    assert "Kept until" in text(browser(ada).get(f"/requests/R-{made.number}/"))
    assert "while Linus Berg is asked" in text(browser(ada).get(f"/requests/R-{made.number}/"))
    assert "Kept until" in text(browser(ada).get("/me/access/"))
    home = text(browser(linus).get("/"))
    assert "Their time is up" in home
    assert browser(ada).post(f"/me/answers/{grant.pk}/", {"lasts": "60"}).status_code == 404
    browser(linus).post(f"/me/answers/{grant.pk}/", {"lasts": "14400"})
    grant.refresh_from_db()
    assert grant.ends_at == NOON + 6 * HOUR


@pytest.fixture
def root(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Root", terms={"break_glass_up_to": HOUR})


def test_the_glass_is_broken_after_a_fresh_sign_in_only(ada: Person, root: Entitlement) -> None:
    terms = {"role": "root", "length": "3600", "reason": WHY}

    stale = browser(ada).post("/access/snowflake/break-glass/", terms)
    assert stale.url.startswith("/sign-in/again/")
    assert not BreakGlass.objects.exists()
    fresh = browser(ada, fresh=True).post("/access/snowflake/break-glass/", terms)

    assert fresh.url == f"/break-glass/{BreakGlass.objects.get().pk}/"


def test_the_reviewer_finds_it_at_home_and_writes_what_was_found(
    ada: Person, sam: Person, linus: Person, mallory: Person, root: Entitlement, noon: time_machine.Traveller
) -> None:
    opened = break_glass.break_glass(ada, root, duration=HOUR, reason=WHY, actor=acting(ada))
    here = f"/break-glass/{opened.pk}/"
    assert "Emergencies to review" in text(browser(sam).get("/"))
    assert browser(mallory).get(here).status_code == 404
    assert "Write the review" not in text(browser(ada).get(here))
    noon.shift(timedelta(days=2))
    sweep()

    assert "1 review is overdue" in text(browser(linus).get("/break-glass/"))
    short = browser(sam).post(f"{here}review/", {"verdict": "no", "done": "x"})
    browser(sam).post(f"{here}review/", {"verdict": "no", "done": "Read tables nobody needed read."})

    assert short.status_code == 422
    assert "Not justified" in text(browser(linus).get("/break-glass/"))


def test_hostile_words_stay_words(ada: Person, sam: Person, root: Entitlement) -> None:
    opened = break_glass.break_glass(
        ada, root, duration=HOUR, reason="<script>alert(1)</script> is what we saw", actor=acting(ada)
    )

    assert "<script>alert" not in text(browser(sam).get(f"/break-glass/{opened.pk}/"))


def test_what_is_over_is_asked_for_again_in_one_click(ada: Person, linus: Person, analyst: Entitlement) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))
    deciding.deny(made, approver=linus, reason="Not this week.", actor=acting(linus))
    client, here = browser(ada), f"/requests/R-{made.number}/"

    assert f'action="{here}again/"' in text(client.get(here))
    sent = client.post(f"{here}again/")
    refused = client.post(f"{here}again/", follow=True)

    fresh = AccessRequest.objects.get(state=RequestState.PENDING)
    assert (sent.url, fresh.reason) == (f"/requests/R-{fresh.number}/", made.reason)
    assert "already waits for this" in text(refused)


def test_somebody_else_s_request_is_not_asked_for_again(ada: Person, linus: Person, analyst: Entitlement) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))

    assert browser(linus).post(f"/requests/R-{made.number}/again/").status_code == 404


def test_packages_are_offered_while_nothing_is_chosen(ada: Person, analyst: Entitlement) -> None:
    save_package("Data start", "For the first day.", [analyst], actor=TESTING)
    client = browser(ada)

    assert 'href="?package=data-start"' in text(client.get("/access/several/"))
    assert 'href="?package=data-start"' not in text(client.get("/access/several/?role=snowflake/analyst"))


def test_the_approver_sees_what_was_asked_for_together(
    ada: Person, linus: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    wanted = [requests.Wanted(role, ask()) for role in (analyst, writer)]
    made = requests.submit_together(ada, wanted, actor=acting(ada))
    client = browser(linus, fresh=True)

    assert "2 roles asked for together" in text(client.get(f"/requests/R-{made.number}/"))


def test_who_decides_one_of_a_set_sees_the_others_and_decides_all_that_waits_for_them(
    ada: Person, linus: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    elsewhere = add_role(add_application("Ledgerline", owner=hire("Olga Stern")), "Payer")
    wanted = [requests.Wanted(one, ask()) for one in (analyst, writer, elsewhere)]
    together = requests.submit_together(ada, wanted, actor=acting(ada))
    alone = requests.submit(ada, add_role(analyst.application, "Reader"), ask(), actor=acting(ada))
    client = browser(linus)
    first, second, third = together.requests.order_by("id")

    page = re.sub(r"<[^>]+>", "", text(client.get(f"/approvals/?item=R-{first.number}")))
    chosen = client.get(f"/approvals/several/?set={together.number}").content.decode()
    numbers = re.findall(r'name="number" value="(\d+)" checked', chosen)
    done = client.post(f"/approvals/several/?set={together.number}", {"number": numbers, "verdict": "approve"})

    assert f"Asked for together, R-{together.number}" in page
    assert "Payer in Ledgerline, waiting" in page
    assert f"{writer.name} in Snowflake, waits for you as well" in page
    assert numbers == [str(first.number), str(second.number)]
    assert done.status_code == 200
    states = AccessRequest.objects.order_by("id").values_list("number", "state")
    assert dict(states) == {
        first.number: "approved",
        second.number: "approved",
        third.number: "pending",
        alone.number: "pending",
    }


def test_who_is_asked_about_one_of_a_set_opens_it_and_sees_what_they_are_asked_about(
    ada: Person, grace: Person, linus: Person, snowflake: Application
) -> None:
    asked, other = hire("Olga Stern"), hire("Nils Ek")
    move(grace, manager_hint=asked.user_name)
    first = add_role(snowflake, "First", stages=("managers_manager",))
    wanted = [requests.Wanted(one, ask()) for one in (first, add_role(snowflake, "Second"))]
    together = requests.submit_together(ada, wanted, actor=acting(ada))

    page = browser(asked).get(f"/requests/R-{together.number}/")

    assert page.status_code == 200
    assert "First" in text(page)
    assert "Second" not in text(page)
    assert browser(other).get(f"/requests/R-{together.number}/").status_code == 404
