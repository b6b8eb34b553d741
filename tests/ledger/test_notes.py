"""Signed notes, checkpoints and proof files, and Ed25519 in plain Python against the library."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.ledger.merkle import leaf_hash, node_hash
from governance.ledger.notes import BadKey, Signer, proof_file
from governance.ledger.standalone import (
    Unverified,
    check_proof,
    open_checkpoint,
    open_note,
    parse_proof,
    parse_verifier_key,
    verify_ed25519,
)

#: RFC 8032 §7.1: public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
#: The example of Go's golang.org/x/mod/sumdb/note: a key and a note that other software made.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


@pytest.fixture
def signer() -> Signer:
    return Signer.generate("example.com/ledger")


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_ed25519_accepts_the_published_vectors(public: str, message: str, signature: str) -> None:
    assert verify_ed25519(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))
    assert not verify_ed25519(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message) + b"x")


def library_verdict(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64), st.integers(0, 95), st.integers(1, 255))
def test_ed25519_agrees_with_the_library_on_signatures_and_damage(
    seed: bytes, message: bytes, place: int, damage: int
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    both = bytearray(public + signature)
    both[place] ^= damage
    bent_public, bent_signature = bytes(both[:32]), bytes(both[32:])

    assert verify_ed25519(public, signature, message)
    assert not verify_ed25519(bent_public, bent_signature, message)
    assert not library_verdict(bent_public, bent_signature, message)


def test_ed25519_refuses_a_signature_with_the_order_added() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    private = Ed25519PrivateKey.generate()
    signature = private.sign(b"text")
    scalar = int.from_bytes(signature[32:], "little") + order

    malleable = signature[:32] + scalar.to_bytes(32, "little")

    assert not verify_ed25519(private.public_key().public_bytes_raw(), malleable, b"text")


def test_a_note_that_other_software_signed_is_read() -> None:
    text = open_note(GO_NOTE, parse_verifier_key(GO_KEY))

    assert text.startswith("If you think cryptography")


def test_a_checkpoint_says_origin_size_and_root(signer: Signer) -> None:
    root = leaf_hash(b"x")

    checkpoint = open_checkpoint(signer.checkpoint(7, root), parse_verifier_key(signer.verifier_key))

    assert checkpoint == ("example.com/ledger", 7, root)


def test_a_key_survives_its_text_form_and_damage_is_noticed(signer: Signer) -> None:
    text = signer.private_text()

    assert Signer.parse(text + "\n").verifier_key == signer.verifier_key
    for damaged in ("", text[:-4], text.replace("example", "exampel"), text.replace("PRIVATE", "PUBLIC"), text + "A"):
        with pytest.raises(BadKey) as caught:
            Signer.parse(damaged)
        assert text[-20:] not in str(caught.value)


def test_an_unknown_signature_beside_a_known_one_is_ignored(signer: Signer) -> None:
    other = Signer.generate("witness.example")
    note = signer.checkpoint(1, leaf_hash(b"x"))
    stranger = other.sign(note.rpartition("\n\n")[0] + "\n").rpartition("\n\n")[2]

    assert open_checkpoint(note + stranger, parse_verifier_key(signer.verifier_key)).size == 1


def test_a_bad_signature_of_a_known_key_rejects_the_whole_note(signer: Signer) -> None:
    note = signer.checkpoint(1, leaf_hash(b"x"))
    elsewhere = signer.checkpoint(2, leaf_hash(b"x")).rpartition("\n\n")[2]

    with pytest.raises(Unverified, match="does not hold"):
        open_checkpoint(note + elsewhere, parse_verifier_key(signer.verifier_key))


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda note: note.replace("\n7\n", "\n8\n"), id="other size"),
        pytest.param(lambda note: note.replace("\n7\n", "\n07\n"), id="leading zero"),
        pytest.param(lambda note: note.replace("\n7\n", "\n7\r\n"), id="carriage return"),
        pytest.param(lambda note: note.replace("example.com", "exampel.com", 1), id="other origin"),
        pytest.param(lambda note: note[:-1], id="no final newline"),
        pytest.param(lambda note: note.rpartition("\n\n")[0] + "\n", id="no signature"),
        pytest.param(lambda note: note.replace("\N{EM DASH}", "-"), id="hyphen for dash"),
        pytest.param(lambda note: note + "\x07", id="control character"),
        pytest.param(lambda note: note + "garbage\n", id="malformed line"),
        pytest.param(lambda note: "", id="empty"),
    ],
)
def test_a_bent_checkpoint_is_refused(signer: Signer, bend) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Unverified):
        open_checkpoint(bend(signer.checkpoint(7, leaf_hash(b"x"))), parse_verifier_key(signer.verifier_key))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("example.com/ledger\n7\n%s\nextension\n", id="extension line"),
        pytest.param("example.com/ledger\n+7\n%s\n", id="signed size"),
        pytest.param("example.com/ledger\n7\nAAAA\n", id="short root"),
        pytest.param("example.org/ledger\n7\n%s\n", id="another log"),
        pytest.param("example.com/ledger\n7\n", id="no root"),
    ],
)
def test_a_well_signed_note_that_is_no_checkpoint_of_ours_is_refused(signer: Signer, text: str) -> None:
    root = base64.b64encode(leaf_hash(b"x")).decode()

    with pytest.raises(Unverified):
        open_checkpoint(signer.sign(text.replace("%s", root)), parse_verifier_key(signer.verifier_key))


def test_the_wrong_key_is_not_taken_from_the_note(signer: Signer) -> None:
    mallory = Signer.generate("example.com/ledger")

    with pytest.raises(Unverified, match=r"no signature of example\.com/ledger"):
        open_checkpoint(mallory.checkpoint(1, leaf_hash(b"x")), parse_verifier_key(signer.verifier_key))


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda key: key.replace("example", "exampel"), id="other name"),
        pytest.param(lambda key: key[:-4], id="cut"),
        pytest.param(lambda key: key.replace("+", " ", 1), id="no id"),
        pytest.param(lambda key: "", id="empty"),
    ],
)
def test_a_damaged_verifier_key_is_refused(signer: Signer, bend) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Unverified):
        parse_verifier_key(bend(signer.verifier_key))


def test_a_proof_file_shows_that_an_entry_is_in_the_log(signer: Signer) -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    root = node_hash(left, right)
    proof = proof_file(1, [left], signer.checkpoint(2, root))

    index, checkpoint = check_proof(b"right", proof, parse_verifier_key(signer.verifier_key))

    assert (index, checkpoint.size) == (1, 2)
    with pytest.raises(Unverified):
        check_proof(b"wrong", proof, parse_verifier_key(signer.verifier_key))


def test_extra_data_of_a_proof_file_is_skipped_and_damage_refused() -> None:
    proof = parse_proof("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 3\n\nnote\n")

    assert (proof.entry, proof.path, proof.checkpoint) == (3, [], "note\n")
    for damaged in (
        "",
        "c2sp.org/tlog-proof@v1\nindex 03\n\n",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n",
    ):
        with pytest.raises(Unverified):
            parse_proof(damaged)
