"""What record promises: in the transaction or not at all, nothing personal in the entry, a clear no for the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connection, transaction

from governance.core.actor import Actor
from governance.ledger import queries, standalone
from governance.ledger.canonical import NotCanonical
from governance.ledger.models import Disclosure, Entry, Pending
from governance.ledger.notes import Signer
from governance.ledger.recording import (
    MAX_BODY_BYTES,
    Record,
    Subject,
    record,
    record_many,
    record_selected,
    subjects_sql,
)
from governance.ledger.sequencer import seal_everything
from tests.ledger.conftest import ADA, GRACE

pytestmark = pytest.mark.django_db


@time_machine.travel(datetime(2026, 3, 3, 9, 0, tzinfo=UTC), tick=False)
def test_an_entry_says_who_did_what_to_whom_and_when(grace: Actor) -> None:
    record(
        "grant.started",
        actor=grace,
        subjects=[Subject("person", ADA)],
        data={"ends_at": datetime(2026, 3, 4, tzinfo=UTC)},
    )

    assert Pending.objects.get().body == {
        "v": 2,
        "event": "grant.started",
        "at": "2026-03-03T09:00:00.000000Z",
        "actor": {"kind": "person", "ref": GRACE, "door": "web"},
        "correlation": grace.correlation_id,
        "subjects": [{"kind": "person", "ref": ADA}],
        "data": {"ends_at": "2026-03-04T00:00:00.000000Z"},
        "private": {},
    }


@time_machine.travel(datetime(2026, 3, 3, 9, 0, tzinfo=UTC), tick=False)
def test_what_the_database_selects_is_recorded_like_what_is_handed_over(grace: Actor) -> None:
    subjects = [[Subject("grant", str(number)), Subject("person", ADA)] for number in (3, 1, 2)]
    record_many([Record("grant.ended", grace, named, {"cause": "left", "removal": None}) for named in subjects])

    named = subjects_sql(("grant", "key"), ("person", "%(person)s::uuid"))
    selection = f"""
        SELECT {named} AS subjects, '{{"cause": "left", "removal": null}}' AS data
        FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY AS said (key, place) ORDER BY place
    """
    record_selected("grant.ended", selection, {"keys": [3, 1, 2], "person": ADA}, actor=grace)

    bodies = [pending.body for pending in Pending.objects.order_by("id")]
    assert len(bodies) == 6
    assert bodies[3:] == bodies[:3]


def test_a_selection_is_recorded_under_an_event_only(grace: Actor) -> None:
    with pytest.raises(NotCanonical):
        record_selected("Grant ended", "SELECT '[]' AS subjects, '{}' AS data", {}, actor=grace)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_recorded_outside_of_a_transaction(grace: Actor) -> None:
    with pytest.raises(transaction.TransactionManagementError, match="inside the transaction"):
        record("grant.started", actor=grace, subjects=[])

    assert not Pending.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_rollback_leaves_nothing(grace: Actor) -> None:
    with transaction.atomic():
        record("request.submitted", actor=grace, subjects=[], private={"purpose": (ADA, "Close the books")})
        transaction.set_rollback(True)

    assert not Pending.objects.exists()
    assert not Disclosure.objects.exists()


def test_the_private_text_is_nowhere_in_the_ledger_and_the_commitment_holds(grace: Actor, signer: Signer) -> None:
    purpose = "Ada Lovelace <ada@example.com> closes the „books“ \n today"

    record("request.submitted", actor=grace, subjects=[Subject("person", ADA)], private={"purpose": (ADA, purpose)})
    seal_everything(signer=signer)

    kept = Disclosure.objects.get()
    (index,) = Entry.objects.filter(event="request.submitted").values_list("index", flat=True)
    assert queries.entry(index).entry.private == {"purpose": kept.digest}
    assert standalone.commitment(kept.salt, kept.field, kept.value) == kept.digest
    assert len(kept.salt) == 22
    assert queries.disclosed([index]) == {index: {"purpose": purpose}}
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(entry::text, '') FROM ledger_entry AS entry")
        assert "lovelace" not in cursor.fetchone()[0].lower()


def test_erasure_leaves_the_entry_and_takes_the_text(grace: Actor, signer: Signer) -> None:
    record("request.submitted", actor=grace, subjects=[], private={"purpose": (ADA, "secret"), "note": (GRACE, "kept")})
    seal_everything(signer=signer)

    Disclosure.objects.filter(subject_ref=ADA).delete()

    assert queries.disclosed([1]) == {1: {"purpose": None, "note": "kept"}}


def test_two_commitments_to_the_same_text_do_not_look_alike(grace: Actor) -> None:
    record_many(Record("thing.noted", grace, [], private={"name": (ADA, "Ada")}) for _ in range(2))

    assert len({body["private"]["name"] for body in Pending.objects.values_list("body", flat=True)}) == 2


def test_many_entries_are_one_statement_in_their_order(
    grace: Actor, django_assert_num_queries: Callable[..., object]
) -> None:
    rows = [Record("thing.noted", grace, [Subject("thing", str(n))], {"n": n}) for n in range(500)]

    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        record_many(rows)

    assert [body["data"]["n"] for body in Pending.objects.order_by("id").values_list("body", flat=True)] == list(
        range(500)
    )


def test_no_entries_are_no_statement(django_assert_num_queries: Callable[..., object]) -> None:
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        record_many([])


@pytest.mark.parametrize(
    ("event", "subjects", "data", "private", "said"),
    [
        pytest.param("granted", [], {}, {}, "is not an event", id="event without noun"),
        pytest.param("Grant.Started", [], {}, {}, "is not an event", id="capitals"),
        pytest.param("grant.started", [Subject("a person", ADA)], {}, {}, "not a kind", id="kind of two words"),
        pytest.param("grant.started", [Subject("person", "")], {}, {}, "reference of a person", id="no reference"),
        pytest.param("grant.started", [Subject("person", 7)], {}, {}, "reference of a person", id="number"),
        pytest.param("grant.started", [Subject("person", "a\x00")], {}, {}, "NUL", id="NUL in reference"),
        pytest.param("grant.started", [], {"risk": 0.5}, {}, r"grant\.started\.data\.risk is a float", id="float"),
        pytest.param("grant.started", [], {"raw": b""}, {}, "is a bytes", id="bytes"),
        pytest.param("grant.started", [], {"text": "x" * MAX_BODY_BYTES}, {}, "an entry holds 60000", id="too large"),
        pytest.param("grant.started", [], {}, {"name": (ADA, None)}, "only text is committed", id="private none"),
        pytest.param("grant.started", [], {}, {"name": (ADA, "a\x00b")}, "NUL", id="private NUL"),
    ],
)
def test_what_an_entry_cannot_hold_is_refused_by_name(
    grace: Actor,
    event: str,
    subjects: list[Subject],
    data: dict[str, object],
    private: dict[str, tuple[str, str]],
    said: str,
) -> None:
    with pytest.raises(NotCanonical, match=said):
        record(event, actor=grace, subjects=subjects, data=data, private=private)

    assert not Pending.objects.exists()
    assert not Disclosure.objects.exists()


def test_the_largest_entry_fits(grace: Actor, signer: Signer) -> None:
    record("thing.noted", actor=grace, subjects=[], data={"text": "x" * (MAX_BODY_BYTES - 300)})

    assert seal_everything(signer=signer) == 2


def test_any_text_goes_through_the_outbox_unchanged(grace: Actor, signer: Signer) -> None:
    text = "".join(chr(code) for code in range(1, 0x500)) + "\u2028\uffff\U0001f511 100% %s {0} \\u0041 \x7f"

    record(
        "thing.noted", actor=grace, subjects=[], data={"text": text, "n": -(2**53 - 1), "none": None, "deep": [[{}]]}
    )
    seal_everything(signer=signer)

    body = Entry.objects.get(index=1).body
    assert standalone.read_canonical(body)["data"] == {"text": text, "n": -(2**53 - 1), "none": None, "deep": [[{}]]}
    assert re.match(r'\{"actor":\{"door"', body)
    assert json.loads(body)["subjects"] == []
