"""What somebody can do who owns the database, holds the signing key, or both: as SQL, for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Callable

from governance.ledger.merkle import CompactRange, leaf_hash
from governance.ledger.models import Entry
from governance.ledger.notes import Signer

Tamper = Callable[..., None]
#: Where the number of an entry stands.
_NUMBERED = (("entry", "index"), ("entrysubject", "entry_id"))
_HASHED_AGAIN = "UPDATE ledger_entry SET leaf_hash = sha256('\\x00'::bytea || convert_to(body, 'UTF8'))"


def edited(index: int) -> str:
    """Return the SQL that turns the number in the entry `thing.noted` round."""
    return (
        "UPDATE ledger_entry SET body = regexp_replace(body, '\"number\":[0-9]+', '\"number\":9999')"
        f" WHERE index = {index}"
    )


def hashed_again(index: int) -> str:
    """Return the SQL that makes the stored hash of an entry fit its text."""
    return f"{_HASHED_AGAIN} WHERE index = {index}"


def removed(index: int, until: int | None = None) -> list[str]:
    """Return the SQL that takes one entry out, or those up to `until`."""
    last = index if until is None else until
    return [
        f"DELETE FROM ledger_entrysubject WHERE entry_id BETWEEN {index} AND {last}",
        f"DELETE FROM ledger_entry WHERE index BETWEEN {index} AND {last}",
    ]


def moved(start: int, by: int) -> list[str]:
    """Return the SQL that renumbers the entries from `start` on.

    In two steps: one step meets a number that the next row still has, or not, by where the rows lie.
    """
    return [
        f"UPDATE ledger_{table} SET {column} = {column} + {step} WHERE {column} >= {first}"
        for table, column in _NUMBERED
        for step, first in ((100_000, start), (by - 100_000, 100_000))
    ]


def swapped(first: int, second: int) -> list[str]:
    """Return the SQL that makes two entries change places."""
    return [
        f"UPDATE ledger_{table} SET {column} = {new} WHERE {column} = {old}"
        for table, column in _NUMBERED
        for old, new in ((first, 100_000), (second, first), (100_000, second))
    ]


def slipped_in(index: int) -> list[str]:
    """Return the SQL that puts a second copy of the entry before it at `index`."""
    copies = [
        f"INSERT INTO ledger_{table} SELECT (jsonb_populate_record(one, '{{\"{column}\": {index}}}')).*"
        f" FROM ledger_{table} AS one WHERE {column} = {index - 1}"
        for table, column in _NUMBERED
    ]
    return [*moved(index, 1), *copies]


def cut(size: int) -> list[str]:
    """Return the SQL that takes the end off, with its heads and nodes, so that what stays fits together."""
    return [
        f"DELETE FROM ledger_checkpoint WHERE size > {size}",
        f"DELETE FROM ledger_node WHERE (index + 1) * power(256, level) > {size}",
        *removed(size, 10**9),
    ]


def add_head(signer: Signer, size: int, root: bytes) -> str:
    """Return the SQL that adds a head signed by whoever it is."""
    note = signer.checkpoint(size, root)
    return f"INSERT INTO ledger_checkpoint (size, root, note, at) VALUES ({size}, '\\x{root.hex()}', '{note}', now())"


def rewrite(signer: Signer, tamper: Tamper, index: int) -> None:
    """Change an entry and make everything else fit, as only somebody with database and key can."""
    key = signer.verifier_key
    tamper(
        f"UPDATE ledger_logkey SET verifier_key = '{key}'",
        'UPDATE ledger_entry SET body = regexp_replace(body, \'"verifier_key":"[^"]*"\', '
        f'\'"verifier_key":"{key}"\') WHERE index = 0',
        edited(index),
        _HASHED_AGAIN,
        "DELETE FROM ledger_checkpoint",
        "DELETE FROM ledger_node",
    )
    tree, nodes = CompactRange(), []
    for body in Entry.objects.order_by("index").values_list("body", flat=True):
        nodes += [node for node in tree.append(leaf_hash(body.encode())) if node.level]
    tamper(
        *(f"INSERT INTO ledger_node VALUES ({node.level}, {node.index}, '\\x{node.hash.hex()}')" for node in nodes),
        add_head(signer, tree.size, tree.root()),
    )
