"""The tree over the entries: RFC 6962 §2.1 with SHA-256, kept as the tiles of C2SP tlog-tiles.

Pure: hashes come in through a reader and go out as values. Level 0 holds the leaf hashes; a node of level n is the
root of 256^n leaves that are all there, so nodes never change and are only ever added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: Height of a tile: each level of nodes stands for eight levels of the tree.
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

EMPTY_ROOT = hashlib.sha256(b"").digest()


class Reader(Protocol):
    """Whoever can look up the nodes of a tree."""

    def nodes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Return the nodes `start` (included) to `stop` (excluded) of the level, all of them there."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """One node to keep: the root of the leaves `index * 256^level` to `(index + 1) * 256^level`."""

    level: int
    index: int
    hash: bytes


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 over 0x00 and the bytes of the entry."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256 over 0x01 and its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(width: int) -> int:
    """Return the largest power of two below `width`, where RFC 6962 splits a range. `width` is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


class CompactRange:
    """The roots of the perfect subtrees that make up the first `size` leaves, the largest first.

    This is all that is needed to append: O(log n) hashes.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError(f"A range of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}.")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> list[Node]:
        """Add a leaf and return the nodes that it completes, the leaf itself included."""
        completed = [Node(0, self.size, leaf)]
        node, height = leaf, 0
        while (self.size >> height) & 1:
            node = node_hash(self.peaks.pop(), node)
            height += 1
            if height % TILE_HEIGHT == 0:
                completed.append(Node(height // TILE_HEIGHT, self.size >> height, node))
        self.peaks.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root of the tree over the leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


class Tree:
    """A tree of `size` leaves behind a reader. Nodes are read by whole tiles and remembered."""

    def __init__(self, size: int, reader: Reader) -> None:
        self.size = size
        self._reader = reader
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}
        self._subtrees: dict[tuple[int, int], bytes] = {}

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves (all of them when not said)."""
        size = self._checked_size(self.size if size is None else size)
        return self._range_hash(0, size) if size else EMPTY_ROOT

    def compact_range(self) -> CompactRange:
        """Return the state from which leaves can be appended."""
        peaks, start = [], 0
        for height in reversed(range(self.size.bit_length())):
            if self.size >> height & 1:
                peaks.append(self._subtree(height, start >> height))
                start += 1 << height
        return CompactRange(self.size, peaks)

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of leaf `index` in the tree of `size`, from the leaf's sibling up (RFC 6962 §2.1.1)."""
        size = self._checked_size(self.size if size is None else size)
        if not 0 <= index < size:
            raise ValueError(f"There is no entry {index} in a tree of {size}.")
        path, start, stop = [], 0, size
        while stop - start > 1:
            middle = start + split(stop - start)
            if index < middle:
                path.append(self._range_hash(middle, stop))
                stop = middle
            else:
                path.append(self._range_hash(start, middle))
                start = middle
        return path[::-1]

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Return the proof that the tree of `old` leaves is a prefix of the one of `new` (RFC 6962 §2.1.2)."""
        new = self._checked_size(self.size if new is None else new)
        if not 0 < old <= new:
            raise ValueError(f"There is no consistency proof from {old} to {new}.")
        path, start, stop = [], 0, new
        while old != stop:
            middle = start + split(stop - start)
            if old <= middle:
                path.append(self._range_hash(middle, stop))
                stop = middle
            else:
                path.append(self._range_hash(start, middle))
                start = middle
        if start:
            path.append(self._range_hash(start, stop))
        return path[::-1]

    def _checked_size(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"The tree has {self.size} leaves, not {size}.")
        return size

    def _range_hash(self, start: int, stop: int) -> bytes:
        """Return the root over the leaves `start` to `stop`; `start` is a multiple of the power of two above it."""
        width = stop - start
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            return self._subtree(height, start >> height)
        middle = start + split(width)
        return node_hash(self._range_hash(start, middle), self._range_hash(middle, stop))

    def _subtree(self, height: int, index: int) -> bytes:
        """Return the root of the perfect subtree of 2^height leaves at `index`."""
        if height % TILE_HEIGHT == 0:
            return self._node(height // TILE_HEIGHT, index)
        known = self._subtrees.get((height, index))
        if known is None:
            known = node_hash(self._subtree(height - 1, index * 2), self._subtree(height - 1, index * 2 + 1))
            self._subtrees[height, index] = known
        return known

    def _node(self, level: int, index: int) -> bytes:
        number, offset = divmod(index, TILE_WIDTH)
        tile = self._tiles.get((level, number))
        if tile is None:
            stop = min((number + 1) * TILE_WIDTH, self.size >> (TILE_HEIGHT * level))
            tile = self._tiles[level, number] = self._reader.nodes(level, number * TILE_WIDTH, stop)
        return tile[offset]
