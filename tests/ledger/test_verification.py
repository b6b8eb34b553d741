"""The inner check, column by column, and its command. What else an attacker can do: test_tamper_matrix.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from governance.ledger import queries, stored_ledger
from governance.ledger.management.commands import verify_ledger
from governance.ledger.merkle import CompactRange, leaf_hash
from governance.ledger.models import Entry
from governance.ledger.notes import Signer
from governance.ledger.standalone import parse_verifier_key
from governance.ledger.verification import Damaged, Request, _Tree, verify
from tests.ledger.attacks import edited, hashed_again, rewrite

pytestmark = pytest.mark.django_db

ZEROS = "decode(repeat('00', 32), 'hex')"
#: Heads of the ledger in these tests: 11, 21 … 91 and 300 entries.
HEADS = (*[10] * 9, 209)
EDITED = 50


@pytest.fixture
def ledger(sealed: Callable[..., None]) -> None:
    sealed(*HEADS)


@pytest.mark.usefixtures("ledger")
def test_an_untouched_ledger_holds(signer: Signer) -> None:
    verdict = verify(Request(is_strict=True, key=parse_verifier_key(signer.verifier_key)))

    assert (verdict.size, verdict.heads) == (300, 10)
    head = queries.latest_checkpoint()
    assert head is not None
    assert verdict.root == head.root


ATTACKS = [
    pytest.param(
        ["UPDATE ledger_entry SET event = 'x.y' WHERE index = 50"], 50, "shown differently", id="event column"
    ),
    pytest.param(
        ["UPDATE ledger_entry SET actor_ref = 'x' WHERE index = 50"], 50, "shown differently", id="actor column"
    ),
    pytest.param(
        ["UPDATE ledger_entry SET actor_kind = 'x' WHERE index = 50"], 50, "shown differently", id="actor kind"
    ),
    pytest.param(["UPDATE ledger_entry SET door = 'x' WHERE index = 50"], 50, "shown differently", id="door column"),
    pytest.param(
        ["UPDATE ledger_entry SET correlation_id = 'x' WHERE index = 50"], 50, "shown diff", id="correlation column"
    ),
    pytest.param(
        ["UPDATE ledger_entry SET at = at + interval '1 microsecond' WHERE index = 50"],
        50,
        "shown diff",
        id="time column",
    ),
    pytest.param(
        ["UPDATE ledger_entrysubject SET ref = 'x' WHERE entry_id = 50"], 50, "shown differently", id="subject"
    ),
    pytest.param(
        ["DELETE FROM ledger_entrysubject WHERE entry_id = 50"], 50, "shown differently", id="subject removed"
    ),
    pytest.param(
        ["INSERT INTO ledger_entrysubject (entry_id, position, kind, ref) VALUES (50, 1, 'person', 'x')"],
        50,
        "shown differently",
        id="subject added",
    ),
    pytest.param(
        ["DELETE FROM ledger_checkpoint WHERE size = 300"], 91, "under no signed head", id="head cut, tail left"
    ),
    pytest.param(
        [f"UPDATE ledger_checkpoint SET root = {ZEROS} WHERE size = 51"], 41, "what was signed", id="root column"
    ),
    pytest.param(["UPDATE ledger_checkpoint SET size = 52 WHERE size = 51"], 41, "what was signed", id="size column"),
    pytest.param(
        ["UPDATE ledger_checkpoint SET note = REPLACE(note, E'\\n51\\n', E'\\n52\\n')"],
        41,
        "does not hold",
        id="note edited",
    ),
    pytest.param([f"UPDATE ledger_node SET hash = {ZEROS}"], 0, "stored tree differs", id="tile replaced"),
    pytest.param(["DELETE FROM ledger_node"], 0, "stored tree differs", id="tile truncated"),
    pytest.param(
        [f"INSERT INTO ledger_node (level, index, hash) VALUES (1, 1, {ZEROS})"],
        None,
        "",
        id="node of a tile that is not full",
    ),
]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(("attack", "index", "said"), ATTACKS)
def test_tampering_is_seen_and_the_entry_named(
    tamper: Callable[..., None], capsys: pytest.CaptureFixture[str], attack: list[str], index: int | None, said: str
) -> None:
    tamper(*attack)

    if index is None:
        verify(Request())  # Beyond the end of the ledger: it takes part in no root and no proof.
        return
    with pytest.raises(Damaged, match=said) as caught:
        verify(Request())
    assert caught.value.index == index
    with pytest.raises(SystemExit) as left:
        call_command("verify_ledger")
    assert left.value.code == 1
    assert f"DAMAGED at entry {index}:" in capsys.readouterr().out


@pytest.mark.usefixtures("ledger")
def test_of_two_damages_the_first_is_named(tamper: Callable[..., None]) -> None:
    tamper(edited(EDITED), f"UPDATE ledger_checkpoint SET root = {ZEROS} WHERE size = 31")

    with pytest.raises(Damaged, match="head of size 31") as caught:
        verify(Request())
    assert caught.value.index == 21


@pytest.mark.usefixtures("ledger")
def test_damage_is_named_by_its_entry_however_many_are_read_at_once(
    tamper: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_ledger, "_READ_AT_ONCE", 7)
    assert verify(Request()).size == 300
    tamper("UPDATE ledger_entrysubject SET ref = 'x' WHERE entry_id = 205")

    with pytest.raises(Damaged, match="shown differently") as caught:
        verify(Request())
    assert caught.value.index == 205


def test_the_verifier_folds_the_tree_of_rfc_6962() -> None:
    """Against the part that writes, which shares no code with it: the root at every size, and the nodes of tiles."""
    folded, written = _Tree(), CompactRange()
    for number in range(600):
        leaf = leaf_hash(str(number).encode())
        completed = folded.add(leaf)

        nodes = [node for node in written.append(leaf) if node.level]
        assert completed == [(node.level, node.hash) for node in nodes]
        assert folded.root() == written.root()
    assert _Tree().root() == CompactRange().root()


@pytest.mark.usefixtures("ledger")
def test_a_whole_new_history_under_a_new_key_holds_only_for_who_did_not_pin_the_key(
    signer: Signer, tamper: Callable[..., None]
) -> None:
    mallory = Signer.generate(signer.name)
    rewrite(mallory, tamper, EDITED)

    assert verify(Request()).key == parse_verifier_key(mallory.verifier_key)
    with pytest.raises(Damaged, match="does not hold"):
        verify(Request(key=parse_verifier_key(signer.verifier_key)))


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    "hole",
    [
        pytest.param("ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_insert_only_rows", id="switched off"),
        pytest.param("ALTER TABLE ledger_node ENABLE TRIGGER ledger_node_insert_only_table", id="not for replicas"),
        pytest.param("DROP TRIGGER ledger_checkpoint_insert_only_rows ON ledger_checkpoint", id="dropped"),
    ],
)
def test_a_table_that_has_lost_its_guard_is_reported(hole: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(hole)

    with pytest.raises(Damaged, match="missing or switched off"):
        verify(Request())


@pytest.mark.usefixtures("ledger")
def test_from_skips_the_bodies_before_and_still_finds_the_root(tamper: Callable[..., None]) -> None:
    tamper(edited(EDITED))

    assert verify(Request(start=51)).size == 300


@pytest.mark.usefixtures("ledger")
def test_strict_refuses_a_text_that_only_looks_like_an_entry(signer: Signer, tamper: Callable[..., None]) -> None:
    rewrite(signer, tamper, EDITED)
    tamper("UPDATE ledger_entry SET body = body || ' ' WHERE index = 50", "DELETE FROM ledger_node")
    body = Entry.objects.get(index=50).body
    assert body.endswith("} ")
    tamper(hashed_again(EDITED))

    with pytest.raises(Damaged, match="not canonical") as caught:
        verify(Request(is_strict=True))
    assert caught.value.index == 50


@pytest.mark.usefixtures("ledger")
def test_the_command_says_what_holds_and_whether_the_key_was_pinned(
    signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = queries.latest_checkpoint()
    assert head is not None
    kept, key = tmp_path / "checkpoint", tmp_path / "key"
    kept.write_text(head.note)
    key.write_text(signer.verifier_key + "\n")

    call_command("verify_ledger")
    assert "NOT pinned" in capsys.readouterr().out

    call_command("verify_ledger", "--strict", "--key", str(key), "--checkpoint", str(kept))
    said = capsys.readouterr().out
    assert "300 entries under 10 signed heads" in said
    assert parse_verifier_key(signer.verifier_key).fingerprint in said
    assert "NOT pinned" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="not started"),
        pytest.param(["--key", "nonsense"], id="bad key"),
        pytest.param(["--checkpoint", "/nowhere/checkpoint"], id="no such file"),
    ],
)
def test_the_command_leaves_with_2_when_it_could_not_look(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        call_command("verify_ledger", *arguments)

    assert left.value.code == 2


def test_the_command_leaves_with_2_when_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(request: Request) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(verify_ledger, "verify", away)

    with pytest.raises(SystemExit) as left:
        call_command("verify_ledger")
    assert left.value.code == 2
