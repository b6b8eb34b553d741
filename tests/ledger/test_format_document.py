"""docs/ledger-format.md is enough to write a verifier: here is one that was, with nothing of Gatehouse in it.

It reads bodies, heads and a key as texts, and uses hashlib, json and an Ed25519 of somebody else's.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from governance.core.actor import Actor
from governance.ledger.models import Checkpoint, Entry
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything

pytestmark = pytest.mark.django_db
ORIGIN = "format.test/ledger"


def note(name: str) -> None:
    with transaction.atomic():
        record("ledger.tested", actor=Actor.system("test"), subjects=[Subject("test", name)])


def stranger(bodies: Sequence[str], head: str, vkey: str) -> str:
    """Return what does not hold of a log, as somebody who only read the document would find it; empty when all does."""
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    if hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() != key_id:
        return "the key"
    text, _, lines = head.partition("\n\n")
    text += "\n"
    signatures = [line.split(" ") for line in lines.splitlines()]
    mine = [base64.b64decode(said) for _, whose, said in signatures if whose == name]
    mine = [said[4:] for said in mine if said[:4].hex() == key_id]
    try:
        for signature in mine:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature, text.encode())
    except InvalidSignature:
        return "the signature"
    if not mine:
        return "the signature"
    origin, size, root = text.splitlines()
    if (origin, int(size)) != (name, len(bodies)):
        return "the size"
    for index, body in enumerate(bodies):
        value = json.loads(body)
        if json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) != body:
            return f"entry {index}"
        if sorted(value) != sorted(MEMBERS[value["v"]]):
            return f"entry {index}"
    leaves = [hashlib.sha256(b"\x00" + body.encode()).digest() for body in bodies]
    return "" if base64.b64encode(tree(leaves)).decode() == root else "the root"


MEMBERS = {1: ["v", "event", "at", "actor", "correlation", "subjects", "data", "private"]}
MEMBERS[2] = [*MEMBERS[1], "transaction"]


def tree(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()


def log() -> tuple[list[str], str]:
    newest = Checkpoint.objects.order_by("-size").values_list("note", flat=True).first()
    assert newest is not None
    return list(Entry.objects.order_by("index").values_list("body", flat=True)), newest


def test_a_stranger_with_the_document_alone_verifies_the_log_and_finds_what_was_changed() -> None:
    key = Signer.generate(ORIGIN)
    for number in range(7):
        note(f"number {number}")
    seal_everything(signer=key)
    bodies, head = log()

    assert stranger(bodies, head, key.verifier_key) == ""

    assert (
        stranger([*bodies[:2], bodies[2].replace("number", "numbir"), *bodies[3:]], head, key.verifier_key)
        == "the root"
    )
    assert stranger([*bodies[:2], bodies[2] + " ", *bodies[3:]], head, key.verifier_key) == "entry 2"
    assert stranger(bodies[:-1], head, key.verifier_key) == "the size"
    assert stranger([bodies[1], bodies[0], *bodies[2:]], head, key.verifier_key) == "the root"
    assert stranger(bodies, head.replace(f"\n{len(bodies)}\n", "\n99\n"), key.verifier_key) == "the signature"
    assert stranger(bodies, head, Signer.generate(ORIGIN).verifier_key) == "the signature"
