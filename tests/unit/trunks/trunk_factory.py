"""Trunks for tests."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sent.trunks.models import CallerIdHeader, SrtpPolicy, Trunk, TrunkLimits, TrunkMode

TRUNK = Trunk(
    id=UUID(int=100),
    organization_id=UUID(int=1),
    name="Nordnet",
    mode=TrunkMode.REGISTER,
    domain="sip.nordnet.example",
    transport="UDP",
    proxy=None,
    username="4930555",
    auth_username=None,
    country="DE",
    caller_id="+493023125000",
    caller_id_header=CallerIdHeader.FROM,
    sources=(),
    srtp=SrtpPolicy.OFF,
    priority=1,
    outside_prefix="9",
    limits=TrunkLimits(),
)


def trunk(**changes) -> Trunk:
    return replace(TRUNK, **changes)
