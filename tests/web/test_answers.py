"""Other answers at the pages: a question back, a hand-over, a smaller role, several at once, and being away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from governance.access import absences, turns
from governance.access.models import Absence, AccessRequest, Approval, RequestState, Turn
from governance.catalog.models import Application, Entitlement, RiskProposal, RiskWeights
from governance.catalog.stages import Approvers, Stage
from governance.catalog.weights import STANDARD
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.cast import acting, add_role
from tests.web import stories
from tests.web.conftest import SignedIn

PART = {"HX-Request": "true"}


def test_a_question_back_and_its_reply_stand_on_both_pages(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    owner, asker = signed_in(linus), signed_in(ada)

    owner.post(f"/requests/R-{request.number}/ask-back/", {"question": "Which load failed?"})
    assert "Which load failed?" in asker.get(f"/requests/R-{request.number}/").content.decode()
    asker.post(f"/requests/R-{request.number}/reply/", {"reply": "The one of <b>orders</b>."})

    page = owner.get("/approvals/").content.decode()
    assert "Which load failed?" in page
    assert "The one of &lt;b&gt;orders&lt;/b&gt;." in page


@pytest.mark.parametrize(
    ("path", "said", "sentence"),
    [
        ("ask-back", {"question": ""}, "Write a sentence."),
        ("hand-over", {"to": "", "reason": "You know this."}, "Choose somebody."),
        ("smaller", {"role": "", "reason": "That will do."}, "Choose a role."),
    ],
)
def test_what_is_missing_is_said(
    path: str, said: dict[str, str], sentence: str, ada: Person, linus: Person, analyst: Entitlement,
    snowflake: Application, sam: Person, signed_in: SignedIn,
) -> None:  # fmt: skip
    add_role(snowflake, "Reader", risk=1)
    request = stories.submit(ada, analyst)

    answer = signed_in(linus).post(f"/requests/R-{request.number}/{path}/", said)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()


def test_it_is_handed_over_to_somebody_the_policy_could_ask(
    ada: Person, linus: Person, sam: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    owner = signed_in(linus)

    page = owner.get(f"/requests/R-{request.number}/other/").content.decode()
    assert str(sam.ref) in page
    assert str(mallory.ref) not in page
    owner.post(f"/requests/R-{request.number}/hand-over/", {"to": str(sam.ref), "reason": "You know this."})

    assert "in whose place you answer" in signed_in(sam).get("/approvals/").content.decode()
    assert "Nothing waits for you" in owner.get("/approvals/").content.decode()


def test_a_smaller_role_is_given_instead(
    ada: Person, linus: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    writer, reader = add_role(snowflake, "Writer", risk=2), add_role(snowflake, "Reader", risk=1)
    request = stories.submit(ada, writer)

    signed_in(linus).post(f"/requests/R-{request.number}/smaller/", {"role": reader.slug, "reason": "That will do."})

    request.refresh_from_db()
    instead = AccessRequest.objects.get(instead_of=request)
    assert (request.state, instead.state) == (RequestState.DENIED, RequestState.APPROVED)
    assert Approval.objects.get(request=request).reason == "Reader instead. That will do."
    assert instead.grants.get().entitlement == reader


def test_a_larger_role_is_not_given_instead(
    ada: Person, linus: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    reader, writer = add_role(snowflake, "Reader", risk=1), add_role(snowflake, "Writer", risk=2)
    request = stories.submit(ada, reader)

    answer = signed_in(linus).post(
        f"/requests/R-{request.number}/smaller/", {"role": writer.slug, "reason": "Take this."}
    )

    assert answer.status_code == 422
    assert AccessRequest.objects.get().state == RequestState.PENDING


def test_a_smaller_role_whose_policy_asks_others_too_waits_for_them(
    ada: Person, linus: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    writer = add_role(snowflake, "Writer", risk=2)
    reader = add_role(snowflake, "Reader", risk=1, stages=("owner", "security"))
    request = stories.submit(ada, writer)

    signed_in(linus).post(f"/requests/R-{request.number}/smaller/", {"role": reader.slug, "reason": "That will do."})

    instead = AccessRequest.objects.get(instead_of=request)
    assert (instead.state, instead.stage) == (RequestState.PENDING, 1)


def test_several_are_decided_each_on_its_own(
    ada: Person, linus: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    waiting = [stories.submit(ada, add_role(snowflake, f"Role {number}")) for number in range(3)]
    stories.decline(waiting[1], linus)

    page = signed_in(linus).post(
        "/approvals/several/", {"number": [str(one.number) for one in waiting], "verdict": "approve"}
    )

    said = page.content.decode()
    assert said.count("Approved: ") == 2
    assert "Linus Berg declined this" in said
    assert [one.state for one in AccessRequest.objects.order_by("pk")] == ["approved", "denied", "approved"]


def test_teleport_27940_several_at_once_need_the_fresh_sign_in_too(
    ada: Person, linus: Person, snowflake: Application
) -> None:
    waiting = [
        stories.submit(ada, add_role(snowflake, "Administrator", risk=4)),
        stories.submit(ada, add_role(snowflake, "Reader", risk=1)),
    ]
    client = Client()
    client.force_login(linus)  # and no password was given lately

    page = client.post("/approvals/several/", {"number": [one.number for one in waiting], "verdict": "approve"})

    assert "This is high risk." in page.content.decode()
    assert [one.state for one in AccessRequest.objects.order_by("pk")] == ["pending", "approved"]


def test_a_high_score_asks_for_the_password_although_the_role_is_not_powerful(
    mallory: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, "Reader", data_classes=["phi"], terms={"allows_open_end": True})
    request = stories.submit(mallory, role, None)
    client = Client()
    client.force_login(linus)

    answer = client.post(f"/requests/R-{request.number}/approve/", headers=PART)

    assert answer["HX-Redirect"].startswith("/sign-in/again/")
    request.refresh_from_db()
    assert request.state == RequestState.PENDING


def test_one_goes_away_and_comes_back(linus: Person, grace: Person, sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(linus)
    begins = now() + timedelta(days=1)
    said = {
        "starts_at": f"{begins:%Y-%m-%dT%H:%M}",
        "ends_at": f"{begins + timedelta(days=7):%Y-%m-%dT%H:%M}",
        "deputy": grace.email,
        "reason": "Holiday",
    }

    assert client.post("/me/away/", said).status_code == 302
    assert "Grace Hopper decides." in client.get("/me/away/").content.decode()
    assert client.post("/me/away/", said).status_code == 422
    absence = Absence.objects.get()
    assert signed_in(sam).post(f"/me/away/{absence.pk}/end/").status_code == 404
    client.post(f"/me/away/{absence.pk}/end/")

    assert absences.absences_of(linus, at=now()) == []


def test_a_deputy_sees_and_decides_what_they_could_not_see_before(
    ada: Person, linus: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    client = signed_in(mallory)
    assert client.post(f"/requests/R-{request.number}/approve/").status_code == 404
    at = now()
    absences.plan_absence(linus, deputy=mallory, starts_at=at, ends_at=at + timedelta(days=1), actor=acting(linus))

    assert "in whose place you answer" in client.get(f"/approvals/?item=R-{request.number}").content.decode()
    client.post(f"/requests/R-{request.number}/approve/")

    assert "for Linus Berg" in client.get("/approvals/decided/").content.decode()


@pytest.mark.parametrize("path", ["ask-back", "hand-over", "smaller"])
def test_enigma_317_who_may_only_read_changes_nothing(
    path: str, ada: Person, linus: Person, audrey: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    said = {"question": "Why is that?", "to": str(sam.ref), "role": "reader", "reason": "Because."}

    answer = signed_in(audrey).post(f"/requests/R-{request.number}/{path}/", said)

    assert answer.status_code == 422
    assert not Turn.objects.exists()
    assert AccessRequest.objects.get().state == RequestState.PENDING


@pytest.mark.parametrize("number", [1, 6])
def test_the_pages_of_answers_need_few_queries_however_many_wait(
    number: int, ada: Person, linus: Person, sam: Person, grace: Person, snowflake: Application, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    two = Stage(Approvers("owner"), quorum=1, fallback=Approvers("manager"), escalates_after=timedelta(days=1))
    waiting = [stories.submit(ada, add_role(snowflake, f"Role {one}", stages=(two,))) for one in range(number)]
    turns.ask_back(waiting[0], approver=linus, question="Which load failed?", actor=acting(linus))
    client = signed_in(linus)

    for path in ("/approvals/", "/approvals/several/", "/approvals/decided/", "/me/away/"):
        with django_assert_max_num_queries(12):
            assert client.get(path).status_code == 200


def test_the_facts_of_an_answer_are_shown_as_they_were(
    ada: Person, linus: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    stories.approve(request, linus)
    Person.objects.filter(pk=ada.pk).update(department="Elsewhere")

    page = signed_in(linus).get(f"/requests/R-{request.number}/facts/").content.decode()

    assert "Linus Berg approved" in page
    assert "The role is rated 2 of 4." in page
    assert "The same" in page
    assert signed_in(mallory).get(f"/requests/R-{request.number}/facts/").status_code == 404


class TestRisk:
    """The page of weights."""

    def test_a_look_then_a_proposal_then_a_second_person(
        self, ada: Person, linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
    ) -> None:
        nora = cast.make_security_admin(cast.hire("Nora Second"))
        stories.submit(ada, analyst)
        wanted = {**{name: str(value) for name, value in STANDARD.as_json().items()}, "role_level": "60"}
        client = signed_in(sam)

        page = client.post("/risk/", {**wanted, "step": "look"}).content.decode()
        assert "1 requests of the last 90 days" in page
        assert not RiskProposal.objects.exists()
        client.post("/risk/", {**wanted, "step": "propose", "why": "Roles count for more."})
        proposal = RiskProposal.objects.get()
        client.post(f"/risk/{proposal.pk}/approve/")
        assert not RiskWeights.objects.exists()
        signed_in(nora).post(f"/risk/{proposal.pk}/approve/")

        assert RiskWeights.objects.get().weights["role_level"] == 60
        assert "Version 1" in client.get("/risk/").content.decode()

    @pytest.mark.parametrize(("name", "value"), [("privileged", "101"), ("privileged", "x"), ("high_from", "20")])
    def test_weights_out_of_order_are_refused(self, name: str, value: str, sam: Person, signed_in: SignedIn) -> None:
        wanted = {**{one: str(weight) for one, weight in STANDARD.as_json().items()}, name: value}

        assert signed_in(sam).post("/risk/", {**wanted, "step": "look"}).status_code == 422


def test_every_other_answer_comes_back_to_the_list_it_was_given_from(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    owner = signed_in(linus)

    page = owner.get("/approvals/?app=snowflake&age=&nonsense=1").content.decode()
    others = owner.get(f"/requests/R-{request.number}/other/?app=snowflake").content.decode()
    asked = owner.post(f"/requests/R-{request.number}/ask-back/?app=snowflake", {"question": "Which load failed?"})

    assert "/other/?app=snowflake" in page
    assert f'href="/approvals/?app=snowflake&amp;item=R-{request.number}"' in others
    assert f'action="/requests/R-{request.number}/ask-back/?app=snowflake"' in others
    assert (asked.status_code, asked.url) == (302, "/approvals/?app=snowflake")
