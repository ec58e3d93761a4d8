"""Free ports on loopback for processes of the tests."""

from __future__ import annotations

import random
import socket


def free_port_block(size: int) -> int:
    """The first of ``size`` consecutive ports, even, that were all free for UDP and TCP a moment ago.

    Below those that the kernel gives out by itself (32768 up): there a client that knocks before its server listens may be
    given the very port that it knocks at, and talk to itself.
    """
    for _ in range(200):
        base = random.randrange(10_000, 20_000, 2)
        if all(_is_free(port) for port in range(base, base + size)):
            return base
    raise RuntimeError("no block of free ports was found")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
