"""What the ledger signs and hands out: C2SP signed notes, checkpoints and proof files.

Keys and texts in, texts out. Formats: c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature, /tlog-proof.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: The signature type of plain Ed25519 in a C2SP note.
ED25519 = b"\x01"


class BadKey(ValueError):
    """The text is not a signing key of the ledger. The sentence never repeats the key."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A named signing key. Its text form is the `PRIVATE+KEY+…` of Go's sumdb/note, so that other log tools read it."""

    name: str
    _private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Return a new key under the name, which is the origin of the log."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Return the key that `text` spells, or raise `BadKey`."""
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise BadKey("This is not a signing key.")
        try:
            encoded = base64.b64decode(parts[4], validate=True)
        except ValueError as error:
            raise BadKey("The signing key is damaged.") from error
        if len(encoded) != 33 or encoded[:1] != ED25519:
            raise BadKey("The signing key is damaged or not Ed25519.")
        signer = cls(parts[2], Ed25519PrivateKey.from_private_bytes(encoded[1:]))
        if signer.key_id.hex() != parts[3]:
            raise BadKey("The signing key is damaged: its key id does not fit.")
        return signer

    def private_text(self) -> str:
        """Return the secret text form, for the key file and nothing else."""
        encoded = base64.b64encode(ED25519 + self._private.private_bytes_raw()).decode()
        return f"PRIVATE+KEY+{self.name}+{self.key_id.hex()}+{encoded}"

    @property
    def public_bytes(self) -> bytes:
        """Return the 32 bytes of the public key."""
        return self._private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that name the key in signature lines."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public_bytes).digest()[:4]

    @property
    def verifier_key(self) -> str:
        """Return the public verifier key (vkey), the text to pin."""
        encoded = base64.b64encode(ED25519 + self.public_bytes).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def signature_line(self, text: str) -> str:
        """Return the line that signs the text of a note."""
        return note_line(self.name, self.key_id, self._private.sign(text.encode()))

    def sign(self, text: str) -> str:
        """Return the signed note over `text`, which ends in a newline."""
        return signed_note(text, [self.signature_line(text)])

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of the log at `size`."""
        return self.sign(checkpoint_text(self.name, size, root))


def checkpoint_text(name: str, size: int, root: bytes) -> str:
    """Return what a checkpoint says: origin, size and root, each on a line."""
    return f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"


def signed_note(text: str, lines: Sequence[str]) -> str:
    """Return the note: the text, which ends in a newline, and the lines that sign it."""
    if not text.endswith("\n") or any(character < " " and character != "\n" for character in text):
        raise ValueError("A note ends in a newline and has no other control characters.")
    return f"{text}\n{''.join(lines)}"


def note_line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"\N{EM DASH} {name} {base64.b64encode(key_id + signature).decode()}\n"


def proof_file(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """Return a `.tlog-proof`: that entry `index` is in the tree that the signed checkpoint names."""
    hashes = "".join(f"{base64.b64encode(node).decode()}\n" for node in path)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{checkpoint}"
