"""Which address phones and carriers are told, in SIP and in SDP."""

from __future__ import annotations

import ipaddress

from sent.app.settings import Settings
from sent.sip.flow import Flow, Target
from sent.transport.addresses import LocalAddresses, is_wildcard, route_to

_ANYWHERE = "192.0.2.1"
"""RFC 5737: asking for the route there sends nothing."""


def address_for_phones(settings: Settings) -> str:
    """What a person types into a phone as the server: a phone cannot dial 0.0.0.0."""
    return settings.advertise or (route_to(_ANYWHERE) if is_wildcard(settings.bind) else settings.bind)


class AdvertisedAddresses:
    """The configured address for peers outside, else the one that routes to the peer."""

    def __init__(self, settings: Settings, local: LocalAddresses) -> None:
        self._settings = settings
        self._local = local

    def for_media(self, peer: str, now: float) -> tuple[str, str]:
        """Where to bind RTP for ``peer``, and what to tell it."""
        bind = self._settings.bind
        if is_wildcard(bind):
            bind = self._local.towards(peer, now)
        return bind, self._seen_by(peer, bind)

    def for_sip(self, place: Flow | Target) -> tuple[str, int]:
        """Host and port for Via and Contact."""
        host, port = place.local
        peer = place.remote[0]
        return self._seen_by(peer, host), port

    def _seen_by(self, peer: str, own: str) -> str:
        """Behind NAT only peers outside see the other address: those on our own networks reach us directly."""
        advertise = self._settings.advertise
        if advertise is None:
            return own
        address = ipaddress.ip_address(peer.partition("%")[0])
        return own if address.is_private or address.is_loopback or address.is_link_local else advertise
