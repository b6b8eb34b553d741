"""The page that says why somebody has something: for whom, and that it says only what is true."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access import grants
from governance.access.models import Grant
from governance.access.sweep import sweep
from governance.catalog import rules
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_pending
from governance.provisioning.models import Operation, OperationState
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize(
    ("who", "status"),
    [("ada", 200), ("grace", 200), ("linus", 200), ("sam", 200), ("audrey", 200), ("mallory", 403), ("other", 403)],
    ids=["oneself", "manager", "owner", "administrator", "auditor", "outsider", "owner of something else"],
)
def test_why_is_shown_to_those_it_concerns(
    who: str, status: int, analyst: Entitlement, request: pytest.FixtureRequest, ada: Person, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    if who == "other":
        reader = cast.hire("Otto Wagner")
        cast.add_application("Vault", owner=reader)
    else:
        reader = request.getfixturevalue(who)

    answer = signed_in(reader).get(f"/grants/{grant.pk}/")

    assert answer.status_code == status


def test_a_grant_that_is_not_there_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/grants/4711/").status_code == 404


def test_a_request_tells_its_whole_chain(
    ada: Person, linus: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    asked = stories.approve(stories.submit(ada, analyst, ticket="INC-7"), linus)

    page = signed_in(audrey).get(f"/grants/{asked.grants.get().pk}/", headers=HTMX).content.decode()

    assert "<html" not in page
    for said in (
        f"Request R-{asked.number}",
        "The nightly load failed",
        "INC-7",
        "Approved by Linus Berg, as application owner",
        "Policy Standard, version 1",
        "Ordered",
        "Never seen in the application",
        "Then the removal is ordered by itself",
    ):
        assert said in page
    assert "read back" not in page.lower()


def test_three_states_of_an_order_are_told_apart(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    order = Operation.objects.filter(pk=grant.give_operation_id)
    said = []
    for change in (
        {},
        {"state": OperationState.DELIVERED, "delivered_at": now()},
        {"state": OperationState.VERIFIED, "verified_at": now()},
    ):
        order.update(**change) if change else None
        page = signed_in(sam).get(f"/grants/{grant.pk}/").content.decode()
        said.append([words for words in ("Sent, not read back yet", "There, read back") if words in page])

    assert said == [[], ["Sent, not read back yet"], ["There, read back"]]


def test_an_order_ticked_off_by_hand_is_never_called_read_back(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    Operation.objects.filter(pk=grant.give_operation_id).update(
        state=OperationState.DELIVERED, delivered_at=now(), confirmed_by=sam
    )

    page = signed_in(sam).get(f"/grants/{grant.pk}/").content.decode()

    assert "Ticked off by hand, not read back" in page
    assert "by the word of Sam Okoro" in page


def test_the_end_says_how_late_it_was(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        grant = stories.give(ada, analyst, ends_in=timedelta(hours=1))
        clock.shift(timedelta(hours=1))
        sweep()
        Operation.objects.filter(kind="take").update(
            state=OperationState.VERIFIED, delivered_at=now(), verified_at=now() + timedelta(minutes=5)
        )
        page = signed_in(sam).get(f"/grants/{grant.pk}/").content.decode()

    assert "Time was up" in page
    assert "Gone, read back" in page
    assert "5 min after the end" in page


def test_what_other_access_supports_was_not_taken(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    other, grant = stories.give(ada, analyst, ends_in=None), stories.give(ada, analyst)
    grants.revoke(grant, actor=cast.TESTING)

    page = signed_in(sam).get(f"/grants/{grant.pk}/").content.decode()

    assert "Nothing was taken: other access to the same role was running" in page
    assert f'href="/grants/{other.pk}/"' in page


def test_employees_see_neither_rules_nor_the_ledger(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [analyst], actor=cast.TESTING)
    bo = cast.hire("Bo Lind")
    grant = Grant.objects.get(person=bo)
    seal_pending(signer=Signer.generate("example.com/why"))

    page = signed_in(bo).get(f"/grants/{grant.pk}/").content.decode()

    assert "Rule “Engineers”, version 1" in page
    assert "Department then: “Engineering”" in page
    assert "/rules/" not in page
    assert "In the ledger" not in page


def test_auditors_get_links_to_the_ledger(
    ada: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    seal_pending(signer=Signer.generate("example.com/why"))

    page = signed_in(audrey).get(f"/grants/{grant.pk}/").content.decode()

    assert "/ledger/" in page.split("In the ledger")[1]
    assert "Analyst for Ada Lovelace begins" in page


def test_hostile_names_stay_text(sam: Person, snowflake: Application, signed_in: SignedIn) -> None:
    role = cast.add_role(snowflake, stories.HOSTILE[:100], stages=("owner",))
    eve = cast.hire("Eve", display_name=stories.HOSTILE, department=stories.HOSTILE)
    rules.save_birthright_rule(stories.HOSTILE, "department pr", [role], actor=cast.TESTING)
    bo = cast.hire("Bo Lind", manager=eve, display_name=stories.HOSTILE, department=stories.HOSTILE)
    world.holding(world.account(snowflake, stories.HOSTILE, person=bo), role)
    grant = Grant.objects.get(person=bo)

    page = signed_in(sam).get(f"/grants/{grant.pk}/").content.decode()

    assert "&lt;img src=x" in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("others", [0, 5])
def test_the_page_costs_a_fixed_number_of_statements(
    others: int, ada: Person, linus: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    asked = stories.approve(stories.submit(ada, analyst), linus)
    for _ in range(others):
        stories.give(ada, analyst)
    client = signed_in(audrey)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(f"/grants/{asked.grants.get().pk}/").status_code == 200

    assert len(queries) - 1 <= 12, [one["sql"][:90] for one in queries]


@pytest.mark.parametrize("page", ["/people/{ref}/", "/applications/snowflake/", "/matrix/{ref}/snowflake/"])
def test_every_place_that_shows_access_opens_its_why(
    page: str, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)

    shown = signed_in(sam).get(page.format(ref=ada.ref)).content.decode()

    assert f'href="/grants/{grant.pk}/"' in shown


def test_my_own_access_opens_its_why(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grants_of_ada = [stories.give(ada, analyst), stories.give(ada, analyst, ends_in=None)]

    shown = signed_in(ada).get("/me/access/").content.decode()

    assert all(f'href="/grants/{grant.pk}/"' in shown for grant in grants_of_ada)
