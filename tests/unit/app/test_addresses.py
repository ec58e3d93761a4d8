import pytest

from sent.app.addresses import AdvertisedAddresses, address_for_phones
from sent.app.settings import read_settings
from sent.sip.flow import Flow


class Routes:
    """`LocalAddresses` of a machine that is 10.0.0.5 inside and 203.0.113.5 to the rest."""

    def towards(self, peer: str, now: float) -> str:
        del now
        return "10.0.0.5" if peer.startswith("10.") else "203.0.113.5"


def _addresses(**settings: str) -> AdvertisedAddresses:
    return AdvertisedAddresses(read_settings({f"SENT_{name}": value for name, value in settings.items()}), Routes())


def test_a_fixed_address_is_bound_and_told_to_everybody():
    addresses = _addresses(BIND="192.168.1.2")
    for peer in ("192.168.1.9", "198.51.100.1"):
        assert addresses.for_media(peer, 0.0) == ("192.168.1.2", "192.168.1.2")


def test_on_all_addresses_the_one_that_routes_to_the_peer_counts():
    addresses = _addresses(BIND="0.0.0.0")
    assert addresses.for_media("10.0.0.9", 0.0) == ("10.0.0.5", "10.0.0.5")
    assert addresses.for_media("198.51.100.1", 0.0) == ("203.0.113.5", "203.0.113.5")


@pytest.mark.parametrize("inside", ["10.0.0.9", "192.168.1.9", "127.0.0.1", "169.254.3.3", "fe80::1%eth0", "fd00::7"])
def test_behind_nat_the_other_address_is_told_only_to_those_outside(inside):
    addresses = _addresses(BIND="10.0.0.5", ADVERTISE="203.0.113.99")
    assert addresses.for_media(inside, 0.0) == ("10.0.0.5", "10.0.0.5")
    assert addresses.for_media("8.8.8.8", 0.0) == ("10.0.0.5", "203.0.113.99")


def test_via_and_contact_keep_the_port_that_listens():
    addresses = _addresses(BIND="10.0.0.5", ADVERTISE="203.0.113.99")
    assert addresses.for_sip(Flow("UDP", ("10.0.0.5", 5060), ("8.8.8.8", 40_000))) == ("203.0.113.99", 5060)
    assert addresses.for_sip(Flow("TLS", ("10.0.0.5", 5061), ("10.0.0.7", 40_000))) == ("10.0.0.5", 5061)


def test_a_person_is_told_an_address_that_a_phone_can_call():
    assert address_for_phones(read_settings({"SENT_BIND": "192.168.1.2"})) == "192.168.1.2"
    assert address_for_phones(read_settings({"SENT_BIND": "0.0.0.0", "SENT_ADVERTISE": "203.0.113.9"})) == "203.0.113.9"
    assert address_for_phones(read_settings({"SENT_BIND": "0.0.0.0"})) not in ("0.0.0.0", "")
