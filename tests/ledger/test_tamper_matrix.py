"""The tamper matrix: each attack against each of the ways to look, made as whoever owns the database.

Four look: the inner check (`verify_ledger`, and each evidence bundle for itself), the same with every head that was
kept elsewhere (`--checkpoint`), a witness who remembers the last head it saw, and the comparison of the live rows with
what the ledger says of them. What cannot be seen in one of these ways is asserted too, so that nobody believes it is.
docs/security.md is this table in words. Bent notes, proofs and bundles: test_notes.py, test_merkle.py,
test_canonical.py, evidence/test_attacks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import Client

from governance.core.actor import Actor
from governance.core.clock import now
from governance.evidence.verified import verified
from governance.identity.models import RoleAssignment
from governance.ledger import queries, replay
from governance.ledger.models import Disclosure, SubjectKey
from governance.ledger.notes import Signer
from governance.ledger.recording import Record, Subject, record_many
from governance.ledger.sequencer import seal_everything
from governance.ledger.standalone import Unverified, parse_verifier_key
from governance.ledger.taking_in import take_in_everything
from governance.ledger.verification import Damaged, Request, verify
from governance.ledger.witness import Memory, Rewritten, look
from tests import cast
from tests.ledger.attacks import (
    Tamper,
    add_head,
    cut,
    edited,
    hashed_again,
    moved,
    removed,
    rewrite,
    slipped_in,
    swapped,
)

pytestmark = pytest.mark.django_db
OTHER = bytes(range(32))
ROLES = "identity_roleassignment"


@dataclass
class Log:
    """A ledger with a row of a governed table in it that changes twice, and everybody who keeps an eye on it.

    Its heads: everything taken in, ten things noted (`first`), the row becomes A and nine are noted (`second`), the row
    becomes B and nine are noted (`third`).
    """

    signer: Signer
    tamper: Tamper
    memory: Memory
    role: RoleAssignment
    actor: Actor
    kept: list[str] = field(default_factory=list)
    first: int = 0
    second: int = 0
    third: int = 0
    backup: str = ""
    #: What the witness is shown as the head; None: what is served to everybody.
    shown: str | None = None

    def note(self, count: int) -> None:
        """Record things."""
        with transaction.atomic():
            record_many(
                Record("thing.noted", self.actor, [Subject("thing", "x")], {"number": one}) for one in range(count)
            )

    def become(self, role: str) -> None:
        """Change the row as an action would: the triggers see it."""
        RoleAssignment.objects.filter(pk=self.role.pk).update(role=role)

    def seal(self) -> int:
        """Seal, have everybody look, and return the size."""
        seal_everything(signer=self.signer)
        head = queries.latest_checkpoint()
        assert head is not None
        self.kept.append(head.note)
        assert self.witness() is None
        return head.size

    def history(self) -> None:
        """Tell it."""
        self.note(10)
        self.first = self.seal()
        self.become("a")
        self.note(9)
        self.second = self.seal()
        self.backup = transaction.savepoint()
        self.become("b")
        self.note(9)
        self.third = self.seal()

    def restore(self) -> None:
        """Put the whole database back to the second head, as a restored backup does."""
        transaction.savepoint_rollback(self.backup)

    # Who looks

    def inner(self, *kept: str) -> tuple[int | None, str] | None:
        try:
            verify(Request(anchors=kept))
        except Damaged as damage:
            return damage.index, str(damage)
        return None

    def bundle(self) -> str:
        """Return what a bundle that is built now says of the log, by a check of its own."""
        head = queries.latest_checkpoint()
        assert head is not None
        return verified(head.size).verdict

    def outside(self) -> tuple[int | None, str] | None:
        return self.inner(*self.kept)

    def witness(self) -> str | None:
        try:
            look(self._fetch, self.memory, parse_verifier_key(self.signer.verifier_key))
        except (Rewritten, Unverified) as problem:
            return str(problem)
        return None

    def _fetch(self, path: str) -> bytes:
        if path == "checkpoint" and self.shown is not None:
            return self.shown.encode()
        answer = Client().get(f"/ledger/log/{path}")
        if answer.status_code != 200:
            raise OSError(f"{path}: {answer.status_code}")
        return bytes(answer.content)

    def replayed(self) -> list[tuple[str, str]]:
        return [(one.table, one.what) for table in replay.compare_everything() for one in table.differences]


@pytest.fixture
def log(signer: Signer, tamper: Tamper, grace: Actor, tmp_path: Path) -> Log:
    ada = cast.hire("Ada Lovelace")
    role = RoleAssignment.objects.create(person=ada, role="auditor", assigned_at=now(), assigned_by_ref="x")
    list(take_in_everything())
    made = Log(signer, tamper, Memory(tmp_path), role, grace)
    made.history()
    return made


@dataclass(frozen=True)
class Attack:
    """What is done, and who sees it: `inner` and `outside` name an entry and say something, None sees nothing.

    The entry is a name of `Log`, with so many added: `first+3`.
    """

    name: str
    do: Callable[[Log], object]
    inner: tuple[str, str] | None
    outside: tuple[str, str] | None
    witness: str | None = None
    replay: bool = False


def sql(statements: Callable[[Log], list[str]]) -> Callable[[Log], object]:
    return lambda log: log.tamper(*statements(log))


def sign_again_with_another_key(log: Log) -> None:
    mallory, head = Signer.generate(log.signer.name), queries.latest_checkpoint()
    assert head is not None
    log.tamper("DELETE FROM ledger_checkpoint", add_head(mallory, head.size, head.root))


def go_on_differently(log: Log) -> None:
    log.restore()
    log.become("c")
    log.note(9)
    seal_everything(signer=log.signer)


def show_another_head(log: Log) -> None:
    """The auditor was shown one head of this size, the witness another; whoever signed both has the key."""
    log.shown = log.signer.checkpoint(log.third, OTHER)
    log.kept.append(log.shown)


@transaction.atomic
def change_a_row_unseen(log: Log) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {ROLES} DISABLE TRIGGER USER")
        log.become("security_admin")
        cursor.execute(f"ALTER TABLE {ROLES} ENABLE TRIGGER USER")
        for name in ("capture_inserted", "capture_updated", "capture_deleted", "refuse_truncate"):
            cursor.execute(f"ALTER TABLE {ROLES} ENABLE ALWAYS TRIGGER ledger_{name}")


def take_out_of_the_outbox(log: Log) -> None:
    log.become("security_admin")
    log.tamper(f"DELETE FROM ledger_captured WHERE \"table\" = '{ROLES}'")
    log.note(1)
    seal_everything(signer=log.signer)


def erase(log: Log) -> None:
    SubjectKey.objects.filter(subject_id=log.role.person_id).delete()
    Disclosure.objects.all().delete()


MATRIX = [
    Attack("a body edited", sql(lambda log: [edited(log.first + 3)]), ("first+3", "was edited"), ("first+3", "")),
    Attack(
        "a body edited and hashed again",
        sql(lambda log: [edited(log.first + 3), hashed_again(log.first + 3)]),
        ("first", "do not lead to the root"),
        ("first", ""),
    ),
    Attack(
        "a column edited that screens search",
        sql(lambda log: [f"UPDATE ledger_entry SET event = 'x.y' WHERE index = {log.first + 3}"]),
        ("first+3", "is shown differently"),
        ("first+3", ""),
    ),
    Attack(
        "a row in the middle removed",
        sql(lambda log: removed(log.first + 3)),
        ("first+3", "is missing"),
        ("first+3", ""),
    ),
    Attack(
        "a row removed and the others renumbered",
        sql(lambda log: [*removed(log.first + 3), *moved(log.first + 4, -1)]),
        ("first", "do not lead to the root"),
        ("first", ""),
    ),
    Attack(
        "two rows swapped",
        sql(lambda log: swapped(log.first, log.second)),
        ("first", "do not lead to the root"),
        ("first", ""),
        replay=True,
    ),
    Attack(
        "a row slipped in in the middle",
        sql(lambda log: slipped_in(log.first + 3)),
        ("first", "do not lead to the root"),
        ("first", ""),
    ),
    Attack(
        "the end cut and its heads left",
        sql(lambda log: removed(log.second, 10**9)),
        ("second", "was signed, but only"),
        ("second", ""),
        replay=True,
    ),
    Attack(
        "the end cut together with its heads",
        sql(lambda log: cut(log.second)),
        None,
        ("second", "was kept elsewhere, but only"),
        witness="the log is shorter than it was",
        replay=True,
    ),
    Attack(
        "everything signed again with another key",
        sign_again_with_another_key,
        ("nothing", "no signature of"),
        ("nothing", ""),
        witness="no signature of",
    ),
    Attack(
        "history rewritten with the stolen key",
        lambda log: rewrite(log.signer, log.tamper, log.second + 3),
        None,
        ("second", "is not the one whose checkpoint"),
        witness="two different trees",
    ),
    Attack(
        "an older backup restored, with its rows",
        Log.restore,
        None,
        ("second", "was kept elsewhere, but only"),
        witness="the log is shorter than it was",
    ),
    Attack(
        "an older backup restored and continued differently",
        go_on_differently,
        None,
        ("second", "is not the one whose checkpoint"),
        witness="two different trees",
    ),
    Attack(
        "two heads of one size shown to two people",
        show_another_head,
        None,
        ("second", "is not the one whose checkpoint"),
        witness="two different trees",
    ),
    Attack("triggers off and a live row changed", change_a_row_unseen, None, None, replay=True),
    Attack("a row taken out of the outbox before it is sealed", take_out_of_the_outbox, None, None, replay=True),
    Attack("erasure of the vault", erase, None, None),
]


def test_nobody_sees_anything_where_nothing_was_done(log: Log) -> None:
    assert (log.inner(), log.outside(), log.witness(), log.replayed()) == (None, None, None, [])


@pytest.mark.parametrize("attack", MATRIX, ids=lambda attack: attack.name)
def test_who_sees_an_attack_and_where(log: Log, attack: Attack) -> None:
    attack.do(log)

    damage = log.inner()
    assert_said(log, damage, attack.inner)
    assert log.bundle().startswith("The ledger holds" if damage is None else f"DAMAGED at entry {damage[0]}: ")
    assert_said(log, log.outside(), attack.outside)
    said = log.witness()
    assert (said is None) == (attack.witness is None), said
    assert attack.witness is None or attack.witness in str(said)
    assert log.replayed() == ([(ROLES, "changed")] if attack.replay else [])


def assert_said(log: Log, found: tuple[int | None, str] | None, wanted: tuple[str, str] | None) -> None:
    if wanted is None:
        assert found is None
        return
    assert found is not None
    name, _, more = wanted[0].partition("+")
    assert found[0] == getattr(log, name, 0) + int(more or 0), found
    assert wanted[1] in found[1]


# What is served to a witness


def test_a_tile_with_another_hash_in_it_is_found_when_the_log_grows(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.note(300)
    seal_everything(signer=log.signer)
    honest = log._fetch

    def bent(path: str) -> bytes:
        content = honest(path)
        return bytes([content[0] ^ 1]) + content[1:] if path.startswith("tile/") else content

    monkeypatch.setattr(log, "_fetch", bent)
    assert "the log was rewritten" in str(log.witness())
    monkeypatch.undo()
    assert log.witness() is None


def test_a_head_of_a_size_that_was_never_reached_is_not_believed(log: Log) -> None:
    """Signed with the key of the log: there are no tiles that lead to it."""
    log.shown = log.signer.checkpoint(10**6, OTHER)
    before = log.memory.last()

    with pytest.raises(OSError, match="404"):
        log.witness()
    assert log.memory.last() == before
    assert log.inner(log.shown) == (
        log.third,
        f"A checkpoint of size 1000000 was kept elsewhere, but only {log.third} entries are there.",
    )
