"""Users created together by one Bulk request: all is as if each had come alone, in a fraction of the statements."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access.models import Grant
from governance.catalog import rules
from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation
from tests.cast import TESTING
from tests.scim_bridge.conftest import ENTERPRISE, USER, Provider

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def creation(number: int, name: str, manager: str = "", **more: Any) -> dict[str, Any]:
    data = {"schemas": [USER], "userName": name, "externalId": f"x-{name}", **more}
    if manager:
        data = {**data, "schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": manager}}}
    return {"method": "POST", "path": "/Users", "bulkId": f"b{number}", "data": data}


def sent(provider: Provider, *operations: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    body = {"schemas": [BULK], "Operations": list(operations), **more}
    outcomes: list[dict[str, Any]] = provider.done(provider.ask("POST", "Bulk", body), 200)["Operations"]
    return outcomes


def traces(names: list[str]) -> list[Any]:
    """Return what is kept of people, without ids and times."""
    people = Person.objects.filter(user_name__in=names).order_by("user_name")
    events = [(entry.body["event"], entry.body["data"].get("source")) for entry in Pending.objects.order_by("id")]
    return [
        [
            (each.user_name, each.document, each.document_key, each.version, each.source, each.display_name)
            for each in people
        ],
        [
            (revision.number, revision.change, revision.user_name, revision.department)
            for each in people
            for revision in each.revisions.all()
        ],
        [event for event in events if event[0] == "person.joined"],
        [each.manager and each.manager.user_name for each in people],
    ]


def test_people_who_come_together_are_what_they_would_be_one_by_one(okta: Provider) -> None:
    def some(where: str) -> list[dict[str, Any]]:
        return [
            creation(1, f"ada@{where}", manager=f"grace@{where}", title="Engineer"),
            creation(2, f"grace@{where}", emails=[{"value": "g@x.example", "primary": True}]),
            creation(3, f"linus@{where}", manager=f"x-grace@{where}"),
        ]

    together = sent(okta, *some("one.example"))
    alone = [sent(okta, each)[0] for each in some("two.example")]

    assert [each["status"] for each in (*together, *alone)] == ["201"] * 6
    one, two = (traces([f"{name}@{where}.example" for name in ("ada", "grace", "linus")]) for where in ("one", "two"))
    assert str(one).replace("one.example", "two.example") == str(two)
    assert one[3] == ["grace@one.example", None, "grace@one.example"]


def test_the_number_of_statements_does_not_grow_with_the_people(okta: Provider) -> None:
    def statements(count: int) -> int:
        operations = [creation(number, f"u{number}-of-{count}") for number in range(count)]
        with CaptureQueriesContext(connection) as asked:
            sent(okta, *operations)
        return len(asked)

    assert statements(5) == statements(60)


def test_a_name_that_is_taken_stops_only_its_own_operation(okta: Provider) -> None:
    okta.create_user("grace@halden.example")

    outcomes = sent(
        okta, *(creation(number, f"{name}@halden.example") for number, name in enumerate(("ada", "GRACE", "linus")))
    )

    assert [each["status"] for each in outcomes] == ["201", "409", "201"]
    assert outcomes[1]["response"]["scimType"] == "uniqueness"
    assert Person.objects.count() == 3


def test_a_name_that_comes_twice_is_taken_by_the_first(okta: Provider) -> None:
    outcomes = sent(okta, creation(1, "ada"), creation(2, "ADA"), creation(3, "grace"))

    assert [each["status"] for each in outcomes] == ["201", "409", "201"]


def test_after_as_many_errors_as_the_client_takes_nothing_more_is_created(okta: Provider) -> None:
    okta.create_user("ada")

    outcomes = sent(okta, creation(1, "ada"), creation(2, "grace"), creation(3, "linus"), failOnErrors=1)

    assert [each["status"] for each in outcomes] == ["409"]
    assert Person.objects.count() == 1


def test_who_comes_back_and_who_is_not_active_are_told_apart(okta: Provider) -> None:
    former = okta.create_user("grace")
    okta.ask("DELETE", f"Users/{former['id']}")

    sent(okta, creation(1, "ada"), creation(2, "grace"), creation(3, "linus", active=False))

    people = {each.user_name: each for each in Person.objects.all()}
    assert len(people) == 3
    assert people["grace"].is_listed
    assert [revision.change for revision in people["grace"].revisions.order_by("number")][:3] == [
        "joined",
        "left",
        "rejoined",
    ]
    assert not people["linus"].is_active


def test_a_manager_who_comes_together_with_others_gets_the_reports_that_waited(okta: Provider) -> None:
    okta.create_user("ada", schemas=[USER, ENTERPRISE], **{ENTERPRISE: {"manager": {"value": "x-grace"}}})

    sent(okta, creation(1, "linus"), creation(2, "grace"))

    assert Person.objects.get(user_name="ada").manager == Person.objects.get(user_name="grace")


def test_rules_give_to_everybody_who_comes(okta: Provider, analyst: Entitlement) -> None:
    rules.save_birthright_rule("Engineers", 'title eq "Engineer"', [analyst], actor=TESTING)

    sent(okta, *(creation(number, f"u{number}", title="Engineer" if number % 2 else "Cook") for number in range(6)))

    assert Grant.objects.count() == 3
    assert Operation.objects.count() == 3
    assert {grant.person.title for grant in Grant.objects.all()} == {"Engineer"}


def test_a_later_operation_finds_who_was_created_together(okta: Provider) -> None:
    group = {
        "method": "POST",
        "path": "/Groups",
        "bulkId": "g",
        "data": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "All",
            "members": [{"value": "bulkId:b1"}, {"value": "bulkId:b2"}],
        },
    }

    outcomes = sent(okta, creation(1, "ada"), creation(2, "grace"), group)

    assert [each["status"] for each in outcomes] == ["201", "201", "201"]
    assert Person.objects.filter(memberships__group__display_name="All").count() == 2
