"""All keys that sign at a time: the log's own, those it follows or precedes for an overlap, and a second kind of line.

Their text is one line for each key, oldest first, as it is kept in the key file:

    PRIVATE+KEY+name+id+base64                     an Ed25519 key, in the text of Go's sumdb/note
    COMMAND name+id+base64 program argument …      an Ed25519 key held elsewhere (a KMS): the program signs its input
    PRIVATE+ML-DSA-44+name+id+base64               a second line that stands when Ed25519 no longer does
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from governance.ledger.notes import ED25519, BadKey, Signer, checkpoint_text, note_line, signed_note

#: The signature type of timestamped ML-DSA-44 in c2sp.org/tlog-cosignature.
ML_DSA_44 = b"\x06"
_SECONDS_TO_SIGN = 10


class CannotSign(Exception):
    """The program that holds the key did not give a signature that holds. Nothing is sealed meanwhile."""


class SigningKey(Protocol):
    """An Ed25519 key that signs notes, wherever it is kept."""

    @property
    def name(self) -> str:
        """Return the name of the key, which is the origin of the log."""
        ...

    @property
    def verifier_key(self) -> str:
        """Return the public verifier key (vkey), the text to pin."""
        ...

    def signature_line(self, text: str) -> str:
        """Return the line that signs the text of a note."""
        ...

    def private_text(self) -> str:
        """Return the line of the key file."""
        ...


@dataclass(frozen=True, slots=True)
class CommandSigner:
    """A key that a program holds. The program gets the text on its standard input and prints the base64 of 64 bytes."""

    name: str
    key_id: bytes
    public: bytes
    command: tuple[str, ...]

    @classmethod
    def parse(cls, line: str) -> CommandSigner:
        """Return the key that a line of the key file names, or raise BadKey."""
        try:
            _, verifier_key, *command = shlex.split(line)
            name, key_id, encoded = verifier_key.split("+", 2)
            public = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise BadKey("A line of the key file is not COMMAND, a verifier key and a program.") from error
        if len(public) != 33 or public[:1] != ED25519 or not command:
            raise BadKey("A line of the key file is not COMMAND, a verifier key and a program.")
        if _key_id(name, public).hex() != key_id:
            raise BadKey("The verifier key beside a command is damaged: its key id does not fit.")
        return cls(name, bytes.fromhex(key_id), public[1:], tuple(command))

    @property
    def verifier_key(self) -> str:
        """Return the public verifier key (vkey), the text to pin."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def private_text(self) -> str:
        """Return the line of the key file."""
        return f"COMMAND {self.verifier_key} {shlex.join(self.command)}"

    def signature_line(self, text: str) -> str:
        """Return the line that signs the text of a note. Raises CannotSign."""
        try:
            done = subprocess.run(
                self.command, input=text.encode(), capture_output=True, timeout=_SECONDS_TO_SIGN, check=True
            )
            signature = base64.b64decode(done.stdout.strip(), validate=True)
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (OSError, subprocess.SubprocessError) as error:
            raise CannotSign(f"The program that signs for {self.name} failed: {error}") from error
        except (binascii.Error, InvalidSignature) as error:
            raise CannotSign(f"The program that signs for {self.name} gave no signature of its key.") from error
        return note_line(self.name, self.key_id, signature)


@dataclass(frozen=True, slots=True)
class SecondSigner:
    """An ML-DSA-44 key that adds a line of its own to each head: evidence must stand longer than Ed25519 may."""

    name: str
    _private: MLDSA44PrivateKey

    @classmethod
    def generate(cls, name: str) -> SecondSigner:
        """Return a new key under the name of the log."""
        return cls(name, MLDSA44PrivateKey.generate())

    @classmethod
    def parse(cls, line: str) -> SecondSigner:
        """Return the key that a line of the key file spells, or raise BadKey."""
        parts = line.split("+", 4)
        try:
            encoded = base64.b64decode(parts[4], validate=True)
            signer = cls(parts[2], MLDSA44PrivateKey.from_seed_bytes(encoded[1:]))
        except (IndexError, ValueError) as error:
            raise BadKey("The ML-DSA-44 key is damaged.") from error
        if encoded[:1] != ML_DSA_44 or signer.key_id.hex() != parts[3]:
            raise BadKey("The ML-DSA-44 key is damaged: its key id does not fit.")
        return signer

    def private_text(self) -> str:
        """Return the line of the key file."""
        encoded = base64.b64encode(ML_DSA_44 + self._private.private_bytes_raw()).decode()
        return f"PRIVATE+ML-DSA-44+{self.name}+{self.key_id.hex()}+{encoded}"

    @property
    def public(self) -> bytes:
        """Return the 1,312 bytes of the public key."""
        return self._private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that name the key in signature lines."""
        return _key_id(self.name, ML_DSA_44 + self.public)

    @property
    def verifier_key(self) -> str:
        """Return the public verifier key (vkey) of the second line."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ML_DSA_44 + self.public).decode()}"

    def checkpoint_line(self, size: int, root: bytes, *, at: int) -> str:
        """Return the line for the head: a cosignature of c2sp.org/tlog-cosignature at a POSIX time."""
        signature = self._private.sign(cosigned_message(self.name, at, self.name, size, root))
        return note_line(self.name, self.key_id, at.to_bytes(8, "big") + signature)


def cosigned_message(cosigner: str, at: int, origin: str, size: int, root: bytes) -> bytes:
    """Return what an ML-DSA-44 cosignature signs about a whole tree (c2sp.org/tlog-cosignature, `cosigned_message`)."""
    named = (len(cosigner.encode()).to_bytes(1, "big") + cosigner.encode(), at.to_bytes(8, "big"))
    of = (len(origin.encode()).to_bytes(1, "big") + origin.encode(), bytes(8), size.to_bytes(8, "big"), root)
    return b"subtree/v1\n\0" + b"".join(named) + b"".join(of)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one log, oldest first, and the second line when there is one."""

    keys: tuple[SigningKey, ...]
    second: SecondSigner | None = None

    @classmethod
    def of(cls, signer: SigningKey | KeyRing) -> KeyRing:
        """Return the ring, or a ring of the one key."""
        return signer if isinstance(signer, KeyRing) else cls((signer,))

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Return the keys that the text spells. Raises BadKey for what is none, or is of several logs."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        seconds = [SecondSigner.parse(line) for line in lines if line.startswith("PRIVATE+ML-DSA-44+")]
        keys = [_parse_key(line) for line in lines if not line.startswith("PRIVATE+ML-DSA-44+")]
        if not keys:
            raise BadKey("This is not a signing key.")
        if len(seconds) > 1:
            raise BadKey("There is more than one ML-DSA-44 key.")
        ring = cls(tuple(keys), *seconds)
        if {key.name for key in keys} | {key.name for key in seconds} != {ring.name}:
            raise BadKey("The signing keys are of several logs.")
        return ring

    @property
    def name(self) -> str:
        """Return the origin of the log."""
        return self.keys[-1].name

    @property
    def verifier_key(self) -> str:
        """Return the public verifier key of the newest key."""
        return self.keys[-1].verifier_key

    def text(self) -> str:
        """Return the lines of the key file."""
        lines = [key.private_text() for key in self.keys] + ([self.second.private_text()] if self.second else [])
        return "".join(f"{line}\n" for line in lines)

    def checkpoint(self, size: int, root: bytes, *, by: Sequence[str] | None = None) -> str:
        """Return the checkpoint of the log at `size`, signed by all keys, or by those with the verifier keys `by`.

        Raises CannotSign.
        """
        text = checkpoint_text(self.name, size, root)
        lines = [key.signature_line(text) for key in self.keys if by is None or key.verifier_key in by]
        if self.second is not None:
            lines.append(self.second.checkpoint_line(size, root, at=int(time.time())))
        return signed_note(text, lines)


def _parse_key(line: str) -> SigningKey:
    return CommandSigner.parse(line) if line.startswith("COMMAND ") else Signer.parse(line)


def _key_id(name: str, encoded: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + encoded).digest()[:4]
