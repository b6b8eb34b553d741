"""Attacks by somebody who owns the database: the inner check sees them and names the entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from governance.ledger import queries
from governance.ledger.management.commands import verify_ledger
from governance.ledger.merkle import CompactRange, leaf_hash
from governance.ledger.models import Entry
from governance.ledger.notes import Signer
from governance.ledger.standalone import parse_verifier_key
from governance.ledger.verification import Damaged, Request, verify

pytestmark = pytest.mark.django_db

ZEROS = "decode(repeat('00', 32), 'hex')"
#: Heads of the ledger in these tests: 11, 21 … 91 and 300 entries.
HEADS = (*[10] * 9, 209)

HIT = "REPLACE(body, '\"number\":49}', '\"number\":94}')"
EDIT = f"UPDATE ledger_entry SET body = {HIT} WHERE index = 50"
REHASH = "UPDATE ledger_entry SET leaf_hash = sha256('\\x00'::bytea || convert_to(body, 'UTF8')) WHERE index = 50"
#: A row like that of entry 49, as entry 50.
COPY_OF_49 = """
    INSERT INTO ledger_{0} SELECT (jsonb_populate_record(one, '{{"{1}": 50}}')).* FROM ledger_{0} AS one WHERE {1} = 49
"""


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
    pytest.param([EDIT], 50, "was edited", id="body edited"),
    pytest.param([EDIT, REHASH], 41, "root signed at size 51", id="body edited and hashed again"),
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
        ["DELETE FROM ledger_entrysubject WHERE entry_id = 50", "DELETE FROM ledger_entry WHERE index = 50"],
        50,
        "Entry 50 is missing",
        id="row removed",
    ),
    pytest.param(
        [
            "DELETE FROM ledger_entrysubject WHERE entry_id = 50",
            "DELETE FROM ledger_entry WHERE index = 50",
            "UPDATE ledger_entry SET index = index + 10000 WHERE index > 50",
            "UPDATE ledger_entry SET index = index - 10001 WHERE index > 10000",
            # In two steps: one step meets a number that the next row still has, or not, by where the rows lie.
            "UPDATE ledger_entrysubject SET entry_id = entry_id + 10000 WHERE entry_id > 50",
            "UPDATE ledger_entrysubject SET entry_id = entry_id - 10001 WHERE entry_id > 10000",
        ],
        41,
        "root signed at size 51",
        id="row removed and renumbered",
    ),
    pytest.param(
        [
            "UPDATE ledger_entry SET index = 1000 WHERE index = 50",
            "UPDATE ledger_entry SET index = 50 WHERE index = 48",
            "UPDATE ledger_entry SET index = 48 WHERE index = 1000",
        ],
        41,
        "root signed at size 51",
        id="two rows swapped",
    ),
    pytest.param(
        [
            "UPDATE ledger_entry SET index = index + 10000 WHERE index >= 50",
            "UPDATE ledger_entry SET index = index - 9999 WHERE index >= 10000",
            "UPDATE ledger_entrysubject SET entry_id = entry_id + 10000 WHERE entry_id >= 50",
            "UPDATE ledger_entrysubject SET entry_id = entry_id - 9999 WHERE entry_id >= 10000",
            COPY_OF_49.format("entry", "index"),
            COPY_OF_49.format("entrysubject", "entry_id"),
        ],
        41,
        "root signed at size 51",
        id="row inserted in the middle",
    ),
    pytest.param(
        ["DELETE FROM ledger_entrysubject WHERE entry_id >= 280", "DELETE FROM ledger_entry WHERE index >= 280"],
        280,
        "only 280 entries",
        id="tail cut, head left",
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
def test_signing_everything_again_with_another_key_is_seen(signer: Signer, tamper: Callable[..., None]) -> None:
    mallory = Signer.generate(signer.name)
    head = queries.latest_checkpoint()
    assert head is not None
    tamper("DELETE FROM ledger_checkpoint", add_head(mallory, head.size, head.root))

    with pytest.raises(Damaged, match="no signature of example") as caught:
        verify(Request())
    assert caught.value.index == 0


@pytest.mark.usefixtures("ledger")
def test_a_whole_new_history_under_a_new_key_holds_only_for_who_did_not_pin_the_key(
    signer: Signer, tamper: Callable[..., None]
) -> None:
    mallory = Signer.generate(signer.name)
    rewrite(mallory, tamper)

    assert verify(Request()).key == parse_verifier_key(mallory.verifier_key)
    with pytest.raises(Damaged, match="does not hold"):
        verify(Request(key=parse_verifier_key(signer.verifier_key)))


@pytest.mark.usefixtures("ledger")
def test_a_history_rewritten_with_the_stolen_key_is_seen_by_a_checkpoint_kept_elsewhere(
    signer: Signer, tamper: Callable[..., None]
) -> None:
    kept = queries.checkpoint_at(91)
    assert kept is not None
    rewrite(signer, tamper)

    verify(Request())
    with pytest.raises(Damaged, match="not the one whose checkpoint of size 91 was kept elsewhere"):
        verify(Request(anchors=(kept.note,)))


@pytest.mark.usefixtures("ledger")
def test_a_tail_cut_with_its_heads_is_seen_by_a_checkpoint_kept_elsewhere(tamper: Callable[..., None]) -> None:
    kept = queries.latest_checkpoint()
    assert kept is not None
    tamper(
        "DELETE FROM ledger_checkpoint WHERE size > 91",
        "DELETE FROM ledger_node",
        "DELETE FROM ledger_entrysubject WHERE entry_id >= 91",
        "DELETE FROM ledger_entry WHERE index >= 91",
    )

    assert verify(Request()).size == 91
    with pytest.raises(Damaged, match="checkpoint of size 300 was kept elsewhere, but only 91") as caught:
        verify(Request(anchors=(kept.note,)))
    assert caught.value.index == 91


def rewrite(signer: Signer, tamper: Callable[..., None]) -> None:
    """Change entry 50 and make everything else fit, as only somebody with database and key can."""
    key = signer.verifier_key
    tamper(
        f"UPDATE ledger_logkey SET verifier_key = '{key}'",
        'UPDATE ledger_entry SET body = regexp_replace(body, \'"verifier_key":"[^"]*"\', '
        f'\'"verifier_key":"{key}"\') WHERE index = 0',
        EDIT,
        "UPDATE ledger_entry SET leaf_hash = sha256('\\x00'::bytea || convert_to(body, 'UTF8'))",
        "DELETE FROM ledger_checkpoint",
        "DELETE FROM ledger_node",
    )
    tree, nodes = CompactRange(), []
    for body in Entry.objects.order_by("index").values_list("body", flat=True):
        nodes += [node for node in tree.append(leaf_hash(body.encode())) if node.level]
    tamper(
        *(f"INSERT INTO ledger_node VALUES ({node.level}, {node.index}, '\\x{node.hash.hex()}')" for node in nodes),
        add_head(signer, tree.size, tree.root()),
    )


def add_head(signer: Signer, size: int, root: bytes) -> str:
    """Return the SQL that adds a head signed by whoever it is."""
    note = signer.checkpoint(size, root)
    return f"INSERT INTO ledger_checkpoint (size, root, note, at) VALUES ({size}, '\\x{root.hex()}', '{note}', now())"


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
    tamper(EDIT)

    assert verify(Request(start=51)).size == 300


@pytest.mark.usefixtures("ledger")
def test_strict_refuses_a_text_that_only_looks_like_an_entry(signer: Signer, tamper: Callable[..., None]) -> None:
    rewrite(signer, tamper)
    tamper("UPDATE ledger_entry SET body = body || ' ' WHERE index = 50", "DELETE FROM ledger_node")
    body = Entry.objects.get(index=50).body
    assert body.endswith("} ")
    tamper(REHASH)

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
