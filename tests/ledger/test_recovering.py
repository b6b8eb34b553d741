"""After a restore, and when somebody else knows the key: nothing goes on in silence, and everybody can see why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from governance.config import health
from governance.config.database_roles import role_of_command
from governance.core.actor import Actor
from governance.ledger import queries, recovering
from governance.ledger.key_ring import KeyRing
from governance.ledger.mirror import CannotMirror, Mirror
from governance.ledger.models import Entry, LogKey, Pending
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.remembered import HeadMemory
from governance.ledger.standalone import Unverified, open_any_checkpoint, parse_verifier_key
from governance.ledger.verification import Damaged, Request, verify
from governance.ledger.witness import BrokenOff, Memory, Rewritten, look

pytestmark = pytest.mark.django_db
ORIGIN = "example.com/ledger"
WHY = "The disk of the database failed; the newest backup was of the night."


def fetch(path: str) -> bytes:
    answer = Client().get(f"/ledger/log/{path}")
    if answer.status_code != 200:
        raise OSError(f"{path}: {answer.status_code}")
    return bytes(answer.content)


@dataclass
class Site:
    """An installation: its key, what its sequencer remembers, a copy of the ledger, and a witness elsewhere."""

    folder: Path
    actor: Actor
    capsys: pytest.CaptureFixture[str]
    key: str = ""
    kept: list[str] = field(default_factory=list)
    number: int = 0

    @property
    def key_file(self) -> Path:
        return self.folder / "ledger.key"

    @property
    def remembered(self) -> HeadMemory:
        return HeadMemory(self.folder / "ledger.head")

    @property
    def copy(self) -> Mirror:
        return Mirror(self.folder / "copy")

    @property
    def memory(self) -> Memory:
        (self.folder / "witness").mkdir(exist_ok=True)
        return Memory(self.folder / "witness")

    def run(self, *command: str) -> str:
        self.capsys.readouterr()
        call_command(*command)
        return self.capsys.readouterr().out.strip()

    def note(self, count: int = 1) -> None:
        for _ in range(count):
            with transaction.atomic():
                self.number += 1
                record("thing.noted", actor=self.actor, subjects=[Subject("thing", "x")], data={"number": self.number})

    def seal(self, count: int = 1) -> int:
        """Record so many, seal them, and return the size."""
        self.note(count)
        self.run("ledger_sequencer", "--once")
        head = queries.latest_checkpoint()
        assert head is not None
        self.kept.append(head.note)
        return head.size

    def look(self, key: str = "", *, accept: bool = False) -> int:
        return look(fetch, self.memory, parse_verifier_key(key or self.key), accept=accept)[1].size


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: Actor, capsys: pytest.CaptureFixture[str]) -> Site:
    update = {"ledger_key_file": tmp_path / "ledger.key", "ledger_head_file": None, "ledger_origin": ORIGIN}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))
    made = Site(tmp_path, grace, capsys)
    made.key = made.run("ledger_key", "create")
    return made


@pytest.fixture
def restored(site: Site) -> Site:
    """Seven entries were in the backup; twelve were sealed, copied and seen by a witness; then it was restored."""
    site.seal(6)
    backup = transaction.savepoint()
    site.seal(3)
    site.seal(2)
    site.run("ledger_mirror", str(site.copy.folder))
    assert site.look() == 12
    transaction.savepoint_rollback(backup)
    return site


def heads() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT note FROM ledger_checkpoint ORDER BY size")
        return [note for (note,) in cursor.fetchall()]


# A restored database is noticed


def test_nothing_is_sealed_on_a_restored_backup_and_everybody_is_told(restored: Site) -> None:
    restored.note()

    with pytest.raises(CommandError, match="ends at 7 entries, but a head of 12 was signed here"):
        call_command("ledger_sequencer", "--once")

    assert Pending.objects.count() == 1
    assert "ledger_recover" in (queries.halted() or "")
    assert not (check := health.check_sealing()).ok
    assert "Nothing is sealed until somebody looks" in check.sentence
    with pytest.raises(Rewritten, match="shorter"):
        restored.look()
    assert restored.run("ledger_recover", "state").splitlines()[-1].startswith("5 entries are missing.")


def test_an_emptied_database_is_noticed_too(site: Site) -> None:
    nothing = transaction.savepoint()
    site.seal(2)
    transaction.savepoint_rollback(nothing)
    site.note()

    with pytest.raises(CommandError, match="ends at 0 entries, but a head of 3 was signed here"):
        call_command("ledger_sequencer", "--once")


def test_other_entries_of_the_same_number_are_noticed_by_whoever_takes_over(site: Site) -> None:
    """A stand-by whose memory is older than the database's head compares what it remembers with the tree."""
    site.seal(2)
    before = transaction.savepoint()
    site.seal()
    other = site.remembered.note()
    transaction.savepoint_rollback(before)
    site.remembered.path.unlink()
    site.seal(5)
    assert other is not None
    site.remembered.keep(other)

    site.note()
    with pytest.raises(CommandError, match="other entries than those under the head of size 4"):
        call_command("ledger_sequencer", "--once")


def test_another_sequencer_may_have_led_meanwhile(site: Site) -> None:
    site.seal()
    older = site.remembered.note()
    site.seal(4)
    assert older is not None
    site.remembered.keep(older)

    assert site.seal() == 7


def test_a_memory_that_cannot_be_written_is_said_and_does_not_stop_the_log(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    update = {"ledger_head_file": Path("/proc/no/ledger.head")}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))

    assert site.seal() == 2
    assert "a restored database would not be noticed" in caplog.text


# What is missing is put back


def test_what_a_backup_lacks_is_put_back_from_a_copy(restored: Site) -> None:
    restored.note(2)

    said = restored.run("ledger_recover", "replay", "--from", str(restored.copy.folder))

    assert said.startswith("5 entries put back, 2 heads, each checked. 0 that waited were sealed before")
    assert said.endswith("Nothing is missing. Start the sequencer.")
    assert heads() == restored.kept
    assert restored.seal() == 16
    recovered = Entry.objects.get(event="log.recovered")
    assert json.loads(recovered.body)["data"] == {"from": 7, "size": 12, "dropped": 0}
    assert (
        verify(Request(is_strict=True, anchors=tuple(restored.kept), key=parse_verifier_key(restored.key))).size == 16
    )
    assert restored.look() == 16


def test_what_waited_in_the_backup_and_was_sealed_since_is_not_sealed_twice(site: Site) -> None:
    site.seal()
    site.note(3)
    backup = transaction.savepoint()
    site.seal()
    site.run("ledger_mirror", str(site.copy.folder))
    transaction.savepoint_rollback(backup)
    assert Pending.objects.count() == 3

    said = site.run("ledger_recover", "replay", "--from", str(site.copy.folder))
    site.run("ledger_sequencer", "--once")

    assert "3 that waited were sealed before and are dropped" in said
    numbers = [json.loads(body)["data"]["number"] for body in noted()]
    assert numbers == [1, 2, 3, 4, 5]


def noted() -> list[str]:
    return list(Entry.objects.filter(event="thing.noted").order_by("index").values_list("body", flat=True))


def test_a_key_that_the_log_went_over_to_meanwhile_is_put_back_as_well(site: Site) -> None:
    site.seal(2)
    backup = transaction.savepoint()
    new = site.run("ledger_key", "rotate")
    site.seal(2)
    site.run("ledger_key", "retire")
    site.seal(2)
    site.run("ledger_mirror", str(site.copy.folder))
    transaction.savepoint_rollback(backup)

    site.run("ledger_recover", "replay", "--from", str(site.copy.folder))
    site.seal()

    assert queries.verifier_key() == new
    assert LogKey.objects.count() == 2
    assert verify(Request(anchors=tuple(site.kept), key=parse_verifier_key(site.key))).size == 11


def bend_a_head(site: Site) -> None:
    mallory = Signer.generate(ORIGIN)
    for name in ("checkpoint", "heads.txt"):
        path = site.copy.folder / name
        for note in [*site.copy.heads()]:
            said = open_any_checkpoint(note)
            path.write_text(path.read_text().replace(note, mallory.checkpoint(said.size, said.root)))


def cut_an_entry(site: Site) -> None:
    path = next(one for one in (site.copy.folder / "tile" / "entries").rglob("*") if one.is_file())
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("bend", "problem"),
    [
        pytest.param(bend_a_head, "not signed by this log's key", id="heads by another key"),
        pytest.param(cut_an_entry, "has not 12 whole entries", id="an entry cut short"),
    ],
)
def test_a_copy_that_does_not_lead_to_a_signed_head_puts_nothing_back(
    restored: Site, bend: Callable[[Site], None], problem: str
) -> None:
    bend(restored)

    with pytest.raises(CommandError, match=problem), transaction.atomic():
        call_command("ledger_recover", "replay", "--from", str(restored.copy.folder))

    assert Entry.objects.count() == 7


def test_an_altered_entry_of_a_copy_is_not_put_back(restored: Site) -> None:
    path = next(one for one in (restored.copy.folder / "tile" / "entries").rglob("*") if one.is_file())
    path.write_bytes(path.read_bytes().replace(b'"number":9', b'"number":8'))

    with pytest.raises(CommandError, match="do not lead to its head of size 10"), transaction.atomic():
        call_command("ledger_recover", "replay", "--from", str(restored.copy.folder))

    assert Entry.objects.count() == 7


def test_it_is_all_put_back_or_nothing(restored: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies in the middle is undone by the database, and the next one does all of it."""
    monkeypatch.setattr(recovering, "drop", lambda is_known: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        call_command("ledger_recover", "replay", "--from", str(restored.copy.folder))
    assert Entry.objects.count() == 7
    monkeypatch.undo()
    update = {"ledger_key_file": restored.key_file, "ledger_head_file": None, "ledger_origin": ORIGIN}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))

    restored.run("ledger_recover", "replay", "--from", str(restored.copy.folder))

    assert heads() == restored.kept


def test_a_copy_is_extended_over_many_bundles_and_never_overwritten_by_less(site: Site) -> None:
    for count in (250, 5, 300, 1):
        site.seal(count)
        site.run("ledger_mirror", str(site.copy.folder))
    stored = list(Entry.objects.order_by("index").values_list("body", flat=True))

    assert [list(site.copy.bodies(start)) for start in (0, 255, 256, 500)] == [
        stored[start:] for start in (0, 255, 256, 500)
    ]
    assert site.copy.heads() == heads()


@pytest.mark.parametrize(
    "torn", ["", "example.com/led", "example.com/ledger\n12\n", "example.com/ledger\n12\nAAA=\n\n"]
)
def test_the_heads_of_a_copy_are_each_followed_by_one_empty_line(site: Site, torn: str) -> None:
    path = site.copy.folder / "heads.txt"
    for _ in range(2):
        site.seal(2)
        site.run("ledger_mirror", str(site.copy.folder))
        site.run("ledger_mirror", str(site.copy.folder))
        with path.open("a") as file:
            file.write(torn)
    site.seal(1)
    site.run("ledger_mirror", str(site.copy.folder))

    assert path.read_text() == "".join(f"{note}\n" for note in heads())
    assert site.copy.heads() == heads()


def test_a_copy_longer_than_the_ledger_is_not_touched(restored: Site) -> None:
    with pytest.raises(CommandError, match="the ledger only 7: it is not touched"):
        call_command("ledger_mirror", str(restored.copy.folder))
    with pytest.raises(CannotMirror):
        Mirror(restored.copy.folder).extend()


def test_a_database_that_does_not_let_us_write_is_an_answer_and_not_a_crash(restored: Site) -> None:
    before = transaction.savepoint()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")

    with pytest.raises(CommandError, match="read-only"):
        call_command("ledger_recover", "replay", "--from", str(restored.copy.folder))

    transaction.savepoint_rollback(before)
    assert Entry.objects.count() == 7


# What is missing cannot be had


def test_without_a_copy_the_log_goes_on_as_another_one_that_says_so(restored: Site) -> None:
    restored.note()

    new = restored.run("ledger_recover", "reopen", "--why", WHY)

    assert parse_verifier_key(new).name == "example.com/ledger/2"
    assert restored.seal() == 10
    (broken,) = queries.breaks()
    assert (broken.said.former, broken.said.size, broken.said.cause, broken.said.why) == (ORIGIN, 7, "restored", WHY)
    assert broken.lost == 5
    assert broken.said.lost == open_any_checkpoint(restored.kept[2])
    verdict = verify(Request(is_strict=True, key=parse_verifier_key(new), anchors=tuple(restored.kept)))
    assert (verdict.size, verdict.lost) == (10, (10, 12))


def test_whoever_pinned_the_former_key_is_told_and_has_to_pin_the_new_one(restored: Site) -> None:
    new = restored.run("ledger_recover", "reopen", "--why", WHY)
    restored.seal()

    with pytest.raises(Damaged, match=r"broken off at 7 entries \(restored\)") as damage:
        verify(Request(key=parse_verifier_key(restored.key)))
    assert damage.value.index == 7
    with pytest.raises(BrokenOff, match=r"goes on as example\.com/ledger/2") as told:
        restored.look()
    assert WHY in str(told.value)
    with pytest.raises(BrokenOff, match="of the 12 entries that were seen, those from 7 on are lost"):
        restored.look(new)
    assert restored.look(new, accept=True) == 9
    restored.seal()
    assert restored.look(new) == 10
    assert (restored.folder / "witness" / "heads.txt").read_text().count(restored.kept[2]) == 1


def test_a_witness_that_saw_nothing_of_what_is_lost_goes_on_by_itself(site: Site) -> None:
    site.seal(6)
    assert site.look() == 7
    backup = transaction.savepoint()
    site.seal(3)
    transaction.savepoint_rollback(backup)

    new = site.run("ledger_recover", "reopen", "--why", WHY)

    assert site.look(new) == 8


def test_more_than_the_log_admits_to_have_lost_is_not_accepted(restored: Site) -> None:
    """Somebody cuts the log, and names an earlier head as the largest known."""
    earlier = restored.folder / "head"
    earlier.write_text(restored.kept[1])
    new = restored.run("ledger_recover", "reopen", "--why", WHY, "--checkpoint", str(earlier))

    with pytest.raises(Damaged, match="does not say that so much was lost"):
        verify(Request(anchors=(restored.kept[2],), key=parse_verifier_key(new)))
    with pytest.raises(Rewritten, match="does not say that entries were lost that were seen here"):
        restored.look(new, accept=True)


def test_what_was_lost_is_known_by_its_root(restored: Site) -> None:
    new = restored.run("ledger_recover", "reopen", "--why", WHY)
    forged = Signer.parse(Signer.generate(ORIGIN).private_text())
    LogKey.objects.create(verifier_key=forged.verifier_key, first_size=1, created_at="2026-01-01T00:00Z")

    with pytest.raises(Damaged):
        verify(Request(anchors=(forged.checkpoint(12, bytes(32)),), key=parse_verifier_key(new)))


def test_a_part_is_put_back_and_the_rest_is_said_to_be_lost(site: Site) -> None:
    site.seal(2)
    backup = transaction.savepoint()
    site.seal(3)
    site.run("ledger_mirror", str(site.copy.folder))
    site.seal(4)
    transaction.savepoint_rollback(backup)

    said = site.run("ledger_recover", "replay", "--from", str(site.copy.folder))
    with pytest.raises(CommandError, match="a head of 10 was signed here"):
        call_command("ledger_sequencer", "--once")
    site.run("ledger_recover", "reopen", "--why", WHY)

    assert "the last 4 are in no copy" in said
    (broken,) = queries.breaks()
    assert (broken.said.size, broken.lost) == (6, 4)
    assert verify(Request(anchors=tuple(site.kept))).size == site.remembered.read().size  # type: ignore[union-attr]


def test_a_run_that_was_killed_after_the_break_is_finished_by_the_next(
    restored: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: HeadMemory, note: str) -> None:
        raise OSError("killed")

    monkeypatch.setattr(HeadMemory, "keep", killed)
    with pytest.raises(CommandError, match="killed"):
        call_command("ledger_recover", "reopen", "--why", WHY)
    monkeypatch.undo()
    update = {"ledger_key_file": restored.key_file, "ledger_head_file": None, "ledger_origin": ORIGIN}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))

    restored.run("ledger_recover", "reopen", "--why", WHY)

    assert len(queries.breaks()) == 1
    assert restored.seal() == 9


@pytest.mark.parametrize("why", ["", " ", "x" * 501])
def test_a_break_says_why(restored: Site, why: str) -> None:
    with pytest.raises(CommandError, match="Say why"):
        call_command("ledger_recover", "reopen", "--why", why)

    assert queries.breaks() == []
    assert LogKey.objects.count() == 1


def test_a_log_that_lacks_nothing_is_not_broken_off(site: Site) -> None:
    site.seal(2)

    with pytest.raises(CommandError, match="Nothing is missing"):
        call_command("ledger_recover", "reopen", "--why", WHY)


def test_with_keys_in_a_variable_the_new_one_is_given(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.seal(2)
    site.remembered.keep(Signer.parse(site.key_file.read_text()).checkpoint(9, bytes(32)))
    update = {"ledger_key_secret": type(settings.ENVIRONMENT)(LEDGER_KEY="x").ledger_key_secret}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))
    file = site.folder / "new"
    file.write_text(Signer.generate("example.com/other").private_text())

    with pytest.raises(CommandError, match=r"make one for example\.com/ledger/2"):
        call_command("ledger_recover", "reopen", "--why", WHY)
    with pytest.raises(CommandError, match=r"goes on as example\.com/ledger/2"):
        call_command("ledger_recover", "reopen", "--why", WHY, "--new-key", str(file))
    signer = Signer.generate("example.com/ledger/2")
    file.write_text(signer.private_text())
    assert site.run("ledger_recover", "reopen", "--why", WHY, "--new-key", str(file)) == signer.verifier_key
    assert Signer.parse(site.key_file.read_text()).name == ORIGIN


def test_the_log_goes_on_a_third_time_under_the_next_number(restored: Site) -> None:
    restored.run("ledger_recover", "reopen", "--why", WHY)
    restored.seal(2)
    backup = transaction.savepoint()
    restored.seal(3)
    transaction.savepoint_rollback(backup)

    newest = restored.run("ledger_recover", "reopen", "--why", WHY)

    assert parse_verifier_key(newest).name == "example.com/ledger/3"
    assert restored.look(newest, accept=True) == restored.seal() - 1
    assert [one.said.former for one in queries.breaks()] == [ORIGIN, "example.com/ledger/2"]
    assert verify(Request(is_strict=True, key=parse_verifier_key(newest))).breaks[1].size == 10


# The key is known to somebody else


def test_a_known_key_is_not_believed_beyond_what_witnesses_saw_before(site: Site) -> None:
    site.seal(4)
    stolen = Signer.parse(site.key_file.read_text())
    site.look()
    site.seal(3)

    new = site.run("ledger_key", "compromised", "--why", "The key was in a mail.", "--trusted-size", "5")
    site.seal()

    forged = stolen.checkpoint(11, bytes(32))
    with pytest.raises(Damaged, match="may have had: the log vouches for its heads up to size 5 only"):
        verify(Request(anchors=(forged,), key=parse_verifier_key(new)))
    assert verify(Request(anchors=tuple(site.kept), key=parse_verifier_key(new))).size == 10
    with pytest.raises(Damaged, match="key_compromised"):
        verify(Request(key=parse_verifier_key(site.key)))
    assert site.look(new) == 10
    assert stolen.verifier_key not in site.key_file.read_text()


def test_whoever_has_the_former_key_cannot_go_on_with_it(site: Site) -> None:
    site.seal(2)
    stolen = site.key_file.read_text()
    site.run("ledger_key", "compromised", "--why", "The key was in a mail.", "--trusted-size", "3")
    site.key_file.chmod(0o600)
    site.key_file.write_text(stolen)
    site.key_file.chmod(0o400)

    site.note()
    with pytest.raises(CommandError, match="is not the key of this ledger"):
        call_command("ledger_sequencer", "--once")


@pytest.mark.parametrize("size", ["0", "4", "-1"])
def test_the_size_that_is_trusted_is_one_of_this_log(site: Site, size: str) -> None:
    site.seal(2)

    with pytest.raises(CommandError, match="between 1 and 3"):
        call_command("ledger_key", "compromised", "--why", "It was in a mail.", "--trusted-size", size)


def test_somebody_who_records_a_break_is_not_believed(site: Site, grace: Actor) -> None:
    """Whoever can put rows into the outbox could else have verifiers follow a key of their own."""
    site.seal()
    mallory = KeyRing((Signer.generate("example.com/ledger/2"),))
    with transaction.atomic():
        data = {"verifier_key": mallory.verifier_key, "origin": mallory.name}
        record("log.reopened", actor=grace, subjects=[Subject("log", mallory.name)], data=data)
    site.run("ledger_sequencer", "--once")

    assert queries.breaks() == []
    assert Entry.objects.filter(event="log.forgery_refused").count() == 1


def test_somebody_with_the_database_cannot_break_the_log_off_unseen(site: Site) -> None:
    """They break it off for a key of their own; whoever pinned the real key is told, and believes nothing more."""
    site.seal(3)
    mallory = KeyRing((Signer.generate("example.com/ledger/2"),))
    recovering.reopen(recovering.Cause.RESTORED, WHY, ring=mallory)

    with pytest.raises(Damaged, match="pinned says nothing of what follows"):
        verify(Request(key=parse_verifier_key(site.key)))
    with pytest.raises((BrokenOff, Unverified)):
        site.look()


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["ledger_recover", "replay"], "gatehouse_sequencer"),
        (["ledger_key", "compromised"], "gatehouse_sequencer"),
        (["ledger_key", "show"], "gatehouse_runtime"),
        (["ledger_mirror", "copy"], "gatehouse_runtime"),
    ],
)
def test_who_writes_entries_signs_in_as_the_sequencer(command: list[str], role: str) -> None:
    assert role_of_command(["manage.py", *command]) == role
