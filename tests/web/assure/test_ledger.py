"""The audit log: filters, entries with their proofs, who may read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Disclosure, Entry
from governance.ledger.notes import Signer
from governance.web.govern.lines import SENTENCES
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

Seal = Callable[[], int]
HTMX = {"HX-Request": "true"}


def entry_of(event: str) -> Entry:
    return Entry.objects.filter(event=event).latest("index")


@pytest.mark.parametrize("who", ["ada", "linus"])
def test_the_ledger_is_for_administrators_and_auditors(
    who: str, request: pytest.FixtureRequest, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    seal()
    client = signed_in(request.getfixturevalue(who))

    for path in ("/ledger/", "/ledger/0/", "/ledger/0/proof/"):
        assert client.get(path).status_code == 403


def test_an_entry_is_a_sentence_with_names(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    seal()

    page = signed_in(audrey).get("/ledger/").content.decode()

    assert f"R-{request.number}: Ada Lovelace wants Analyst in Snowflake" in page
    assert "request.submitted" in page


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("event=request", True),
        ("event=request.submitted", True),
        ("event=grant", False),
        ("about=Ada Lovelace", True),
        ("about=ada@halden.example", True),
        ("about=Mallory Grey", False),
        ("about=Snowflake", True),
        ("by=Ada Lovelace", True),
        ("by=Mallory Grey", False),
        ("since={today}", True),
        ("until={yesterday}", False),
    ],
)
def test_the_log_is_narrowed(
    query: str, there: bool, ada: Person, mallory: Person, audrey: Person, analyst: Entitlement, seal: Seal,
    signed_in: SignedIn,
) -> None:  # fmt: skip
    stories.submit(ada, analyst)
    seal()
    days = {"today": now().date(), "yesterday": (now() - timedelta(days=1)).date()}

    page = signed_in(audrey).get(f"/ledger/?{query.format(**days)}", headers=HTMX).content.decode()

    assert ("wants Analyst" in page) is there


@pytest.mark.parametrize("query", ["about=Nobody Known", "since=soon", "event=DROP TABLE", "chain=xyz"])
def test_a_filter_that_cannot_be_read_is_said(query: str, audrey: Person, seal: Seal, signed_in: SignedIn) -> None:
    seal()

    page = signed_in(audrey).get(f"/ledger/?{query}").content.decode()

    assert 'role="alert"' in page


def test_an_entry_shows_its_body_its_private_text_and_its_proof(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signer: Signer, signed_in: SignedIn
) -> None:
    stories.submit(ada, analyst)
    seal()
    entry = entry_of("request.submitted")
    client = signed_in(audrey)

    page = client.get(f"/ledger/{entry.index}/").content.decode()

    assert "The nightly load failed" in page
    assert "The nightly load failed" not in entry.body
    assert "Sealed and signed" in page
    assert f"as leaf {entry.index} of {Entry.objects.count()}" in page
    assert signer.verifier_key.replace("+", "&#x2B;") in page or signer.verifier_key in page
    proof = client.get(f"/ledger/{entry.index}/proof/").content.decode()
    assert proof.startswith(f"c2sp.org/tlog-proof@v1\nindex {entry.index}\n")


def test_an_erased_text_is_told_from_an_empty_one(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    stories.submit(ada, analyst)
    seal()
    digest = json.loads(entry_of("request.submitted").body)["private"]["reason"]
    Disclosure.objects.filter(digest=digest).delete()

    page = signed_in(audrey).get(f"/ledger/{entry_of('request.submitted').index}/").content.decode()

    assert "Erased. The commitment stays, the text is gone." in page


def test_what_belongs_together_is_found_together(
    ada: Person, linus: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    stories.approve(stories.submit(ada, analyst), linus)
    seal()
    chain = entry_of("request.approved").correlation_id

    page = signed_in(audrey).get(f"/ledger/?chain={chain}", headers=HTMX).content.decode()

    assert "grant.started" in page
    assert "request.submitted" not in page


def test_what_is_not_sealed_yet_is_not_shown_and_that_is_said(
    ada: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    page = signed_in(audrey).get("/ledger/").content.decode()

    assert "Nothing is sealed yet" in page


@pytest.mark.parametrize("index", [999_999, 10**17])
def test_an_entry_that_is_not_there_is_not_found(index: int, audrey: Person, seal: Seal, signed_in: SignedIn) -> None:
    seal()

    assert signed_in(audrey).get(f"/ledger/{index}/").status_code == 404


def test_the_log_is_paged_by_key(audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn) -> None:
    for _ in range(60):
        stories.give(audrey, analyst)
    seal()
    client = signed_in(audrey)

    first = client.get("/ledger/", headers=HTMX).content.decode()
    edge = Entry.objects.order_by("-index")[49].index
    second = client.get(f"/ledger/?before={edge}", headers=HTMX).content.decode()

    assert f"before={edge}" in first
    assert f"/ledger/{edge}/" in first
    assert f"/ledger/{edge}/" not in second
    assert f"/ledger/{edge - 1}/" in second


@pytest.mark.parametrize("path", ["/ledger/", "/ledger/?about=Ada Lovelace&event=request", "/ledger/{index}/"])
def test_the_ledger_stays_within_twelve_statements(
    path: str, ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for _ in range(20):
        stories.give(ada, analyst)
    seal()
    client = signed_in(audrey)

    with django_assert_max_num_queries(12):
        assert client.get(path.format(index=entry_of("grant.started").index)).status_code == 200


def test_every_event_that_rooms_record_has_a_sentence() -> None:
    for event, (icon, sentence) in SENTENCES.items():
        assert icon, event
        assert sentence[0].isupper() or sentence.startswith("{"), event


def test_hostile_words_stay_text_in_the_ledger(
    audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    person = cast.hire(stories.HOSTILE)
    stories.submit(person, analyst, reason=stories.HOSTILE)
    seal()
    client = signed_in(audrey)

    for path in ("/ledger/", f"/ledger/{entry_of('request.submitted').index}/", "/ledger/?about=%3Cimg%20src%3E"):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path


def test_an_entry_about_a_grant_opens_how_it_came_about(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    seal()
    index = Entry.objects.filter(event="grant.started").get().index

    page = signed_in(audrey).get(f"/ledger/{index}/").content.decode()

    assert f'href="/grants/{grant.pk}/"' in page
