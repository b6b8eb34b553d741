"""Pruning: texts that were kept long enough go by index range, and everything that is checked still holds."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from hashlib import sha256

import pytest
import time_machine
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from governance.catalog.models import Entitlement
from governance.config.database_roles import make_roles_sql
from governance.core.clock import now
from governance.evidence import queries as evidence
from governance.identity.models import Person, RoleAssignment
from governance.ledger import disposals, queries, replay, watching
from governance.ledger.governing import Governed, governed_table
from governance.ledger.models import Disclosure, Entry, EntrySubject, Node, Pending
from governance.ledger.notes import Signer
from governance.ledger.recording import Record, Subject, record_many
from governance.ledger.rights import OWNER, RUNTIME, SEQUENCER, grant_rights
from governance.ledger.sequencer import seal_everything
from governance.ledger.taking_in import take_in_everything
from governance.ledger.verification import Damaged, Request, verify
from governance.privacy import legal_holds, pruning, retaining
from governance.streams import sending
from governance.streams.models import Destination
from tests import cast
from tests.cast import acting
from tests.ledger.attacks import Tamper
from tests.ledger.test_rights import _run as run
from tests.ledger.test_rights import refused, signed_in
from tests.privacy.old_ledger import CLOCK, LATER, LONG_AGO, old_ledger, pruned, say, size_at

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate("example.com/ledger")


@pytest.fixture
def tamper() -> Tamper:
    """Run SQL as somebody who owns the database and has switched the ledger's triggers off."""

    def run(*statements: str) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table in ("entry", "entrysubject", "node", "checkpoint"):
                cursor.execute(f"ALTER TABLE ledger_{table} DISABLE TRIGGER USER")
            for statement in statements:
                cursor.execute(statement)
            for table in ("entry", "entrysubject", "node", "checkpoint"):
                for what in ("rows", "table"):
                    cursor.execute(
                        f"ALTER TABLE ledger_{table} ENABLE ALWAYS TRIGGER ledger_{table}_insert_only_{what}"
                    )

    return run


@pytest.fixture
def compared() -> None:
    """Have the rows taken in, so that they can be compared with the ledger: `old` looks whether this is asked for."""


@pytest.fixture
def old(db: None, signer: Signer, request: pytest.FixtureRequest) -> Person:
    """A ledger whose beginning is old: ada came and got a role; what was noted of her, of others, and much later."""
    return old_ledger(signer, with_rows="compared" in request.fixturenames)


def seal(signer: Signer) -> None:
    seal_everything(signer=signer)


def told() -> list[tuple[str, str]]:
    return [(one.table, one.what) for table in replay.compare_everything() for one in table.differences]


def test_old_texts_go_and_everything_still_holds(compared: None, old: Person, signer: Signer) -> None:
    before, head = Entry.objects.count(), queries.latest_checkpoint()
    assert Disclosure.objects.exists()
    assert head is not None

    (went,) = pruned()

    assert went.minimum == size_at(LATER)
    assert went.entries == before - Entry.objects.count() == Node.objects.filter(level=0).count() >= 15
    assert not Entry.objects.filter(event="thing.noted", index__lt=went.minimum).exists()
    assert not EntrySubject.objects.filter(entry__isnull=True).exists()
    assert not Disclosure.objects.exists()
    assert queries.consistency_proof(3, head.size)
    waits = verify(Request(is_strict=True))
    seal(signer)
    assert verify(Request(is_strict=True)).size == waits.size + 1
    assert told() == []
    said = queries.entries(event="ledger.pruned").entries[0]
    assert (said.actor_ref, said.data["entries"]) == ("retention", went.entries)
    assert pruned() == []


def test_what_is_in_force_stays(compared: None, old: Person, signer: Signer) -> None:
    pruned()

    stayed = set(Entry.objects.filter(index__lt=size_at(LATER)).values_list("event", flat=True))
    assert {"log.started", "rows.inserted"} <= stayed
    assert "thing.noted" not in stayed
    assert told() == []


def test_what_stayed_goes_once_nothing_needs_it(compared: None, old: Person, signer: Signer) -> None:
    pruned()
    kept = Entry.objects.filter(event="rows.inserted", subjects__ref="identity_roleassignment").get().index
    RoleAssignment.objects.all().delete()
    seal(signer)

    again = pruned()

    assert [one.ranges for one in again if one.minimum == size_at(LATER)] == [((kept, kept + 1),)]
    assert told() == []
    seal(signer)
    assert verify(Request(is_strict=True)).size
    assert told() == []


@pytest.mark.parametrize("how", ["everything", "ada"])
def test_a_hold_ends_the_prefix_before_what_it_is_about(old: Person, sam: Person, signer: Signer, how: str) -> None:
    legal_holds.place("Case", "A claim.", people=[old] if how == "ada" else [], actor=acting(sam))
    first = Entry.objects.filter(subjects__ref=str(old.ref)).order_by("index").first()
    assert first is not None

    went = pruned()

    assert disposals.minimum_index() <= first.index
    assert not went or went[-1].minimum <= first.index
    assert Entry.objects.filter(event="thing.noted", at__lte=LATER).count() == 15


def test_what_is_younger_than_the_rule_stays_whoever_asks(old: Person, sam: Person) -> None:
    retaining.set_retention(13, "The contract says so.", actor=acting(sam))
    size_then = size_at(LONG_AGO)

    with connection.cursor() as cursor:
        cursor.execute("SELECT gatehouse_prune(0, 1000000, '{}')")

    assert disposals.minimum_index() == size_then
    with pytest.raises(DatabaseError, match="pruning continues at entry"), transaction.atomic():
        connection.cursor().execute("SELECT gatehouse_prune(%s, 1000000, '{}')", [size_then + 3])


def test_in_steps_it_comes_to_the_same(compared: None, old: Person, signer: Signer) -> None:
    steps = list(pruning.prune(actor=CLOCK, at_once=3))
    assert len(steps) > 3
    assert not Entry.objects.filter(event="thing.noted", at__lte=LATER).exists()
    verify(Request())
    seal(signer)
    verify(Request(is_strict=True))
    assert told() == []


def test_a_dry_run_says_what_would_go_and_changes_nothing(old: Person, capsys: pytest.CaptureFixture[str]) -> None:
    before = Entry.objects.count()

    call_command("prune_ledger", "--dry-run")

    assert "texts would be disposed of" in capsys.readouterr().out
    assert (Entry.objects.count(), disposals.minimum_index()) == (before, 0)
    call_command("prune_ledger")
    assert "were disposed of" in capsys.readouterr().out
    assert Entry.objects.count() < before


def test_nobody_records_a_disposal(old: Person, signer: Signer) -> None:
    forged = {"minimum": 9, "ranges": [[5, 9]], "entries": 4, "sha256": "0" * 64, "years": 7, "sealed_until": "2010"}
    with transaction.atomic():
        record_many([Record("ledger.pruned", CLOCK, [Subject("retention", "ledger")], forged)])
    seal(signer)

    assert disposals.statements() == []
    assert queries.entries(event="log.forgery_refused").entries[0].data["event"] == "ledger.pruned"


def test_a_stream_that_lacks_them_goes_on_behind_them_on_record(old: Person) -> None:
    row = Destination.objects.create(
        name="SIEM", kind="webhook", address="https://siem.example.com/", next_at=now(), created_at=now(), next_index=2
    )
    pruned()

    sending.send(row.pk)

    row.refresh_from_db()
    assert row.next_index == size_at(LATER)
    assert Pending.objects.get(body__event="stream.skipped").body["data"] == {
        "kind": "webhook", "first": 2, "minimum": size_at(LATER),
    }  # fmt: skip


def test_a_window_that_begins_before_is_a_gap_in_the_coverage(old: Person) -> None:
    pruned()

    def codes(first: str) -> list[str]:
        return [gap.code for gap in evidence.gaps_of(evidence.question_of("soc2", first=first, last="2018-12-31"))]

    assert "disposed" in codes("2016-02-01")
    assert "disposed" not in codes("2016-04-01")


# Attacks on a pruned log, made as whoever owns the database. Each names the entry.


def test_a_text_taken_away_without_a_word_is_named(old: Person, tamper: Tamper) -> None:
    index = Entry.objects.filter(event="thing.noted").order_by("index")[3].index

    tamper(*gone(index))

    assert_damaged(index, "nothing says that it was disposed of")


def test_a_text_taken_away_beyond_the_range_is_named(old: Person, signer: Signer, tamper: Tamper) -> None:
    pruned()
    seal(signer)
    index = Entry.objects.filter(event="thing.noted").order_by("index")[0].index

    tamper(*gone(index))

    assert_damaged(index, "nothing says that it was disposed of")


def test_a_text_put_back_is_named(old: Person, signer: Signer, tamper: Tamper) -> None:
    body = Entry.objects.filter(event="thing.noted").order_by("index")[0]
    pruned()
    seal(signer)

    tamper(f"DELETE FROM ledger_node WHERE level = 0 AND index = {body.index}")
    body.save(force_insert=True)

    assert_damaged(body.index, "its text is there")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sha256": "0" * 64}, "another digest"),
        ({"entries": 1}, "counts its entries wrongly"),
        ({"years": 1}, "had to be kept"),
        ({"sealed_until": "2026-11-01T00:00:00.000000Z"}, "had to be kept"),
        ({"sealed_until": "2005-11-01T00:00:00.000000Z"}, "sealed after the day"),
        ({"minimum": 10**6}, "disposes of what came after it"),
        ({"ranges": "all"}, "does not say what was disposed of"),
    ],
    ids=lambda given: given if isinstance(given, str) else next(iter(given)),
)
def test_a_forged_disposal_is_named(
    old: Person, signer: Signer, tamper: Tamper, change: dict[str, object], problem: str
) -> None:
    """Whoever has the database can put into the outbox what only the function says; it is held against the tree."""
    index = Entry.objects.filter(event="thing.noted").order_by("index")[3].index
    leaf = bytes(Entry.objects.get(index=index).leaf_hash)
    data = {
        "minimum": index + 1,
        "ranges": [[index, index + 1]],
        "entries": 1 if "entries" not in change else 2,
        "sha256": sha256(leaf).hexdigest(),
        "years": 7,
        "sealed_until": "2016-04-01T00:00:00.000000Z",
        **({} if "entries" in change else change),
    }
    said = {"data": data, "correlation": "", "actor": {"kind": "system", "ref": "x", "door": "clock"}}
    tamper(*gone(index))
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO ledger_captured ("table", operation, database_role, application, rows)'
            " VALUES ('ledger_entry', 'pruned', 'x', 'x', %s::jsonb)",
            [json.dumps(said)],
        )
    seal(signer)

    size = queries.latest_checkpoint()
    assert size is not None
    assert_damaged(size.size - 1, problem)


def test_a_disposal_of_what_is_too_young_is_named(old: Person, signer: Signer, tamper: Tamper) -> None:
    pruned()
    seal(signer)
    said = disposals.statements()[0].index

    tamper(f"UPDATE ledger_checkpoint SET at = now() WHERE size <= {size_at(LATER)}")

    assert_damaged(said, "sealed after the day it names")


def gone(index: int) -> list[str]:
    """Return the SQL that takes a text away and leaves its hash, as pruning does."""
    return [
        f"INSERT INTO ledger_node SELECT 0, index, leaf_hash FROM ledger_entry WHERE index = {index}",
        f"DELETE FROM ledger_entrysubject WHERE entry_id = {index}",
        f"DELETE FROM ledger_entry WHERE index = {index}",
    ]


def assert_damaged(index: int | None, said: str) -> None:
    with pytest.raises(Damaged, match=said) as damage:
        verify(Request())
    assert damage.value.index == index


def test_only_the_owner_of_the_tables_can_take_a_text_away(old: Person) -> None:
    """The setting alone is of no use: the role at work has to own the table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('gatehouse.pruning', 'on', true)")
        cursor.execute("CREATE ROLE gatehouse_test_stranger")
        cursor.execute("GRANT DELETE, SELECT ON ledger_entrysubject TO gatehouse_test_stranger")
        cursor.execute("SET LOCAL ROLE gatehouse_test_stranger")
        with pytest.raises(DatabaseError, match="insert-only"):
            cursor.execute("DELETE FROM ledger_entrysubject")


# Whatever happened to rows, and whatever role calls


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_compare_after_each_step_whatever_happened_to_them(signer: Signer, db: None, seed: int) -> None:
    """Several rows in one statement, changed, deleted and made again: what explains a row that is there stays."""
    chance, table = random.Random(seed), governed_table("identity_roleassignment")
    assert table is not None
    people = [cast.hire(f"Number{number} Person") for number in range(4)]
    list(take_in_everything())
    for year in range(2001, 2015):
        with time_machine.travel(datetime(year, 3, 1, tzinfo=UTC), tick=False):
            _something_happens(chance, people)
            say(2)
            seal_everything(signer=signer)
    seal_everything(signer=signer)
    watching.look_for_out_of_band()

    steps = pruning.prune(actor=CLOCK, at_once=chance.randrange(3, 9))

    before = Entry.objects.filter(event__startswith="rows.", subjects__ref=table.table).count()
    words = words_on_rows(table)
    assert [step.minimum for step in steps if replay.compare(table).different or words_on_rows(table) != words] == []
    seal_everything(signer=signer)
    RoleAssignment.objects.all().delete()
    seal_everything(signer=signer)
    assert list(pruning.prune(actor=CLOCK))
    assert replay.compare(table).different == 0
    assert Entry.objects.filter(event__startswith="rows.", subjects__ref=table.table).count() < before
    assert verify(Request()).size


def words_on_rows(table: Governed) -> set[tuple[str, str]]:
    """Return which columns of which rows that are there the ledger can be compared about."""
    there = {str(key) for key in RoleAssignment.objects.values_list("pk", flat=True)}
    bodies = Entry.objects.filter(event__startswith="rows.", subjects__ref=table.table).values_list("body", flat=True)
    rows = [row for body in bodies for row in json.loads(body)["data"]["rows"] if row["key"] in there]
    return {(row["key"], name) for row in rows for name in row.get("new", ())}


def _something_happens(chance: random.Random, people: list[Person]) -> None:
    there = list(RoleAssignment.objects.order_by("pk").values_list("pk", flat=True))
    some = chance.sample(there, chance.randint(0, len(there)))
    what = chance.choice(("made", "made", "changed", "deleted"))
    if what == "made" or not some:
        free = [(one, f"r{number}") for one in people for number in range(9)]
        taken = set(RoleAssignment.objects.values_list("person_id", "role"))
        new = [(one, role) for one, role in free if (one.pk, role) not in taken]
        RoleAssignment.objects.bulk_create(
            RoleAssignment(person=one, role=role, assigned_at=now(), assigned_by_ref="x")
            for one, role in chance.sample(new, 3)
        )
    elif what == "changed":
        RoleAssignment.objects.filter(pk__in=some).update(assigned_by_ref=f"y{chance.random()}")
    else:
        RoleAssignment.objects.filter(pk__in=some).delete()


def test_doors_may_call_it_and_can_do_nothing_else(old: Person, signer: Signer) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(make_roles_sql(can_sign_in=True))
    with signed_in(OWNER):
        grant_rights()

    with signed_in(SEQUENCER):
        assert "permission denied" in refused("SELECT gatehouse_prune(0, 1000000, '{}')")
    with signed_in(RUNTIME):
        pruning.standing()
        run("SELECT set_config('gatehouse.pruning', 'on', false)")
        assert "permission denied" in refused("DELETE FROM ledger_entrysubject")
        assert "permission denied" in refused("INSERT INTO ledger_node VALUES (0, 0, '')")
        assert pruned()
        assert "permission denied" in refused("DELETE FROM ledger_entry")
    with signed_in(SEQUENCER):
        seal_everything(signer=signer)
    assert verify(Request(is_strict=True)).size


@pytest.mark.parametrize("how", ["about its application", "about a row of the person"])
def test_a_hold_finds_what_does_not_name_its_subject(
    db: None, sam: Person, signer: Signer, analyst: Entitlement, how: str
) -> None:
    with time_machine.travel(LONG_AGO, tick=False):
        say(3)
        ada = cast.hire("Ada Lovelace")
        seal_everything(signer=signer)
        say(3)
        seal_everything(signer=signer)
        edge = size_at(LONG_AGO)
        if how == "about its application":
            with transaction.atomic():
                about = [Subject("request", "1"), Subject("application", str(analyst.application_id))]
                record_many([Record("thing.noted", CLOCK, about)])
        else:
            RoleAssignment.objects.create(person=ada, role="auditor", assigned_at=now(), assigned_by_ref="x")
        seal_everything(signer=signer)
        say(3)
        seal_everything(signer=signer)
    say(1)
    seal_everything(signer=signer)
    watching.look_for_out_of_band()
    is_application = how == "about its application"
    people, applications = ([], [analyst.application]) if is_application else ([ada], [])
    legal_holds.place("Case", "A claim.", people=people, applications=applications, actor=acting(sam))

    # All of a test is one transaction, and what was committed together with the first held entry is held as well.
    assert [held(edge - 3, edge), held(edge, 10**6), held(edge + 1, 10**6)] == [edge, edge, 10**6]


def held(since: int, until: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT gatehouse_held(%s, %s)", [since, until])
        return int(cursor.fetchone()[0])
