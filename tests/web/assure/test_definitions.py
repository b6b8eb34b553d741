"""The pages of definitions: made from a form, changed as a version, used for a bundle, retired."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.engagements import opening
from governance.engagements.models import EngagementBundle
from governance.evidence import definitions, queries
from governance.evidence.models import Definition, DefinitionVersion, EvidenceBundle
from governance.identity.models import Person
from governance.ledger.models import Pending
from tests import cast
from tests.cast import TESTING, acting
from tests.web.assure.test_evidence import asked
from tests.web.conftest import SignedIn


def typed(**change: Any) -> dict[str, Any]:
    """Return what the form sends: R01 with two columns and some rows, and all of R05."""
    return {
        "framework": "soc2",
        "name": "Quarterly",
        "reason": "Asked for by the auditors",
        "report": ["R01", "R05"],
        "columns-R01": ["cause", "ends_at"],
        "filter-R01-cause": "request\r\n(empty)\r\n\r\n",
        "filter-R01-privileged": "yes",
        "exceptions-R01": "yes",
        "columns-R05": [],
        **change,
    }


@pytest.fixture
def made(db: None) -> DefinitionVersion:
    chosen = {"report": "R01", "columns": ["cause"], "filters": {"cause": ["manual"]}}
    return definitions.make("Small", "soc2", reports=[chosen], actor=TESTING)


def text_of(page: HttpResponse) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def test_a_definition_is_made_from_what_was_typed(audrey: Person, signed_in: SignedIn) -> None:
    answer = signed_in(audrey).post("/evidence/definitions/new/", typed())

    version = DefinitionVersion.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == f"/evidence/definitions/{version.definition.ref}/"
    assert version.reports == [
        {
            "report": "R01",
            "columns": ["cause", "ends_at"],
            "filters": {"privileged": ["yes"], "cause": ["", "request"]},
            "exceptions_only": True,
        },
        {"report": "R05", "columns": [], "filters": {}, "exceptions_only": False},
    ]
    page = text_of(signed_in(audrey).get(answer["Location"]))
    assert "only rows where cause is empty or request" in page
    assert "Asked for by the auditors" in page
    assert "The first version." in page


def test_a_new_one_begins_with_everything_of_its_framework(audrey: Person, signed_in: SignedIn) -> None:
    page = signed_in(audrey).get("/evidence/definitions/new/?framework=hipaa").content.decode()

    assert re.search(r'name="report" value="R23" checked', page)
    assert not re.search(r'name="columns-R01" value="cause"(?! checked)', page)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "Name: Give it a name of 1 to 80 characters."),
        ({"report": []}, "Choose at least one report."),
        ({"filter-R01-cause": "x" * 201}, "R01: A value of cause has at most 200 characters"),
        ({"applications": ["nowhere"]}, "nowhere"),
    ],
    ids=["name", "reports", "value", "application"],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    audrey: Person, signed_in: SignedIn, wrong: dict[str, Any], said: str
) -> None:
    answer = signed_in(audrey).post("/evidence/definitions/new/", typed(**wrong))

    assert answer.status_code == 422
    assert said in text_of(answer)
    page = answer.content.decode()
    assert "Asked for by the auditors" in page
    if "report" not in wrong:
        assert re.search(r'name="columns-R01" value="cause" checked', page)
        assert not re.search(r'name="columns-R01" value="approvers" checked', page)
    assert not Definition.objects.exists()


def test_a_name_that_is_taken_is_said(made: DefinitionVersion, audrey: Person, signed_in: SignedIn) -> None:
    answer = signed_in(audrey).post("/evidence/definitions/new/", typed(name="small"))

    assert answer.status_code == 422
    assert "There is a definition small already" in text_of(answer)


def test_a_change_is_the_next_version(made: DefinitionVersion, audrey: Person, signed_in: SignedIn) -> None:
    client, path = signed_in(audrey), f"/evidence/definitions/{made.definition.ref}/"
    form = client.get(f"{path}change/").content.decode()
    assert re.search(r'name="report" value="R01" checked', form)
    assert not re.search(r'name="report" value="R05" checked', form)
    assert ">manual</textarea>" in form

    assert client.post(f"{path}change/", typed(after="1")).status_code == 302
    late = client.post(f"{path}change/", typed(after="1", name="Mine"))

    assert late.status_code == 422
    assert "Version 2 was made meanwhile" in text_of(late)
    page = text_of(client.get(path))
    assert "R05 Leavers added." in page
    assert "R01 Access population: other columns and rows." in page
    assert "This is an earlier version" in text_of(client.get(f"{path}?version=1"))


def test_a_bundle_is_asked_by_it_after_a_look(
    made: DefinitionVersion,
    ada: Person,
    audrey: Person,
    analyst: Entitlement,
    seal: Callable[[], int],
    signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    seal()
    client, ref = signed_in(audrey), str(made.definition.ref)
    # The framework of the definition counts, whatever the other field says.
    wanted = asked(definition=ref, framework="hipaa")

    with django_assert_max_num_queries(17):
        page = client.get("/evidence/", wanted)
    answer = client.post("/evidence/build/", wanted)

    assert "0 of 0 rows, by choice" in text_of(page)
    assert "As Small, version 1 chooses of SOC 2. Left out" in text_of(page)
    assert "Small (SOC 2)" in text_of(page)
    assert "Left out by the definition" in text_of(page)
    bundle = EvidenceBundle.objects.get()
    assert answer["Location"] == f"/evidence/{bundle.ref}/"
    assert (bundle.framework, bundle.definition) == ("soc2", made)
    report = client.get("/evidence/reports/r01/", wanted)
    assert "only rows where cause is manual" in text_of(report)
    assert "approvers" not in report.content.decode().partition('<h2 id="means-h"')[0]


@pytest.mark.parametrize("ref", ["nonsense", "3f8b6a4e-1111-4222-8333-444455556666"])
def test_a_definition_that_is_not_there_is_named(audrey: Person, signed_in: SignedIn, ref: str) -> None:
    answer = signed_in(audrey).post("/evidence/build/", asked(definition=ref))

    assert answer.status_code == 422
    assert "Definition:" in text_of(answer)
    assert not EvidenceBundle.objects.exists()


def test_what_is_retired_is_offered_no_more(made: DefinitionVersion, audrey: Person, signed_in: SignedIn) -> None:
    client, ref = signed_in(audrey), made.definition.ref

    assert client.post(f"/evidence/definitions/{ref}/retire/").status_code == 302

    assert 'name="definition"' not in client.get("/evidence/").content.decode()
    assert queries.definitions() == []
    refused = client.post("/evidence/build/", asked(definition=str(ref)))
    assert "retired" in text_of(refused)
    assert "/change/" not in client.get(f"/evidence/definitions/{ref}/").content.decode()


def test_a_guest_does_not_choose_what_a_bundle_of_their_audit_holds(
    made: DefinitionVersion, sam: Person, signed_in: SignedIn, seal: Callable[[], int]
) -> None:
    seal()
    gil = cast.be_guest("Gil Outside")
    day = now().date()
    audit = opening.open_engagement(
        "Audit", "soc2", first=day, last=day, zone="UTC", ends_on=day + timedelta(days=9), actor=acting(sam)
    )
    cast.let_in(audit, gil)
    choice = {"definition": str(made.definition.ref)}

    refused = signed_in(gil).post(f"/engagements/{audit.ref}/build/", choice)
    given = signed_in(sam).post(f"/engagements/{audit.ref}/build/", choice)

    assert refused.status_code == 403
    assert Pending.objects.filter(body__event="engagement.refused").count() == 1
    assert given.status_code == 302
    assert EngagementBundle.objects.get().bundle.definition == made
    assert 'name="definition"' not in signed_in(gil).get(f"/engagements/{audit.ref}/").content.decode()
    assert 'name="definition"' in signed_in(sam).get(f"/engagements/{audit.ref}/").content.decode()
    assert signed_in(gil).get("/evidence/definitions/").status_code == 403
