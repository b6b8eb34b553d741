"""The tree as it is kept in the database."""

from __future__ import annotations

from collections.abc import Sequence

from governance.ledger.merkle import Tree
from governance.ledger.models import Entry, Node


class StoredNodes:
    """Reads nodes: leaves from the entries, the rest from their own table."""

    def nodes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Return the nodes `start` to `stop` of the level. Raises LookupError when one is missing."""
        found: dict[int, bytes] = {}
        if level == 0:
            leaves = Entry.objects.filter(index__gte=start, index__lt=stop)
            found = {index: bytes(leaf) for index, leaf in leaves.values_list("index", "leaf_hash")}
        # Of level 0, only what was disposed of has its hash among the nodes.
        if len(found) < stop - start:
            rows = Node.objects.filter(level=level, index__gte=start, index__lt=stop)
            found |= {index: bytes(node) for index, node in rows.values_list("index", "hash")}
        if len(found) != stop - start:
            raise LookupError(f"The tree lacks nodes of level {level} between {start} and {stop}.")
        return [found[index] for index in range(start, stop)]


def stored_tree(size: int) -> Tree:
    """Return the tree over the first `size` entries. It keeps what it reads: use one for many proofs."""
    return Tree(size, StoredNodes())
