"""Keeps the way to UDP phones behind a NAT open, for those that do not do it themselves.

A NAT forgets a UDP flow after 30 s or more without traffic (RFC 4787 §4.3), and the phone rings no more until it
registers again. Two line ends every 25 s are enough: every SIP parser drops them (RFC 3261 §7.5).
"""

from __future__ import annotations

import asyncio

from sent.registrations.service import Registrations
from sent.transport.port import SipPort

EVERY_S = 25.0
AT_ONCE = 50
"""More than so many are not sent in one turn of the loop."""


async def keep_alive(port: SipPort, registrations: Registrations) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        flows = list(registrations.behind_nat())
        for start in range(0, len(flows), AT_ONCE):
            for flow in flows[start : start + AT_ONCE]:
                port.agent.ping(flow)
            port.touch()
            await asyncio.sleep(0)
