"""A Merkle tree hash over a stream (RFC 9162 §2.1.1), in memory that grows with the logarithm of the leaves."""

from __future__ import annotations

import hashlib


class MerkleTree:
    def __init__(self) -> None:
        self.leaves = 0
        # Roots of full subtrees, the largest first; its sizes are the one-bits of `leaves`.
        self._subtrees: list[bytes] = []

    def add(self, entry: bytes) -> None:
        node = hashlib.sha256(b"\x00" + entry).digest()
        size = self.leaves
        while size & 1:
            node = _parent(self._subtrees.pop(), node)
            size >>= 1
        self._subtrees.append(node)
        self.leaves += 1

    def root(self) -> bytes:
        if not self._subtrees:
            return hashlib.sha256(b"").digest()
        node = self._subtrees[-1]
        for left in reversed(self._subtrees[:-1]):
            node = _parent(left, node)
        return node


def _parent(left: bytes, right: bytes) -> bytes:
    # The prefixes keep a node from being passed off as a leaf.
    return hashlib.sha256(b"\x01" + left + right).digest()
