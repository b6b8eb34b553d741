"""A Merkle tree to forge with: roots and proofs as RFC 6962 defines them, sharing nothing with the product."""

from __future__ import annotations

import hashlib


class Tree:
    """RFC 6962 §2.1 as it is written there."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def root(self, start: int, stop: int) -> bytes:
        if stop - start == 1:
            return self.leaves[start]
        middle = start + self._split(stop - start)
        return hashlib.sha256(b"\x01" + self.root(start, middle) + self.root(middle, stop)).digest()

    def path(self, index: int) -> list[bytes]:
        return self._path(index, 0, len(self.leaves))

    def _path(self, index: int, start: int, stop: int) -> list[bytes]:
        if stop - start == 1:
            return []
        middle = start + self._split(stop - start)
        if index < middle:
            return [*self._path(index, start, middle), self.root(middle, stop)]
        return [*self._path(index, middle, stop), self.root(start, middle)]

    def consistency(self, old: int) -> list[bytes]:
        return self._sub(old, 0, len(self.leaves), True)

    def _sub(self, old: int, start: int, stop: int, whole: bool) -> list[bytes]:
        if old == stop - start:
            return [] if whole else [self.root(start, stop)]
        width = self._split(stop - start)
        if old <= width:
            return [*self._sub(old, start, start + width, whole), self.root(start + width, stop)]
        return [*self._sub(old - width, start + width, stop, False), self.root(start, start + width)]

    @staticmethod
    def _split(width: int) -> int:
        return 1 << (width - 1).bit_length() - 1
