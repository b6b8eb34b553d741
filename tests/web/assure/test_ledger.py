"""The audit log: filters, entries with their proofs, who may read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.anchors.models import Anchor, AnchorReceipt
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger import queries
from governance.ledger.models import Disclosure, Entry, Pending
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


@pytest.mark.parametrize(
    "query", ["about=Nobody Known", "since=soon", "event=DROP TABLE", "chain=xyz", "transaction=0"]
)
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
    address = path.format(index=entry_of("grant.started").index)

    with django_assert_max_num_queries(12):
        assert client.get(address).status_code == 200


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


def test_one_transaction_is_shown_together_with_the_rows_it_changed(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)
    seal()
    started = entry_of("grant.started")
    client = signed_in(audrey)

    page = client.get(f"/ledger/{started.index}/").content.decode()
    together = client.get(f"/ledger/?transaction={started.transaction}", headers=HTMX).content.decode()

    assert "Rows were added to a table" in page
    assert "of <code>access_grant</code>" in page
    assert f"/ledger/?transaction={started.transaction}" in page
    assert "grant.started" in together
    assert "rows.inserted" in together


def test_an_entry_of_rows_shows_each_column_before_and_after(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    seal()
    rows = Entry.objects.filter(
        transaction=entry_of("grant.started").transaction, subjects__kind="table", subjects__ref="access_grant"
    ).first()
    assert rows is not None

    page = signed_in(audrey).get(f"/ledger/{rows.index}/").content.decode()

    assert f"Row {grant.pk} of <code>access_grant</code>" in page
    assert "<code>entitlement_id</code>" in page


def test_an_entry_leads_to_what_it_is_about(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)
    seal()
    client = signed_in(audrey)

    page = client.get(f"/ledger/{entry_of('request.submitted').index}/").content.decode()

    for address in (f"/requests/R-{request.number}/", f"/people/{ada.ref}/", "/applications/snowflake/"):
        assert f'href="{address}"' in page
        assert client.get(address).status_code == 200, address


def test_an_entry_names_the_anchors_that_keep_a_head_over_it(
    audrey: Person, analyst: Entitlement, seal: Seal, signed_in: SignedIn
) -> None:
    seal()
    stories.give(audrey, analyst)
    older = queries.latest_checkpoint()
    assert older is not None
    seal()
    anchor = Anchor.objects.create(kind="mail", name="Audit mailbox", every_seconds=60, created_at=now(), next_at=now())
    AnchorReceipt.objects.create(anchor=anchor, size=older.size, root=older.root, note=older.note, at=now())
    client = signed_in(audrey)

    covered = client.get(f"/ledger/{older.size - 1}/").content.decode()
    beyond = client.get(f"/ledger/{older.size}/").content.decode()

    assert f'href="/ledger/anchors/{anchor.ref}/"' in covered
    assert "Audit mailbox" in covered
    assert "No anchor keeps a head that covers this entry" in beyond


@pytest.mark.parametrize(
    ("query", "expected"),
    [("about=lovel", "ada@halden.example"), ("by=ADA@", "ada@halden.example"), ("about=snow", "Snowflake")],
)
def test_names_are_offered_while_one_types(
    query: str, expected: str, ada: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    page = signed_in(audrey).get(f"/ledger/known/?{query}").content.decode()

    assert f'<option value="{expected}">' in page


@pytest.mark.parametrize("query", ["", "about=a", "about=zzzzzz"])
def test_nothing_is_offered_for_nothing(query: str, audrey: Person, signed_in: SignedIn) -> None:
    assert "<option" not in signed_in(audrey).get(f"/ledger/known/?{query}").content.decode()


def test_who_may_not_read_the_ledger_is_offered_no_names(ada: Person, signed_in: SignedIn) -> None:
    assert signed_in(ada).get("/ledger/known/?about=lovel").status_code == 403


def last_read() -> tuple[str, dict[str, object], str]:
    body = Pending.objects.latest("id").body
    return body["event"], body["data"], body["actor"]["ref"]


def test_a_search_is_recorded_by_what_was_asked_and_not_by_words(
    ada: Person, audrey: Person, seal: Seal, signed_in: SignedIn
) -> None:
    seal()
    client = signed_in(audrey)

    client.get("/ledger/?about=Ada Lovelace&by=Some Name&event=grant&since=2026-01-01")

    asked = {"about": f"person:{ada.ref}", "by": "other words", "event": "grant", "since": "2026-01-01"}
    assert last_read() == ("log.searched", asked, str(audrey.ref))


@pytest.mark.parametrize("typed", ["note:Ada.Lovelace", "person:ada@halden.example"])
def test_what_is_typed_after_a_kind_is_kept_only_when_it_is_a_reference(
    typed: str, audrey: Person, seal: Seal, signed_in: SignedIn
) -> None:
    seal()

    signed_in(audrey).get(f"/ledger/?about={typed}")

    assert last_read()[1] == {"about": f"{typed.partition(':')[0]}:other words"}


def test_going_on_with_a_search_and_a_search_that_was_refused_record_nothing(
    audrey: Person, seal: Seal, signed_in: SignedIn
) -> None:
    seal()
    client = signed_in(audrey)

    client.get("/ledger/?before=3")
    client.get("/ledger/?since=soon")

    assert not Pending.objects.filter(body__event="log.searched").exists()


def test_opening_an_entry_and_taking_its_proof_are_recorded(audrey: Person, seal: Seal, signed_in: SignedIn) -> None:
    seal()
    client = signed_in(audrey)

    client.get("/ledger/0/")
    opened = last_read()
    client.get("/ledger/0/proof/")

    assert opened == ("log.read", {"index": 0}, str(audrey.ref))
    assert last_read() == ("log.read", {"index": 0, "as_file": True}, str(audrey.ref))


def test_what_is_not_there_or_not_allowed_is_not_recorded_as_read(
    ada: Person, audrey: Person, seal: Seal, signed_in: SignedIn
) -> None:
    seal()

    signed_in(audrey).get("/ledger/999999/")
    signed_in(ada).get("/ledger/0/")

    assert not Pending.objects.filter(body__event="log.read").exists()
