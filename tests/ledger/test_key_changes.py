"""Going over to a new key, on record: who signs what, who follows, and who cannot slip a key of their own in."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from governance.core.actor import Actor
from governance.ledger import events, queries, standalone
from governance.ledger.key_changes import LedgerDamaged
from governance.ledger.key_ring import CannotSign, CommandSigner, KeyRing, SecondSigner, cosigned_message
from governance.ledger.keys import KeySource, add_key, add_second_key, create_key_file, drop_old_keys
from governance.ledger.models import Entry, LogKey
from governance.ledger.notes import BadKey, Signer, proof_file
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything, work_is_waiting
from governance.ledger.standalone import Unverified, VerifierKey, follow_rotations, open_checkpoint, parse_verifier_key
from governance.ledger.stored_tree import stored_tree
from governance.ledger.verification import Damaged, Request, verify

ORIGIN = "keys.test/ledger"
pytestmark = pytest.mark.django_db


def note(name: str) -> None:
    with transaction.atomic():
        record("ledger.tested", actor=Actor.system("test"), subjects=[Subject("test", name)])


def head() -> str:
    found = queries.latest_checkpoint()
    assert found is not None
    return found.note


def vkey(key: Signer | CommandSigner) -> VerifierKey:
    return parse_verifier_key(key.verifier_key)


def is_signed_by(key: Signer) -> bool:
    try:
        open_checkpoint(head(), vkey(key))
    except Unverified:
        return False
    return True


@pytest.fixture
def rotated() -> tuple[Signer, Signer, Signer]:
    """A log that went over from the first key to a second, then gave up the first and went over to a third."""
    first, second, third = (Signer.generate(ORIGIN) for _ in range(3))
    note("under the first")
    seal_everything(signer=first)
    note("under both")
    seal_everything(signer=KeyRing((first, second)))
    note("under the second")
    seal_everything(signer=second)
    note("under second and third")
    seal_everything(signer=KeyRing((second, third)))
    return first, second, third


def test_a_new_key_is_named_under_the_old_one_and_both_sign_for_an_overlap() -> None:
    first, second = Signer.generate(ORIGIN), Signer.generate(ORIGIN)
    note("one")
    seal_everything(signer=first)
    ring = KeyRing((first, second))

    assert work_is_waiting(ring)
    seal_everything(signer=ring)

    named = Entry.objects.get(event=events.KEY_ROTATED)
    assert json.loads(named.body)["data"] == {"previous": first.verifier_key, "verifier_key": second.verifier_key}
    assert is_signed_by(first)
    assert is_signed_by(second)
    assert not work_is_waiting(ring)
    assert [key.first_size for key in LogKey.objects.order_by("id")] == [1, named.index + 1]


def test_a_key_that_was_given_up_no_longer_signs_and_the_log_says_so(rotated: tuple[Signer, ...]) -> None:
    first, second, third = rotated

    assert [Entry.objects.filter(event=events.KEY_RETIRED).count(), is_signed_by(first)] == [1, False]
    assert is_signed_by(second)
    assert is_signed_by(third)


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_whoever_pinned_an_earlier_or_a_later_key_follows(rotated: tuple[Signer, ...], pinned: int) -> None:
    verdict = verify(Request(is_strict=True, key=vkey(rotated[pinned]), anchors=(head(),)))

    assert verdict.key == vkey(rotated[pinned])
    assert verify(Request(start=verdict.size - 1)).key == vkey(rotated[2])


def test_the_old_key_alone_is_refused_after_it_was_given_up(
    rotated: tuple[Signer, ...], tamper: Callable[..., None]
) -> None:
    first, *_ = rotated
    last = queries.latest_checkpoint()
    assert last is not None
    forged = first.checkpoint(last.size, last.root)
    tamper(f"UPDATE ledger_checkpoint SET note = '{forged}' WHERE size = {last.size}")

    with pytest.raises(Damaged, match="no signature"):
        verify(Request())


def test_a_stored_key_that_the_log_does_not_name_is_found(
    rotated: tuple[Signer, ...], tamper: Callable[..., None]
) -> None:
    mallory = Signer.generate(ORIGIN)
    tamper(
        f"INSERT INTO ledger_logkey (verifier_key, first_size, created_at) VALUES ('{mallory.verifier_key}', 3, now())"
    )

    with pytest.raises(Damaged, match="not those that the log names"):
        verify(Request())


def test_an_outsider_follows_by_proofs_alone(rotated: tuple[Signer, ...]) -> None:
    first, second, third = rotated
    rotations = []
    for entry in Entry.objects.filter(event=events.KEY_ROTATED).order_by("index"):
        size = entry.index + 2
        over = queries.checkpoint_at(size)
        assert over is not None
        proof = proof_file(entry.index, stored_tree(size).inclusion_proof(entry.index), over.note)
        rotations.append((entry.body.encode(), proof))

    assert follow_rotations(vkey(first), rotations) == [vkey(first), vkey(second), vkey(third)]
    assert follow_rotations(vkey(second), rotations[1:]) == [vkey(second), vkey(third)]
    with pytest.raises(Unverified, match="no signature"):
        follow_rotations(vkey(third), rotations[:1])
    with pytest.raises(Unverified):
        follow_rotations(vkey(first), rotations[1:])


@pytest.mark.parametrize("event", sorted(events.BY_THE_SEQUENCER))
def test_nobody_else_can_say_what_only_the_sequencer_says(event: str) -> None:
    first, mallory = Signer.generate(ORIGIN), Signer.generate(ORIGIN)
    note("one")
    seal_everything(signer=first)
    with transaction.atomic():
        record(
            event,
            actor=Actor.system("sequencer"),
            subjects=[Subject("log", ORIGIN)],
            data={"previous": first.verifier_key, "verifier_key": mallory.verifier_key},
        )

    seal_everything(signer=first)

    refused = Entry.objects.get(event=events.FORGERY_REFUSED)
    assert json.loads(refused.body)["data"]["event"] == event
    assert Entry.objects.filter(event=event).count() == (1 if event == events.LOG_STARTED else 0)
    assert verify(Request(key=vkey(first))).size == 3


def test_a_log_is_not_continued_without_its_newest_key(rotated: tuple[Signer, ...]) -> None:
    note("waiting")

    with pytest.raises(LedgerDamaged, match="not the key of this ledger"):
        seal_everything(signer=KeyRing((rotated[0], Signer.generate(ORIGIN))))


def test_a_second_line_stands_beside_the_first_and_is_named_once() -> None:
    signer, second = Signer.generate(ORIGIN), SecondSigner.generate(ORIGIN)
    ring = KeyRing((signer,), second)
    for name in ("one", "two"):
        note(name)
        seal_everything(signer=ring)

    assert Entry.objects.filter(event=events.SECOND_KEY_ADDED).count() == 1
    signed = open_checkpoint(head(), vkey(signer))
    line = head().splitlines()[-1]
    decoded = base64.b64decode(line.split(" ")[2])
    at = int.from_bytes(decoded[4:12], "big")
    assert (decoded[:4], len(decoded)) == (second.key_id, 4 + 8 + 2420)
    MLDSA44PublicKey.from_public_bytes(second.public).verify(
        decoded[12:], cosigned_message(ORIGIN, at, ORIGIN, signed.size, signed.root)
    )
    assert verify(Request(key=vkey(signer))).heads == 2


def test_what_an_ml_dsa_line_signs_is_laid_out_as_the_specification_says() -> None:
    message = cosigned_message("a/b", 1, "c", 7, b"\x09" * 32)

    assert message == (b"subtree/v1\n\x00\x03a/b\0\0\0\0\0\0\0\1\x01c" + b"\0" * 8 + b"\0\0\0\0\0\0\0\7" + b"\x09" * 32)


def program(folder: Path, source: str) -> tuple[str, ...]:
    path = folder / "sign.py"
    path.write_text(source)
    return (sys.executable, str(path))


def test_a_program_can_hold_the_key(tmp_path: Path) -> None:
    held = Signer.generate(ORIGIN)
    (tmp_path / "held").write_text(held.private_text())
    source = (
        "import base64, sys\n"
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key\n"
        f"text = open({str(tmp_path / 'held')!r}).read()\n"
        "key = Key.from_private_bytes(base64.b64decode(text.split('+', 4)[4])[1:])\n"
        "print(base64.b64encode(key.sign(sys.stdin.buffer.read())).decode())\n"
    )
    signer = CommandSigner(ORIGIN, held.key_id, held.public_bytes, program(tmp_path, source))
    ring = KeyRing.parse(signer.private_text())
    note("one")

    seal_everything(signer=ring)

    assert verify(Request(key=vkey(held))).size == 2
    assert held.private_text() not in ring.text()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("import sys; sys.exit(3)", "failed", id="refuses"),
        pytest.param("print('AAAA')", "no signature of its key", id="another signature"),
        pytest.param("print('?')", "no signature of its key", id="no base64"),
    ],
)
def test_a_program_that_does_not_sign_leaves_everything_waiting(tmp_path: Path, source: str, said: str) -> None:
    held = Signer.generate(ORIGIN)
    signer = CommandSigner(ORIGIN, held.key_id, held.public_bytes, program(tmp_path, source))
    note("one")

    with pytest.raises(CannotSign, match=said):
        seal_everything(signer=signer)

    assert work_is_waiting(signer)
    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    "text",
    [
        "COMMAND only",
        "COMMAND a+b+c program",
        "COMMAND keys.test/ledger+00000000+{public} program",
        "PRIVATE+ML-DSA-44+keys.test/ledger+00000000+BgAA",
        "{one}\n{other}",
        "{second}\n{second}\n{one}",
        "{second}",
    ],
)
def test_a_key_file_that_is_none_is_refused(text: str) -> None:
    one, other, second = Signer.generate(ORIGIN), Signer.generate("other.test/log"), SecondSigner.generate(ORIGIN)
    public = one.verifier_key.split("+", 2)[2]
    spelled = {"one": one.private_text(), "other": other.private_text(), "second": second.private_text()}

    with pytest.raises(BadKey):
        KeyRing.parse(text.format(public=public, **spelled))


def test_the_file_is_changed_at_once_and_read_again_when_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.key"
    first = create_key_file(path, ORIGIN)
    source = KeySource(path, ORIGIN)
    before = source.read()

    second = add_key(path, ORIGIN)
    line = add_second_key(path, ORIGIN)
    after = source.read()

    assert [key.verifier_key for key in before.keys] == [first.verifier_key]
    assert [key.verifier_key for key in after.keys] == [first.verifier_key, second.verifier_key]
    assert after.second is not None
    assert after.second.verifier_key == line.verifier_key
    assert path.stat().st_mode & 0o777 == 0o400
    assert drop_old_keys(path, ORIGIN) == 1
    assert [key.verifier_key for key in source.read().keys] == [second.verifier_key]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(BadKey, match="already"):
        add_second_key(path, ORIGIN)


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ledger.key"
    update = {"ledger_key_file": path, "ledger_origin": ORIGIN}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))
    return path


def test_the_commands_lead_from_one_key_to_the_next(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="has not started"):
        call_command("ledger_key", "rotate")
    call_command("ledger_key", "create")
    old = capsys.readouterr().out.strip()
    note("one")
    call_command("ledger_sequencer", "--once")
    capsys.readouterr()

    call_command("ledger_key", "rotate")
    new = capsys.readouterr().out.strip()
    with pytest.raises(CommandError, match="has not signed a head yet"):
        call_command("ledger_key", "retire")
    call_command("ledger_sequencer", "--once")
    capsys.readouterr()
    call_command("ledger_key", "retire")

    assert capsys.readouterr().out.strip() == new != old
    call_command("ledger_sequencer", "--once")
    assert verify(Request(key=parse_verifier_key(old))).size == 4
    assert queries.verifier_key() == new


def test_the_keys_may_come_as_a_variable(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer.generate(ORIGIN)
    environment = type(settings.ENVIRONMENT)(
        LEDGER_KEY=signer.private_text(), ledger_origin=ORIGIN, ledger_head_file=key_file.with_name("head")
    )
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    note("one")

    call_command("ledger_sequencer", "--once")

    assert verify(Request(key=vkey(signer))).size == 2
    assert signer.private_text() not in repr(environment)
    with pytest.raises(CommandError, match="LEDGER_KEY"):
        call_command("ledger_key", "rotate")


def test_the_verifier_reads_an_older_log_without_any_of_this() -> None:
    """One key from the first head to the last: nothing about keys but entry 0."""
    signer = Signer.generate(ORIGIN)
    note("one")
    seal_everything(signer=signer)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_entry WHERE event LIKE 'log.%%'")
        assert cursor.fetchone() == (1,)
    assert standalone.open_checkpoint(head(), vkey(signer)).size == 2
