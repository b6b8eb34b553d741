"""The page of findings: auditors read, a security administrator takes, explains and closes."""

from __future__ import annotations

import pytest

from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Comparison, Finding
from tests.web.conftest import SignedIn

pytestmark = pytest.mark.django_db


@pytest.fixture
def edited() -> Finding:
    at = now()
    return Finding.objects.create(
        kind="out_of_band",
        cause="out_of_band:1",
        table="access_grant",
        row="17",
        rows=3,
        operation="updated",
        database_role="dba",
        application="psql",
        entry_index=12,
        first_seen_at=at,
        last_seen_at=at,
    )


def test_what_has_no_explanation_is_listed_with_who_and_where(
    audrey: Person, edited: Finding, signed_in: SignedIn
) -> None:
    client = signed_in(audrey)

    listed = client.get("/ledger/findings/").content.decode()
    shown = client.get(f"/ledger/findings/{edited.pk}/").content.decode()

    for words in ("Changed without an action", "access_grant", "17 and 2 more", "dba", "Nobody yet"):
        assert words in listed
    assert "not been compared" in listed
    assert "psql" in shown
    assert 'href="/ledger/12/"' in shown
    assert "<textarea" not in shown


def test_an_administrator_takes_explains_and_closes(sam: Person, edited: Finding, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    page = f"/ledger/findings/{edited.pk}/"

    client.post(f"{page}take/")
    assert sam.display_name in client.get("/ledger/findings/").content.decode()
    assert client.post(f"{page}close/", {"explanation": ""}).status_code == 422
    client.post(f"{page}explain/", {"explanation": "The restore of Tuesday.", "fixed_by": "OPS-12"})
    assert "The restore of Tuesday." in client.get(page).content.decode()
    client.post(f"{page}close/", {"explanation": "The restore of Tuesday.", "fixed_by": "OPS-12"})

    edited.refresh_from_db()
    assert (edited.owner_ref, edited.closed_by_ref) == (str(sam.ref), str(sam.ref))
    assert "Nothing without an explanation" in client.get("/ledger/findings/").content.decode()
    assert "access_grant" in client.get("/ledger/findings/?state=closed").content.decode()
    assert "OPS-12" in client.get(page).content.decode()
    assert client.post(f"{page}take/").status_code == 409


def test_the_page_says_when_was_looked(sam: Person, signed_in: SignedIn) -> None:
    at = now()
    said = {"started_at": at, "finished_at": at, "size": 9, "tables": 59, "rows": 1234, "schema_sha256": "x"}
    Comparison.objects.create(**said, differences=0, left_out=0)
    client = signed_in(sam)
    assert "1,234 rows of 59 tables" in client.get("/ledger/findings/").content.decode()

    Comparison.objects.create(**said, differences=2, left_out=1)
    assert "2 differ" in client.get("/ledger/findings/").content.decode()


def test_a_finding_that_is_none_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/ledger/findings/1/").status_code == 404
