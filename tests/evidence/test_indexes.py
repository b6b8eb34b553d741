"""Sets of ledger entries as bits: the same set as Python's, from the lowest on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.evidence.indexes import Indexes

SETS = st.frozensets(st.integers(min_value=0, max_value=5_000))


@given(SETS, SETS, SETS)
def test_bits_are_the_same_set_however_they_came_in(
    one: frozenset[int], two: frozenset[int], other: frozenset[int]
) -> None:
    held = Indexes(one)
    held.update(two)
    held.update(Indexes(other))

    assert list(held) == sorted(one | two | other)
    assert len(held) == len(one | two | other)
    assert all((index in held) == (index in one | two | other) for index in range(-1, 5_002))


def test_many_take_little_memory() -> None:
    held = Indexes(range(0, 1_000_000, 2))

    assert len(held) == 500_000
    assert len(held._bits) <= 250_000
