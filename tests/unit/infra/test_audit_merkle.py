"""RFC 9162 §2.1.1: the Merkle tree hash, against its recursive definition."""

from __future__ import annotations

from hashlib import sha256

import pytest

from sent.infra.audit.merkle import MerkleTree


def by_definition(entries: list[bytes]) -> bytes:
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\x01" + by_definition(entries[:k]) + by_definition(entries[k:])).digest()


@pytest.mark.parametrize("count", range(20))
def test_the_streamed_root_is_the_recursive_one(count: int) -> None:
    entries = [bytes([n]) * 32 for n in range(count)]
    tree = MerkleTree()
    for entry in entries:
        tree.add(entry)
    assert (tree.root(), tree.leaves) == (by_definition(entries), count)


def test_order_matters() -> None:
    one, other = MerkleTree(), MerkleTree()
    for entry in (b"a", b"b"):
        one.add(entry)
    for entry in (b"b", b"a"):
        other.add(entry)
    assert one.root() != other.root()
