"""Which audio ports of the server are open, seen from outside."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.serving import Server


def audio_ports(server: Server) -> list[int]:
    """The UDP ports of the RTP range that are open now."""
    low, high = server.settings.rtp_ports
    table = Path("/proc/net/udp").read_text()
    ports = {int(found, 16) for found in re.findall(r" [0-9A-F]{8}:([0-9A-F]{4}) [0-9A-F]{8}:", table)}
    return sorted(port for port in ports if low <= port <= high)
