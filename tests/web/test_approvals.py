"""Approvals: the facts beside the buttons, both answers, and what happens when somebody was faster."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import transaction
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from governance.access import absences
from governance.access.models import AccessRequest, Approval, Grant, RequestState
from governance.access.queries import waiting_for
from governance.catalog.actions import change_application
from governance.catalog.models import Application, ApplicationOwner, Entitlement
from governance.core.clock import now
from governance.core.errors import Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import planning
from governance.web import counts
from tests import cast
from tests.cast import TESTING
from tests.web import stories
from tests.web.conftest import SignedIn

PART = {"HX-Request": "true"}


def test_the_facts_stand_beside_the_buttons(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.decline(stories.submit(ada, analyst), linus)
    stories.submit(ada, analyst, reason="I have to look at the failed load.", ticket="HAL-2291")

    page = signed_in(linus).get("/approvals/").content.decode()

    who = ("Ada Lovelace", "as owner of the application", "Same role in Engineering")
    what = ("Query Snowflake.", "I have to look at the failed load.", "HAL-2291", "2 hours")
    why = ("Why this risk", "Earlier requests there", "declined")
    for fact in (*who, *what, *why):
        assert fact in page, fact


def test_the_oldest_is_open_and_the_address_opens_another(
    ada: Person, mallory: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    first, second = stories.submit(mallory, analyst), stories.submit(ada, analyst)
    client = signed_in(linus)

    assert f'data-current="{first.number}"' in client.get("/approvals/").content.decode()
    assert f'data-current="{second.number}"' in client.get(f"/approvals/?item=R-{second.number}").content.decode()


@pytest.mark.parametrize("headers", [{}, PART], ids=["page", "htmx"])
def test_who_leaves_before_the_end_is_told_of_beside_the_buttons_and_after_the_yes(
    headers: dict[str, str], ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    client = signed_in(linus)
    assert "Ada Lovelace leaves" not in client.get("/approvals/").content.decode()
    with transaction.atomic():
        soon = now() + timedelta(hours=1)
        planning.plan(locked_person(ada.scim_id), soon, source="file:hr", actor=cast.TESTING)

    assert "Ada Lovelace leaves" in client.get("/approvals/").content.decode()
    answer = client.post(f"/requests/R-{request.number}/approve/", {"reason": ""}, headers=headers, follow=True)

    assert "when Ada Lovelace leaves." in answer.content.decode()


@pytest.mark.parametrize("headers", [{}, PART], ids=["page", "htmx"])
def test_one_press_approves(
    headers: dict[str, str], ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)

    answer = signed_in(linus).post(f"/requests/R-{request.number}/approve/", {"reason": ""}, headers=headers)

    request.refresh_from_db()
    assert request.state == RequestState.APPROVED
    assert answer.status_code == (200 if headers else 302)
    if headers:
        page = answer.content.decode()
        assert "Approved: Analyst in Snowflake for Ada Lovelace." in page
        assert "Nothing waits for you" in page


def test_it_can_be_approved_for_shorter(ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    request = stories.submit(ada, analyst, timedelta(hours=8))

    signed_in(linus).post(f"/requests/R-{request.number}/approve/", {"length": "3600"})

    grant = request.grants.get()
    assert grant.ends_at - grant.starts_at == timedelta(hours=1)


@pytest.mark.parametrize(
    ("length", "sentence"),
    [("86400", "you can only shorten it"), ("-1", "Choose one of these lengths."), ("0", "Choose a time longer")],
)
def test_it_cannot_be_approved_for_longer(
    length: str, sentence: str, ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)

    answer = signed_in(linus).post(f"/requests/R-{request.number}/approve/", {"length": length}, headers=PART)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()


def test_declining_needs_a_sentence(ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    request = stories.submit(ada, analyst)
    client = signed_in(linus)

    answer = client.post(f"/requests/R-{request.number}/decline/", {"reason": ""}, headers=PART)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()

    client.post(f"/requests/R-{request.number}/decline/", {"reason": "Use the report in Looker."}, headers=PART)
    request.refresh_from_db()
    assert request.state == RequestState.DENIED


def test_after_an_answer_the_next_one_is_open(
    ada: Person, mallory: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    first, second = stories.submit(mallory, analyst), stories.submit(ada, analyst)

    page = signed_in(linus).post(f"/requests/R-{first.number}/approve/", headers=PART).content.decode()

    assert f'data-current="{second.number}"' in page
    assert f'id="item-{first.number}"' not in page
    assert 'hx-target="#count-approvals"' in page
    assert "Now Ada Lovelace, Snowflake Analyst." in page


def test_who_was_slower_learns_who_decided_and_when(
    ada: Person, linus: Person, grace: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    ApplicationOwner.objects.create(application=analyst.application, person=grace, since=ada.joined_at)
    request = stories.submit(ada, analyst)
    stories.decline(request, linus)
    client = signed_in(grace)

    answer = client.post(f"/requests/R-{request.number}/approve/", headers=PART)

    assert answer.status_code == 409
    assert f"{linus.display_name} declined this" in answer.content.decode()
    page = client.get(f"/approvals/?item=R-{request.number}").content.decode()
    assert f"{linus.display_name} declined\n" in page or f"{linus.display_name} declined this" in page
    assert "/approve/" not in page.split('class="decide"')[-1] or 'class="decide"' not in page


@pytest.mark.parametrize("who", ["ada", "grace", "audrey", "mallory"])
@pytest.mark.parametrize("deed", ["approve", "decline"])
def test_who_is_not_asked_does_not_decide(
    who: str, deed: str, request: pytest.FixtureRequest, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    asked = stories.submit(ada, analyst)
    person = request.getfixturevalue(who)

    answer = signed_in(person).post(f"/requests/R-{asked.number}/{deed}/", {"reason": "Because I say so."})

    assert answer.status_code in (404, 422)
    asked.refresh_from_db()
    assert asked.state == RequestState.PENDING


def test_deciding_needs_a_post(ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    request = stories.submit(ada, analyst)

    for deed in ("approve", "decline"):
        assert signed_in(linus).get(f"/requests/R-{request.number}/{deed}/").status_code == 405


@pytest.mark.parametrize("headers", [{}, PART], ids=["page", "htmx"])
def test_a_powerful_role_asks_for_the_password_again(
    headers: dict[str, str], ada: Person, linus: Person, snowflake: Application
) -> None:
    role = cast.add_role(snowflake, "Administrator", risk=4, stages=("owner",))
    request = stories.submit(ada, role)
    client = Client()
    client.force_login(linus)  # and no password was given lately

    answer = client.post(f"/requests/R-{request.number}/approve/", headers=headers)

    address = f"/sign-in/again/?next=%2Fapprovals%2F%3Fitem%3DR-{request.number}"
    assert (answer["HX-Redirect"] if headers else answer.url) == address
    request.refresh_from_db()
    assert request.state == RequestState.PENDING


def test_the_password_given_again_lets_one_go_on(ada: Person, linus: Person, snowflake: Application) -> None:
    linus.set_password("correct horse battery staple")
    linus.save()
    request = stories.submit(ada, cast.add_role(snowflake, "Administrator", risk=4, stages=("owner",)))
    client = Client()
    client.force_login(linus)
    again = {"password": "correct horse battery staple", "next": f"/approvals/?item=R-{request.number}"}

    answer = client.post("/sign-in/again/", again)

    assert answer.url == f"/approvals/?item=R-{request.number}"
    client.post(f"/requests/R-{request.number}/approve/")
    request.refresh_from_db()
    assert request.state == RequestState.APPROVED


def test_an_empty_queue_says_so(linus: Person, snowflake: Application, signed_in: SignedIn) -> None:
    assert "Nothing waits for you" in signed_in(linus).get("/approvals/").content.decode()


def test_what_people_write_is_escaped(ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    Person.objects.update(display_name=stories.HOSTILE, title=stories.HOSTILE, department=stories.HOSTILE)
    request = stories.submit(ada, analyst, reason=stories.HOSTILE, ticket=stories.HOSTILE)
    client = signed_in(linus)

    pages = [client.get(path).content.decode() for path in ("/approvals/", "/", f"/requests/R-{request.number}/")]
    pages.append(client.post(f"/requests/R-{request.number}/approve/", headers=PART).content.decode())

    for page in pages:
        assert "<img" not in page
        assert "&lt;img" in page
        assert "&amp;lt;" not in page


@pytest.mark.parametrize("number", [1, 9])
def test_approvals_need_few_queries_however_many_wait(
    number: int, ada: Person, linus: Person, signed_in: SignedIn, snowflake: Application,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for one in range(number):
        stories.submit(ada, cast.add_role(snowflake, f"Role {one}"))
    client = signed_in(linus)

    with django_assert_max_num_queries(12):
        client.get("/approvals/")


def test_the_number_beside_the_link_is_the_number_in_the_queue(
    ada: Person, grace: Person, linus: Person, sam: Person, mallory: Person, audrey: Person, snowflake: Application
) -> None:
    routes = [("owner",), ("manager",), ("security",), ("manager", "owner"), ("owner", "security"), ("manager",) * 2]
    roles = [cast.add_role(snowflake, f"Role {number}", stages=stages) for number, stages in enumerate(routes)]
    for person in (ada, linus, mallory, sam):
        for role in roles:
            with contextlib.suppress(Refused):  # nobody but Sam could decide some of his
                stories.submit(person, role)
    for approver, most in ((grace, 9), (linus, 3), (sam, 2)):
        for waiting in waiting_for(approver)[:most]:
            stories.approve(waiting, approver)
    leaving = cast.hire("Nora Former")
    lonely = cast.add_application("Lonely", owner=leaving)
    stories.submit(ada, cast.add_role(lonely, "Reader"))
    lifecycle.leave(leaving, actor=cast.TESTING)

    for person in (ada, grace, linus, sam, mallory, audrey):
        request = RequestFactory().get("/")
        request.user = person
        assert counts.open_work(request)["approvals"] == len(waiting_for(person)), person.display_name


@pytest.fixture
def waiting(ada: Person, mallory: Person, grace: Person, linus: Person, analyst: Entitlement) -> dict[str, int]:
    """Four requests for Linus: one old, one of high risk elsewhere, one of Mallory, one in Grace's place."""
    cast.make_security_admin(cast.hire("Sasha Admin"))
    jira = cast.add_application("Jira", owner=linus)
    old = stories.submit(ada, analyst)
    AccessRequest.objects.filter(pk=old.pk).update(created_at=now() - timedelta(days=4))
    root = stories.submit(ada, cast.add_role(jira, "Root", risk=4))
    other = stories.submit(mallory, analyst)
    lent = stories.submit(ada, cast.add_role(jira, "Reader", stages=("manager",)))
    absences.plan_absence(
        grace,
        deputy=linus,
        starts_at=now(),
        ends_at=now() + timedelta(days=1),
        reason="Away",
        actor=cast.acting(grace),
    )
    return {"old": old.number, "root": root.number, "other": other.number, "lent": lent.number}


NARROWED = [
    ("", "", {"old", "root", "other", "lent"}),
    ("app=jira", "application=jira", {"root", "lent"}),
    ("person=mallory", "person={mallory}", {"other"}),
    ("person=ada@halden.example", "person={ada}", {"old", "root", "lent"}),
    ("risk=4", "risk=4", {"root"}),
    ("age=3", "before={three_days_ago}", {"old"}),
    ("whose=mine", "whose=mine", {"old", "root", "other"}),
    ("whose=deputy", "whose=deputy", {"lent"}),
    ("app=jira&whose=deputy&risk=4", "application=jira&whose=deputy&risk=4", set()),
]


@pytest.mark.parametrize(("page", "api", "expected"), NARROWED, ids=[one[0] or "everything" for one in NARROWED])
def test_what_waits_is_narrowed_the_same_on_the_page_and_for_scripts(
    page: str,
    api: str,
    expected: set[str],
    waiting: dict[str, int],
    ada: Person,
    mallory: Person,
    linus: Person,
    signed_in: SignedIn,
) -> None:
    client = signed_in(linus)
    known = {
        "ada": ada.ref,
        "mallory": mallory.ref,
        "three_days_ago": f"{now() - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}",
    }

    shown = client.get(f"/approvals/?{page}").context["found"]
    listed = client.get(f"/approvals/several/?{page}").context["queue"]
    answer = client.get(f"/api/v1/approvals/?{api.format(**known)}").json()
    assert "results" in answer, answer

    numbers = {waiting[name] for name in expected}
    assert {one.number for one in shown.queue} == numbers
    assert {one.number for one in listed} == numbers
    assert {one["number"] for one in answer["results"]} == numbers
    assert (shown.total, shown.waiting.everything) == (len(expected), 4)


def test_the_list_stays_narrowed_from_one_answer_to_the_next(
    waiting: dict[str, int], linus: Person, signed_in: SignedIn
) -> None:
    client = signed_in(linus)
    page = client.get("/approvals/?app=jira&whose=&nonsense=1").content.decode()
    here = f"/requests/R-{waiting['root']}/approve/?app=jira"

    part = client.post(here, headers=PART).content.decode()
    plain = client.post(f"/requests/R-{waiting['lent']}/decline/?app=jira", {"reason": "Use the report."})

    assert f"?item=R-{waiting['root']}&amp;app=jira" in page
    assert here in page
    assert f'data-current="{waiting["lent"]}"' in part
    assert f'id="item-{waiting["old"]}"' not in part
    assert ">3<span" in part, "the number beside the link counts all that waits"
    assert plain.url == "/approvals/?app=jira"
    empty = client.get(plain.url).content.decode()
    assert "Nothing that waits fits" in empty
    assert "Show all 2" in empty


@pytest.mark.parametrize("nonsense", ["risk=99", "age=x", "whose=%00", "person=%00", "app=a%20b", "item=%ff"])
def test_a_filter_that_cannot_be_read_narrows_nothing_on_the_page(
    nonsense: str, waiting: dict[str, int], linus: Person, signed_in: SignedIn
) -> None:
    assert len(signed_in(linus).get(f"/approvals/?{nonsense}").context["found"].queue) == 4


@pytest.mark.parametrize("nonsense", ["risk=99", "before=x", "whose=x", "person=x", "application=%00"])
def test_a_filter_that_cannot_be_read_is_refused_by_name_for_scripts(
    nonsense: str, linus: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(linus).get(f"/api/v1/approvals/?{nonsense}")

    assert answer.status_code == 422
    assert nonsense.split("=", maxsplit=1)[0] in answer.content.decode()


@pytest.mark.parametrize("number", [1, 9])
def test_a_narrowed_list_needs_few_queries_however_many_wait(
    number: int, ada: Person, linus: Person, signed_in: SignedIn, snowflake: Application,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for one in range(number):
        stories.submit(ada, cast.add_role(snowflake, f"Role {one}"))
    client = signed_in(linus)

    with django_assert_max_num_queries(13):
        client.get("/approvals/?app=snowflake&whose=mine")


def test_how_long_a_session_outlives_the_access_is_said_only_where_it_is_known(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.submit(ada, analyst)
    client = signed_in(linus)

    unknown = client.get("/approvals/").content.decode()
    Application.objects.update(catalogue_id="aws-iam-identity-center")
    known = client.get("/approvals/").content.decode()
    change_application(analyst.application, "Snowflake", risk=2, session_hours=8, actor=TESTING)
    said = client.get("/approvals/").content.decode()

    assert "How long a session that is open there goes on when this ends is not known." in unknown
    assert "A session that is open there when this ends goes on for 12 hours at most." in known
    assert "A session that is open there when this ends goes on for 8 hours at most." in said


def test_team_61_what_the_policy_approved_is_in_every_list_and_report_as_approved_by_it(
    ada: Person, linus: Person, sam: Person, audrey: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    terms = {"auto_approve": 'department eq "Engineering"', "auto_approve_up_to": timedelta(hours=8)}
    role = cast.add_role(snowflake, "Reader", terms=terms, stages=("owner",))

    made = stories.submit(ada, role)

    answer = Approval.objects.get(request=made)
    assert (answer.approver, answer.approved, made.state) == (None, True, RequestState.APPROVED)
    grant = Grant.objects.get(request=made)
    for person in (ada, linus, sam, audrey):
        client = signed_in(person)
        assert "Approved at once by policy" in client.get(f"/requests/R-{made.number}/").content.decode(), person
        why = client.get(f"/api/v1/grants/{grant.pk}/why/")
        assert why.status_code == 200, person
        assert "olicy" in why.content.decode(), person
        listed = client.get(f"/api/v1/requests/{made.number}/").json()
        assert [one["approver"] for one in listed["approvals"]] == [None], person
    event = Pending.objects.filter(body__event="request.approved").get()
    assert event.body["data"] == {"by_policy": made.policy_version_id}
    receipt = signed_in(audrey).get(f"/requests/R-{made.number}/facts/").content.decode()
    assert "The policy" in receipt
    assert "approved" in receipt


def test_a_mail_link_lands_on_the_request_after_signing_in_and_decides_nothing(
    ada: Person, linus: Person, snowflake: Application, analyst: Entitlement
) -> None:
    linus.set_password("correct horse battery staple")
    linus.save()
    stories.submit(ada, analyst)
    meant = stories.submit(ada, cast.add_role(snowflake, "Administrator", risk=4, stages=("owner",)))
    client = Client()

    asked = client.get(f"/approvals/?item=R-{meant.number}")
    form = {
        "login": linus.email,
        "password": "correct horse battery staple",
        "next": parse_qs(urlsplit(asked.url).query)["next"][0],
    }
    answer = client.post(urlsplit(asked.url).path, form)
    page = client.get(answer.url).content.decode()

    assert answer.url == f"/approvals/?item=R-{meant.number}"
    assert f'data-current="{meant.number}"' in page
    assert not Approval.objects.exists()
    assert meant.state == AccessRequest.objects.get(pk=meant.pk).state == RequestState.PENDING
