"""Which keys may sign the log at a place: the one it began with, and those it went over to on record.

Part of the inner check: it builds on `standalone` only.
"""

from __future__ import annotations

from governance.ledger import standalone
from governance.ledger.standalone import Break, Checkpoint, Unverified, VerifierKey, Verify

ROTATED = "log.key_rotated"
RETIRED = "log.key_retired"
REOPENED = "log.reopened"


class KeyChain:
    """The keys that are trusted, as the walk over the log goes on."""

    def __init__(self, key: VerifierKey) -> None:
        #: Every key that was ever trusted, oldest first.
        self.all = [key]
        self._trusted = [key]
        self._heard: list[tuple[str, bytes]] = []
        #: Where in `all` the keys of a later log begin: the log before it was broken off, and vouches for none of them.
        self._firsts: list[int] = []

    def hear(self, event: str, body: bytes) -> None:
        """Take note of an entry; what it says about keys counts once a head over it holds."""
        if event in {ROTATED, RETIRED}:
            self._heard.append((event, body))

    def go_over(self, reopened: Break) -> None:
        """Trust the key of the log that goes on from here, and none before it. Raises Unverified.

        Nothing in a log can vouch for that key: whoever pinned one of the log before has to pin the new one.
        """
        if reopened.previous not in self._trusted:
            raise Unverified("the log goes on from a key that was not trusted")
        self._firsts.append(len(self.all))
        self.all.append(reopened.key)
        self._trusted = [reopened.key]
        self._heard.clear()

    def open(self, note: str, verify: Verify) -> Checkpoint:
        """Return what the head says once a trusted key's signature holds. Raises Unverified."""
        return standalone.open_checkpoint(note, self._trusted[0], verify, self._trusted[1:])

    def open_since(self, key: VerifierKey, note: str, verify: Verify) -> Checkpoint:
        """Return what the head says once the key, or one its log went over to after it, has signed it."""
        place = self.all.index(key)
        stop = next((first for first in self._firsts if first > place), len(self.all))
        since = self.all[place:stop]
        return standalone.open_checkpoint(note, since[0], verify, since[1:])

    def head_holds(self) -> None:
        """Follow what was heard: a head over it holds. Raises Unverified."""
        for event, body in self._heard:
            if event == ROTATED:
                key = standalone.rotated_key(body, self._trusted)
                self.all.append(key)
                self._trusted.append(key)
            elif len(self._trusted) > 1:
                gone = standalone.read_canonical(body.decode())["data"]["verifier_key"]
                self._trusted = [key for key in self._trusted if key != standalone.parse_verifier_key(gone)]
        self._heard.clear()
