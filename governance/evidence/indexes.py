"""Sets of ledger entries that fit into memory however many rows rest on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set


class Indexes(Set[int]):
    """A set of indexes of ledger entries, a bit for each up to the highest; iterated from the lowest on."""

    def __init__(self, indexes: Iterable[int] = ()) -> None:
        """Hold these indexes, each 0 or more."""
        self._bits = bytearray()
        self.update(indexes)

    def update(self, indexes: Iterable[int]) -> None:
        """Take in these as well."""
        for index in indexes:
            place, bit = divmod(index, 8)
            if place >= len(self._bits):
                self._bits.extend(bytes(max(place + 1, 2 * len(self._bits)) - len(self._bits)))
            self._bits[place] |= 1 << bit

    def __contains__(self, index: object) -> bool:
        """Tell whether an index is in it."""
        if not isinstance(index, int) or not 0 <= index < 8 * len(self._bits):
            return False
        return bool(self._bits[index // 8] & 1 << index % 8)

    def __iter__(self) -> Iterator[int]:
        """Yield the indexes, the lowest first."""
        for place, bits in enumerate(self._bits):
            if bits:
                yield from (8 * place + bit for bit in range(8) if bits & 1 << bit)

    def __len__(self) -> int:
        """Return how many there are."""
        return int.from_bytes(self._bits).bit_count()
