"""The witness: a program of somebody else that remembers what it saw, and the cosignatures it hands back."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client

from governance.anchors import actions, queries, witnesses
from governance.anchors.actions import Wanted
from governance.anchors.models import Anchor, AnchorReceipt
from governance.core.errors import Invalid
from governance.ledger.key_ring import KeyRing
from governance.ledger.notes import Signer
from governance.ledger.programs import witness_source
from governance.ledger.queries import latest_checkpoint
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything
from governance.ledger.standalone import Unverified, open_any_checkpoint, parse_verifier_key, public_ed25519
from governance.ledger.witness import (
    Memory,
    Rewritten,
    check_cosignature,
    cosign,
    look,
    parse_witness_key,
    witness_vkey,
)
from tests.anchors.conftest import ORIGIN, TESTING, Log

pytestmark = pytest.mark.django_db
SECRET = bytes(range(32))
NAME = "audit.example/witness"


def fetch(path: str) -> bytes:
    answer = Client().get(f"/ledger/log/{path}")
    if answer.status_code != 200:
        raise OSError(f"{path}: {answer.status_code}")
    return answer.content


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    folder = tmp_path / "memory"
    folder.mkdir()
    return Memory(folder)


def seen(log: Log, memory: Memory) -> int:
    return look(fetch, memory, parse_verifier_key(log.signer.verifier_key))[1].size


@pytest.mark.parametrize("first", [1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512])
@pytest.mark.parametrize("more", [1, 2, 213, 256])
def test_a_log_that_only_grew_is_recognised_at_every_shape(log: Log, memory: Memory, first: int, more: int) -> None:
    if first > 6:
        log.grow(first - 6)
    at = seen(log, memory)
    log.grow(more)

    assert seen(log, memory) == at + more
    assert memory.last() == fetch("checkpoint").decode()


def test_nothing_new_is_fine_and_not_remembered_twice(log: Log, memory: Memory, tmp_path: Path) -> None:
    seen(log, memory)
    seen(log, memory)

    assert (tmp_path / "memory" / "heads.txt").read_text().count(ORIGIN + "\n6\n") == 1


@pytest.mark.parametrize("kept", [3, 6])
def test_a_log_that_was_cut_is_found(log: Log, memory: Memory, tamper: Callable[..., None], kept: int) -> None:
    log.grow(4)
    seen(log, memory)
    tamper(
        f"DELETE FROM ledger_checkpoint WHERE size > {kept}",
        f"DELETE FROM ledger_entrysubject WHERE entry_id >= {kept}",
        f"DELETE FROM ledger_entry WHERE index >= {kept}",
    )
    if kept == 3:
        head = log.signer.checkpoint(3, b"\0" * 32)
        tamper(f"INSERT INTO ledger_checkpoint (size, root, note, at) VALUES (3, '\\x00', '{head}', now())")

    with pytest.raises(Rewritten, match=f"shorter than it was .seen before: 10 entries.*now: {kept} entries"):
        seen(log, memory)
    assert open_any_checkpoint(memory.last() or "").size == 10


def test_a_fork_of_the_same_size_and_a_rewritten_past_are_found(
    log: Log, memory: Memory, tamper: Callable[..., None]
) -> None:
    """Signed with the stolen key of the log itself: only whoever remembers sees it."""
    seen(log, memory)
    tamper("UPDATE ledger_entry SET leaf_hash = sha256('other') WHERE index = 2")
    rewritten = stored_root(6)
    head = log.signer.checkpoint(6, rewritten)
    tamper(f"UPDATE ledger_checkpoint SET root = '\\x{rewritten.hex()}', note = '{head}' WHERE size = 6")

    with pytest.raises(Rewritten, match="two different trees of size 6"):
        seen(log, memory)

    log.grow(3)
    with pytest.raises(Rewritten, match="rewritten"):
        seen(log, memory)


def stored_root(size: int) -> bytes:
    from governance.ledger.stored_tree import stored_tree  # noqa: PLC0415

    return stored_tree(size).compact_range().root()


def test_a_head_that_another_key_signed_is_not_believed(log: Log, memory: Memory) -> None:
    with pytest.raises(Unverified, match="no signature"):
        look(fetch, memory, parse_verifier_key(Signer.generate(ORIGIN).verifier_key))
    assert memory.last() is None


def test_a_log_that_goes_over_to_another_key_is_followed(log: Log, memory: Memory) -> None:
    seen(log, memory)
    second = Signer.generate(ORIGIN)
    for ring in (KeyRing((log.signer, second)), KeyRing((second,))):
        with transaction.atomic():
            record("ledger.tested", actor=TESTING, subjects=[Subject("test", "x")])
        seal_everything(signer=ring)

    assert seen(log, memory) == 10
    assert look(fetch, memory, parse_verifier_key(second.verifier_key))[1].size == 10


def test_a_tile_of_the_wrong_length_is_not_taken(log: Log, memory: Memory) -> None:
    seen(log, memory)
    log.grow(300)

    def cut(path: str) -> bytes:
        return fetch(path)[:-1] if path.startswith("tile/") else fetch(path)

    with pytest.raises(Rewritten, match="bytes, not"):
        look(cut, memory, parse_verifier_key(log.signer.verifier_key))


@pytest.fixture
def witness(log: Log) -> Anchor:
    said = {"verifier_key": witness_vkey(NAME, public_ed25519(SECRET))}
    return actions.add("witness", Wanted("Our auditor", said), actor=TESTING)


def the_note() -> str:
    head = latest_checkpoint()
    assert head is not None
    return head.note


def test_a_cosignature_is_laid_out_as_the_specification_says(log: Log) -> None:
    key = parse_witness_key(witness_vkey(NAME, public_ed25519(SECRET)))
    note = the_note()
    line = cosign(note, NAME, SECRET, 1_700_000_000)

    decoded = base64.b64decode(line.split(" ")[2])
    assert (decoded[:4], int.from_bytes(decoded[4:12], "big"), len(decoded)) == (key.key_id, 1_700_000_000, 76)
    cosigned = check_cosignature(note + line, key)
    assert cosigned is not None
    assert cosigned.at == 1_700_000_000
    assert check_cosignature(note, key) is None


def test_a_cosignature_is_taken_from_whoever_holds_the_key_and_kept_once(log: Log, witness: Anchor) -> None:
    cosigned = the_note() + cosign(the_note(), NAME, SECRET, 1_700_000_000)

    for _ in range(2):
        answer = Client().post("/ledger/log/cosignatures", cosigned, content_type="text/plain")
        assert (answer.status_code, answer.content.decode()[:24]) == (200, "Our auditor: 6 entries a")

    [receipt] = queries.receipts(witness)
    assert receipt.said == {"witness": NAME, "stated_time": "2023-11-14T22:13:20+00:00"}
    assert base64.b64decode(receipt.proof).decode() == cosign(the_note(), NAME, SECRET, 1_700_000_000)


@pytest.mark.parametrize("wrong", ["none", "forged", "stranger", "other size", "other log", "garbage", "long", "bytes"])
def test_what_is_no_cosignature_of_a_known_witness_on_a_head_of_ours_is_refused(
    log: Log, witness: Anchor, wrong: str
) -> None:
    note = the_note()
    line = cosign(note, NAME, SECRET, 1)
    other = log.signer.checkpoint(99, b"\1" * 32)
    foreign = Signer.generate("other.test/log").checkpoint(6, b"\1" * 32)
    body: str | bytes = {
        "none": note,
        "forged": note + line.replace(line[-20:-10], "AAAAAAAAAA"),
        "stranger": note + cosign(note, "stranger.example", b"\7" * 32, 1),
        "other size": other + cosign(other, NAME, SECRET, 1),
        "other log": foreign + cosign(foreign, NAME, SECRET, 1),
        "garbage": "x",
        "long": "x" * 70_000,
        "bytes": b"\xff\xfe",
    }[wrong]

    answer = Client().post("/ledger/log/cosignatures", body, content_type="text/plain")

    assert answer.status_code == 422, answer.content
    assert not AnchorReceipt.objects.exists()
    if isinstance(body, str):
        with pytest.raises(Invalid):
            witnesses.take(body)


@pytest.mark.django_db(transaction=True)
def test_the_program_runs_alone_and_hands_its_cosignature_back(live_server: object, tmp_path: Path, log: Log) -> None:
    program, memory, url = tmp_path / "witness.py", tmp_path / "memory", f"{live_server}/ledger/log"
    program.write_bytes(Client().get("/ledger/log/witness.py").content)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, timeout=60)

    made = run("keys", str(memory), NAME)
    actions.add("witness", Wanted("Auditor", {"verifier_key": made.stdout.strip()}), actor=TESTING)
    watch = ("watch", str(memory), url, "--key", log.signer.verifier_key, "--submit")

    first = run(*watch)
    log.grow(300)
    second = run(*watch)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "only grew" in second.stdout
    assert "The cosignature was taken." in second.stdout
    assert AnchorReceipt.objects.count() == 2
    assert run("keys", str(memory), NAME).returncode == 2
    assert run("watch", str(memory), url + "/nowhere", "--key", log.signer.verifier_key).returncode == 2
    other = Signer.generate(ORIGIN).verifier_key
    assert run("watch", str(memory), url, "--key", other).returncode == 1


def test_the_one_file_needs_nothing_of_gatehouse() -> None:
    assert "from governance" not in witness_source()
    compile(witness_source(), "witness.py", "exec")
