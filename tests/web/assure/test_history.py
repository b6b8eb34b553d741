"""The readable history of configuration: what changed, by whom, beside the entry that says so, and who may read it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from auditlog.registry import auditlog
from django.apps import apps
from pytest_django import DjangoAssertNumQueries

from governance.catalog import policies, rules
from governance.catalog.models import Entitlement
from governance.catalog.policy_terms import PolicyTerms
from governance.core.actor import acting_as
from governance.identity.connections import actions as connections
from governance.identity.models import Person
from governance.ledger.configuration_history import changes_of
from governance.ledger.models import Entry
from governance.notices import webhooks
from governance.streams import actions as streams
from governance.streams.actions import Wanted
from governance.web.assure.history import KINDS, compared
from tests.cast import TESTING, acting
from tests.web.conftest import Open, SignedIn
from tests.web.page_check import what_is_wrong

Seal = Callable[[], int]


def test_a_change_says_who_and_from_what_to_what_and_leads_to_its_entry(
    sam: Person, audrey: Person, seal: Seal, signed_in: SignedIn
) -> None:
    hook, _ = webhooks.add("Chat", "https://chat.example/hook", [], actor=TESTING)
    with acting_as(acting(sam)):
        webhooks.change(
            hook, name="Desk", url="https://desk.example/token", kinds=[], is_paused=False, actor=acting(sam)
        )
    seal()

    page = signed_in(audrey).get(f"/ledger/history/webhook/{hook.pk}/").content.decode()

    assert "Updated by Sam" in page
    assert ">Chat<" in page
    assert ">Desk<" in page
    assert "chat.example" not in page
    assert "desk.example" not in page
    assert "(hidden)" in page
    entry = Entry.objects.filter(event="configuration.changed", actor_ref=str(sam.ref)).get()
    assert f'href="/ledger/{entry.index}/"' in page


def test_versions_are_compared_with_the_one_before(audrey: Person, signed_in: SignedIn) -> None:
    policies.save_policy("Standard", PolicyTerms(("owner",)), slug="standard", actor=TESTING)
    policies.save_policy("Standard", PolicyTerms(("owner",), requires_ticket=True), slug="standard", actor=TESTING)

    page = signed_in(audrey).get("/ledger/history/policy/standard/").content.decode()

    newest, oldest = page.split("Version 1: Created")
    assert "Version 2: Created" in newest
    assert "Requires ticket" in newest
    assert "Stages" not in newest
    assert "Stages" in oldest


def test_a_version_after_one_that_was_loaded_in_bulk_claims_no_comparison(audrey: Person, signed_in: SignedIn) -> None:
    first = policies.save_policy("Standard", PolicyTerms(("owner",)), slug="standard", actor=TESTING)
    policies.save_policy("Standard", PolicyTerms(("owner",), requires_ticket=True), slug="standard", actor=TESTING)
    changes = changes_of("catalog.accesspolicyversion", [str(first.pk), str(first.pk + 1)])
    newest = [one for one in changes if one.object_pk != str(first.pk)]

    (fields,) = compared(newest, [one.object_pk for one in changes])

    assert len(changes) == 2
    assert {one.before for one in fields} == {"(not noted)"}
    assert [one.name for one in compared(changes, [one.object_pk for one in changes])[0] if one.after == "True"] == [
        "requires_ticket"
    ]


def test_everything_that_is_edited_by_hand_has_a_history_and_its_page_leads_there(
    sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    slug = analyst.application.slug
    policies.save_policy("Standard", PolicyTerms(("owner",)), slug="standard", actor=TESTING)
    rules.save_birthright_rule("Everybody", "active eq true", [analyst], actor=TESTING)
    hook, _ = webhooks.add("Chat", "https://chat.example/hook", [], actor=TESTING)
    stream, _ = streams.add("webhook", Wanted("Watch", "https://siem.example"), from_the_start=False, actor=TESTING)
    connection = connections.open_connection("okta", actor=TESTING)
    client = signed_in(sam)

    for page, address in {
        f"/applications/{slug}/history/": f"/ledger/history/application/{slug}/",
        "/policies/standard/": "/ledger/history/policy/standard/",
        "/rules/everybody/": "/ledger/history/rule/everybody/",
        f"/webhooks/{hook.pk}/": f"/ledger/history/webhook/{hook.pk}/",
        f"/ledger/streams/{stream.ref}/": f"/ledger/history/stream/{stream.ref}/",
        f"/connections/{connection.ref}/": f"/ledger/history/connection/{connection.ref}/",
    }.items():
        assert f'href="{address}"' in client.get(page).content.decode(), page
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "Created by" in answer.content.decode(), address


@pytest.mark.parametrize("path", ["nothing/x", "policy/none", "webhook/99", "webhook/x", "anchor/x", "risk/some"])
def test_what_is_not_there_is_not_found(path: str, audrey: Person, signed_in: SignedIn) -> None:
    assert signed_in(audrey).get(f"/ledger/history/{path}/").status_code == 404


@pytest.mark.parametrize("path", ["risk/all", "limits/all"])
def test_what_is_as_it_was_shipped_has_an_empty_history(path: str, audrey: Person, signed_in: SignedIn) -> None:
    answer = signed_in(audrey).get(f"/ledger/history/{path}/")

    assert answer.status_code == 200
    assert "No change is noted here" in answer.content.decode()


def test_an_owner_reads_no_history(linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client, slug = signed_in(linus), analyst.application.slug

    assert client.get(f"/ledger/history/application/{slug}/").status_code == 403
    assert "/ledger/history/" not in client.get(f"/applications/{slug}/history/").content.decode()


def test_every_kind_names_a_model_whose_history_is_kept() -> None:
    for kind in KINDS.values():
        assert auditlog.contains(apps.get_model(kind.model)), kind.model


def test_a_history_stays_within_twelve_statements(
    audrey: Person, seal: Seal, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        policies.save_policy(f"Standard {number}", PolicyTerms(("owner",)), slug="standard", actor=TESTING)
    seal()
    client = signed_in(audrey)

    with django_assert_max_num_queries(12):
        assert client.get("/ledger/history/policy/standard/").status_code == 200


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_history_is_accessible_and_narrow(sam: Person, reader: Open) -> None:
    policies.save_policy("Standard", PolicyTerms(("owner",)), slug="standard", actor=TESTING)
    policies.save_policy("Standard", PolicyTerms(("owner",), requires_ticket=True), slug="standard", actor=TESTING)

    assert what_is_wrong(reader(sam), ["/ledger/history/policy/standard/"]) == []
