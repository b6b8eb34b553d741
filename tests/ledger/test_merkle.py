"""The tree of RFC 6962: published vectors, every size to 130, and a second implementation as judge."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from pymerkle import InmemoryTree

from governance.ledger import standalone
from governance.ledger.merkle import EMPTY_ROOT, CompactRange, Node, Tree, leaf_hash
from governance.ledger.standalone import RootBuilder, Unverified, check_consistency, check_inclusion

#: The test leaves of RFC 6962's reference implementation (certificate-transparency merkletree tests) and their roots.
RFC_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
RFC_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
MOST = 130
LEAVES = [leaf_hash(str(number).encode()) for number in range(MOST)]


class Kept:
    """The nodes of a tree, in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}
        self.range = CompactRange()
        for leaf in leaves:
            self.keep(self.range.append(leaf))

    def keep(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            assert (node.level, node.index) not in self.kept
            self.kept[node.level, node.index] = node.hash

    def nodes(self, level: int, start: int, stop: int) -> list[bytes]:
        return [self.kept[level, index] for index in range(start, stop)]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_root_is_that_of_the_published_vectors(size: int) -> None:
    kept = Kept([leaf_hash(leaf) for leaf in RFC_LEAVES[:size]])

    assert kept.range.root().hex() == RFC_ROOTS[size - 1]
    assert Tree(size, kept).root().hex() == RFC_ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert CompactRange().root() == Tree(0, Kept([])).root() == RootBuilder().root() == EMPTY_ROOT
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT


def test_another_implementation_finds_the_same_roots() -> None:
    judge, ours = InmemoryTree(algorithm="sha256"), CompactRange()

    for number in range(MOST):
        judge.append_entry(str(number).encode())
        ours.append(LEAVES[number])

        assert judge.get_root() == ours.root()


def test_every_inclusion_proof_to_130_holds_and_holds_for_nothing_else() -> None:
    tree = Tree(MOST, Kept(LEAVES))

    for size in range(1, MOST + 1):
        root = tree.root(size)
        for index in range(size):
            path = tree.inclusion_proof(index, size)
            check_inclusion(LEAVES[index], index, size, root, path)
            with pytest.raises(Unverified):
                check_inclusion(LEAVES[index - 1] if size > 1 else LEAVES[1], index, size, root, path)
            with pytest.raises(Unverified):
                check_inclusion(LEAVES[index], index, size, root, [*path, LEAVES[0]])
            if path:
                with pytest.raises(Unverified):
                    check_inclusion(LEAVES[index], index, size, root, path[:-1])


def test_every_consistency_proof_to_130_holds_and_holds_for_nothing_else() -> None:
    tree = Tree(MOST, Kept(LEAVES))
    roots = [tree.root(size) for size in range(MOST + 1)]

    for new in range(1, MOST + 1):
        for old in range(1, new + 1):
            path = tree.consistency_proof(old, new)
            check_consistency(old, roots[old], new, roots[new], path)
            with pytest.raises(Unverified):
                check_consistency(old, LEAVES[0] if old > 1 else LEAVES[1], new, roots[new], path)
            with pytest.raises(Unverified):
                check_consistency(old, roots[old], new, roots[new], [*path, LEAVES[0]])
            if path:
                with pytest.raises(Unverified):
                    check_consistency(old, roots[old], new, roots[new], path[:-1])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 65535, 65536, 65793])
def test_a_tree_that_is_picked_up_from_its_tiles_goes_on_as_if_never_left(size: int) -> None:
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(size + 300)]
    kept, whole = Kept(leaves[:size]), RootBuilder()
    for leaf in leaves:
        whole.add(leaf)

    picked_up = Tree(size, kept).compact_range()
    for leaf in leaves[size:]:
        kept.keep(picked_up.append(leaf))

    assert picked_up.root() == whole.root() == Tree(len(leaves), kept).root()
    path = Tree(len(leaves), kept).inclusion_proof(size - 1)
    check_inclusion(leaves[size - 1], size - 1, len(leaves), whole.root(), path)


def test_level_one_nodes_are_the_roots_of_full_tiles() -> None:
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(600)]
    kept, tile = Kept(leaves), RootBuilder()
    for leaf in leaves[256:512]:
        tile.add(leaf)

    assert sorted(index for level, index in kept.kept if level == 1) == [0, 1]
    assert kept.kept[1, 1] == tile.root()


@pytest.mark.parametrize(
    ("index", "size"), [pytest.param(5, 5, id="index is the size"), pytest.param(-1, 5, id="negative"), (3, 200)]
)
def test_there_is_no_proof_outside_of_the_tree(index: int, size: int) -> None:
    tree = Tree(5, Kept(LEAVES[:5]))

    with pytest.raises(ValueError, match="tree"):
        tree.inclusion_proof(index, size)
    with pytest.raises(Unverified):
        check_inclusion(LEAVES[0], 5, 5, tree.root(), [])


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5)])
def test_there_is_no_consistency_from_nothing_or_backwards(old: int, new: int) -> None:
    tree = Tree(5, Kept(LEAVES[:5]))

    with pytest.raises(ValueError, match="consistency"):
        tree.consistency_proof(old, new)
    with pytest.raises(Unverified):
        check_consistency(old, tree.root(), new, tree.root(), [])


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    root = Tree(5, Kept(LEAVES[:5])).root()

    check_consistency(5, root, 5, root, [])
    with pytest.raises(Unverified, match="two different trees"):
        check_consistency(5, root, 5, LEAVES[0], [])


def test_the_verifier_stands_alone_and_reads_python_3_8() -> None:
    source = Path(standalone.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]

    assert set(names) <= {"__future__", "base64", "binascii", "hashlib", "json", "re", "typing"}
