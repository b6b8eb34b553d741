"""The tree as it is kept in the database."""

from __future__ import annotations

from collections.abc import Sequence

from governance.ledger.merkle import Tree
from governance.ledger.models import Entry, Node


class StoredNodes:
    """Reads nodes: leaves from the entries, the rest from their own table."""

    def nodes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Return the nodes `start` to `stop` of the level. Raises LookupError when one is missing."""
        rows = (
            Entry.objects.filter(index__gte=start, index__lt=stop).order_by("index").values_list("leaf_hash", flat=True)
            if level == 0
            else Node.objects.filter(level=level, index__gte=start, index__lt=stop)
            .order_by("index")
            .values_list("hash", flat=True)
        )
        found = [bytes(row) for row in rows]
        if len(found) != stop - start:
            raise LookupError(f"The tree lacks nodes of level {level} between {start} and {stop}.")
        return found


def stored_tree(size: int) -> Tree:
    """Return the tree over the first `size` entries. It keeps what it reads: use one for many proofs."""
    return Tree(size, StoredNodes())
