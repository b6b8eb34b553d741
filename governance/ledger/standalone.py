"""Check a ledger without trusting the one who keeps it: the standard library only, nothing of Gatehouse.

Evidence ships this module word for word inside `verify.py`. It shares no code with the part that writes, and it reads
Python 3.8 and newer. Everything that does not hold raises `Unverified` with a sentence.
Formats: RFC 8785, RFC 6962, RFC 8032, c2sp.org/signed-note, /tlog-checkpoint, /tlog-proof; docs/ledger-format.md.
"""

# ruff: noqa: UP006, UP031, UP035 -- an auditor's Python may be as old as 3.8.

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple


class Unverified(Exception):
    """A check did not hold. The text says which."""


class NotSigned(Unverified):
    """Nothing in the note is by the key; the note may be as it was written."""


# Canonical JSON


def read_canonical(text: str) -> Any:
    """Return what the text says, or raise when it is not canonical JSON (RFC 8785, the subset of the format)."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_members,
            parse_int=_safe_integer,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
        if json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) != text:
            raise Unverified("the text is not canonical JSON")
        text.encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Unverified("the text is not JSON of the subset: %s" % error) from error
    return value


def _unique_members(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unverified("a member appears twice in one object")
    if not all(name.isascii() for name in members):
        raise Unverified("a member name is not ASCII")
    return members


def _safe_integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > _LARGEST:
        raise Unverified("an integer is beyond 2^53")
    return int(digits)


def _no_number(digits: str) -> Any:
    raise Unverified("a number is not an integer: %s" % digits)


_TRANSACTION = re.compile(r"[1-9][0-9]{0,19}\Z")


def transaction_of(entry: Dict[str, Any]) -> str | None:
    """Return the database transaction of an entry; None in version 1, which does not say it.

    Raises when the entry is of a version that this verifier does not know, or says it where it cannot.
    """
    if entry["v"] == 1 and "transaction" not in entry:
        return None
    if entry["v"] != 2 or not _TRANSACTION.match(entry["transaction"]):
        raise Unverified("the entry is of no version that is known here")
    return str(entry["transaction"])


# Merkle tree (RFC 6962 2.1, verification as in RFC 9162 2.1.3 and 2.1.4)


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of an entry as a leaf of the tree."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node of the tree."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class RootBuilder:
    """Folds leaf hashes into the root, one after the other."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: List[Tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Add the next leaf hash."""
        self.size += 1
        height, node = 0, leaf
        while self._peaks and self._peaks[-1][0] == height:
            node = node_hash(self._peaks.pop()[1], node)
            height += 1
        self._peaks.append((height, node))

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        node = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that the inclusion proof leads to; the caller compares it with a signed one."""
    if not 0 <= index < size:
        raise Unverified("entry %d is not inside a tree of %d" % (index, size))
    node, position, last = leaf, index, size - 1
    for sibling in path:
        if last == 0 or len(sibling) != 32:
            raise Unverified("the inclusion proof has a hash too many or one of the wrong length")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise Unverified("the inclusion proof is too short")
    return node


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check that the leaf is entry `index` of the tree with that size and root."""
    if root_from_inclusion(leaf, index, size, path) != root:
        raise Unverified("entry %d does not lead to the signed root of size %d" % (index, size))


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree of `old` leaves is a prefix of the tree of `new`: nothing was rewritten in between."""
    if not 0 < old <= new:
        raise Unverified("no consistency can be shown from size %d to %d" % (old, new))
    if old == new:
        if path or old_root != new_root:
            raise Unverified("two different trees of size %d" % old)
        return
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes or any(len(node) != 32 for node in hashes):
        raise Unverified("the consistency proof is too short or has a hash of the wrong length")
    old_node, new_node = _consistent_roots(old, new, hashes)
    if old_node != old_root or new_node != new_root:
        raise Unverified("the tree of size %d is not a prefix of the tree of size %d" % (old, new))


def _consistent_roots(old: int, new: int, hashes: List[bytes]) -> Tuple[bytes, bytes]:
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_node = new_node = hashes[0]
    for node in hashes[1:]:
        if last == 0:
            raise Unverified("the consistency proof has a hash too many")
        if position & 1 or position == last:
            old_node, new_node = node_hash(node, old_node), node_hash(node, new_node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, node)
        position >>= 1
        last >>= 1
    if last:
        raise Unverified("the consistency proof is too short")
    return old_node, new_node


# Ed25519 (RFC 8032 5.1), verification only: nothing here is secret, so nothing has to take constant time

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_Point = Tuple[int, int, int, int]


def _decompress(encoded: bytes) -> _Point:
    number = int.from_bytes(encoded, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= _P:
        raise Unverified("a point of the signature is not canonical")
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        raise Unverified("a point of the signature is not on the curve")
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _add(one: _Point, two: _Point) -> _Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


_BASE = _decompress((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether the signature over the message is by the public key (RFC 8032 5.1.7)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _L:
        return False
    try:
        key, commitment = _decompress(public), _decompress(signature[:32])
    except Unverified:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _L
    left, right = _times(scalar, _BASE), _add(commitment, _times(challenge, key))
    return not ((left[0] * right[2] - right[0] * left[2]) % _P or (left[1] * right[2] - right[1] * left[2]) % _P)


def public_ed25519(secret: bytes) -> bytes:
    """Return the public key of a 32-byte secret (RFC 8032 5.1.5)."""
    return _compress(_times(_secret_scalar(secret), _BASE))


def sign_ed25519(secret: bytes, message: bytes) -> bytes:
    """Return the signature over the message (RFC 8032 5.1.6). Not in constant time: for a machine of one's own."""
    scalar, public = _secret_scalar(secret), public_ed25519(secret)
    nonce = int.from_bytes(hashlib.sha512(hashlib.sha512(secret).digest()[32:] + message).digest(), "little") % _L
    commitment = _compress(_times(nonce, _BASE))
    challenge = int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little") % _L
    return commitment + ((nonce + challenge * scalar) % _L).to_bytes(32, "little")


def _secret_scalar(secret: bytes) -> int:
    number = int.from_bytes(hashlib.sha512(secret).digest()[:32], "little")
    return number & ((1 << 254) - 8) | (1 << 254)


def _compress(point: _Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


# Signed notes, checkpoints, proof files

_KEY_NAME = re.compile(r"[^\s+]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_LARGEST = 2**53 - 1
_MAX_SIGNATURES = 64


class VerifierKey(NamedTuple):
    """A key to pin: the name, the four-byte id and the 32 public bytes."""

    name: str
    key_id: bytes
    public: bytes

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the public key in hexadecimal, to be read out or compared on paper."""
        return hashlib.sha256(self.public).hexdigest()


class Checkpoint(NamedTuple):
    """What a signed checkpoint says."""

    origin: str
    size: int
    root: bytes


class Proof(NamedTuple):
    """What a proof file says; `checkpoint` is the text of the signed checkpoint, not yet verified."""

    entry: int
    path: List[bytes]
    checkpoint: str


Verify = Callable[[bytes, bytes, bytes], bool]


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key that a vkey line spells (`name+id+base64`)."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not _KEY_NAME.fullmatch(parts[0]):
        raise Unverified("this is not a verifier key (name+id+base64)")
    encoded = decode_base64(parts[2])
    if len(encoded) != 33 or encoded[0] != 1:
        raise Unverified("the verifier key is damaged or not Ed25519")
    key_id = hashlib.sha256(parts[0].encode("utf-8") + b"\n" + encoded).digest()[:4]
    if key_id.hex() != parts[1]:
        raise Unverified("the id of the verifier key does not fit the key")
    return VerifierKey(parts[0], key_id, encoded[1:])


def open_note(note: str, key: VerifierKey, verify: Verify = verify_ed25519, also: Sequence[VerifierKey] = ()) -> str:
    """Return the text of the note once the signature of the key, or of one of `also`, holds.

    Lines of other keys are ignored; a line of a known key that does not hold spoils the note.
    `verify` may be a faster Ed25519 with the same arguments (public key, signature, message).
    """
    verified = False
    known = {(one.name, one.key_id): one for one in (key, *also)}
    text, lines = signature_lines(note)
    for _, name, key_id, signature in lines:
        if (name, key_id) not in known:
            continue
        if not verify(known[name, key_id].public, signature, text.encode("utf-8")):
            raise Unverified("the signature of %s does not hold" % name)
        verified = True
    if not verified:
        raise NotSigned("no signature of %s on the note" % key.name)
    return text


def signature_lines(note: str) -> Tuple[str, List[Tuple[str, str, bytes, bytes]]]:
    """Return the text of the note and its signatures, not yet verified: line, name, key id and signature of each."""
    if any(character < " " and character != "\n" for character in note):
        raise Unverified("the note contains control characters")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise Unverified("this is not a signed note")
    signatures = lines[:-1].split("\n")
    if len(signatures) > _MAX_SIGNATURES:
        raise Unverified("the note carries too many signatures")
    return text + "\n", [(line + "\n", *_signature_line(line)) for line in signatures]


def _signature_line(line: str) -> Tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not _KEY_NAME.fullmatch(parts[1]):
        raise Unverified("a signature line of the note is malformed")
    encoded = decode_base64(parts[2])
    if len(encoded) < 5:
        raise Unverified("a signature of the note is too short")
    return parts[1], encoded[:4], encoded[4:]


def open_checkpoint(
    note: str, key: VerifierKey, verify: Verify = verify_ed25519, also: Sequence[VerifierKey] = ()
) -> Checkpoint:
    """Return what the checkpoint says once a signature holds, as in `open_note`, and the origin is the key's name."""
    said = _read_checkpoint(open_note(note, key, verify, also))
    if said.origin != key.name:
        raise Unverified("the checkpoint is of another log: %s" % said.origin)
    return said


def open_any_checkpoint(note: str) -> Checkpoint:
    """Return what a checkpoint says without looking at its signatures: for one that was verified before."""
    return _read_checkpoint(signature_lines(note)[0])


def _read_checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise Unverified("the checkpoint is not origin, size and root")
    origin, size, root = lines[0], lines[1], decode_base64(lines[2])
    if not is_count(size) or len(root) != 32:
        raise Unverified("the size or the root of the checkpoint is malformed")
    return Checkpoint(origin, int(size), root)


def is_count(digits: str) -> bool:
    """Tell whether this is a size or an index, as sizes and indices are spelled: what every program can hold."""
    return _DECIMAL.fullmatch(digits) is not None and int(digits) <= _LARGEST


def parse_proof(text: str) -> Proof:
    """Return what a `.tlog-proof` file says."""
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Unverified("this is not a proof file")
    rest = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
    if not rest or not rest[0].startswith("index ") or not is_count(rest[0][6:]):
        raise Unverified("the proof file does not say its index")
    path = [decode_base64(line) for line in rest[1:]]
    if any(len(node) != 32 for node in path):
        raise Unverified("the proof file has a hash of the wrong length")
    return Proof(int(rest[0][6:]), path, checkpoint)


def check_proof(
    body: bytes, proof: str, key: VerifierKey, verify: Verify = verify_ed25519, also: Sequence[VerifierKey] = ()
) -> Tuple[int, Checkpoint]:
    """Return index and checkpoint of the entry with this body, once the proof file shows that it is in the log."""
    parsed = parse_proof(proof)
    checkpoint = open_checkpoint(parsed.checkpoint, key, verify, also)
    check_inclusion(leaf_hash(body), parsed.entry, checkpoint.size, checkpoint.root, parsed.path)
    return parsed.entry, checkpoint


def read_rotation(body: bytes) -> Tuple[VerifierKey, VerifierKey]:
    """Return the keys before and after that an entry `log.key_rotated` names, both of one name."""
    said = read_canonical(body.decode("utf-8"))
    data = said.get("data") if isinstance(said, dict) and said.get("event") == "log.key_rotated" else None
    keys = [data.get(name) for name in ("previous", "verifier_key")] if isinstance(data, dict) else []
    texts = [key for key in keys if isinstance(key, str)]
    if len(texts) != 2:
        raise Unverified("the entry does not change the key")
    before, after = map(parse_verifier_key, texts)
    if before.name != after.name:
        raise Unverified("the entry changes the name of the log")
    return before, after


def rotated_key(body: bytes, trusted: Sequence[VerifierKey]) -> VerifierKey:
    """Return the key that an entry `log.key_rotated` names, when a trusted key came before it.

    The caller has shown that the entry is in a log that a trusted key signed.
    """
    before, after = read_rotation(body)
    if before not in trusted:
        raise Unverified("the entry changes a key that is not trusted")
    return after


def follow_rotations(
    key: VerifierKey, rotations: Sequence[Tuple[bytes, str]], verify: Verify = verify_ed25519
) -> List[VerifierKey]:
    """Return the pinned key and those that the log has gone over to since, each shown by an entry and its proof file.

    `rotations` are in the order of the log. Each proof's head must be signed by a key that was trusted before.
    """
    trusted = [key]
    for body, proof in rotations:
        check_proof(body, proof, key, verify, trusted)
        trusted.append(rotated_key(body, trusted))
    return trusted


class Break(NamedTuple):
    """What an entry `log.reopened` says: this log goes on from the first `size` entries of another one."""

    former: str
    size: int
    root: bytes
    cause: str
    why: str
    #: Heads of the former log are evidence up to this size.
    trusted_size: int
    #: The largest head known of the former log, or of the one before, when it reached further than what is left.
    lost: Checkpoint | None
    previous: VerifierKey
    key: VerifierKey


def read_break(body: bytes) -> Break:
    """Return what the entry says of the log before. The caller has shown that it is in a log that a trusted key signed.

    Its place in the log has to be `size`, and the tree of the entries before it has to have the root `root`.
    """
    try:
        said = read_canonical(body.decode("utf-8"))
        if said["event"] != "log.reopened":
            raise Unverified("the entry does not reopen a log")
        data = said["data"]
        former = _former(data["former"])
        found = Break(
            former.origin,
            former.size,
            former.root,
            _text(data["cause"]),
            _text(data["why"]),
            _count(data["trusted_size"]),
            None if data["lost"] is None else _former(data["lost"]),
            parse_verifier_key(_text(data["previous"])),
            parse_verifier_key(_text(data["verifier_key"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unverified("the entry that reopens the log is malformed: %s" % error) from error
    if found.previous.name != found.former or found.key.name == found.former or found.trusted_size > found.size:
        raise Unverified("the entry that reopens the log contradicts itself")
    return found


def _former(said: Any) -> Checkpoint:
    if not re.fullmatch(r"[0-9a-f]{64}", _text(said["root"])):
        raise Unverified("a root is not 64 hexadecimal digits")
    return Checkpoint(_text(said["origin"]), _count(said["size"]), bytes.fromhex(said["root"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unverified("a value that is to be a text is none")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Unverified("a value that is to be a size is none")
    return value


def commitment(salt: str, field: str, value: str) -> str:
    """Return the digest that an entry holds in place of a private value (the disclosure of RFC 9901 4.2)."""
    disclosure = json.dumps([salt, field, value], ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    encoded = base64.urlsafe_b64encode(disclosure).rstrip(b"=")
    return base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).rstrip(b"=").decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes that canonical base64 spells."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unverified("a base64 value is malformed") from error
    if base64.b64encode(decoded).decode("ascii") != text:
        raise Unverified("a base64 value is not canonical")
    return decoded
