import socket

import pytest

from sent.app.doctor.finding import Verdict
from sent.app.doctor.network import check_audio_ports, check_media_address, check_ports
from sent.app.settings import read_settings


@pytest.fixture
def taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _udp(settings, *, is_running):
    return next(f for f in check_ports(settings, is_running=is_running) if f.subject == "SIP over UDP")


def test_a_taken_port_names_the_port_and_the_setting(taken):
    finding = _udp(read_settings({"SENT_SIP_PORT": str(taken)}), is_running=False)
    assert finding.verdict is Verdict.BROKEN
    assert str(taken) in finding.words
    assert "SENT_SIP_PORT" in finding.remedy


def test_a_port_that_the_running_sent_holds_is_good(taken):
    assert _udp(read_settings({"SENT_SIP_PORT": str(taken)}), is_running=True).verdict is Verdict.GOOD


def test_a_running_sent_that_does_not_listen_is_broken(taken):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert _udp(read_settings({"SENT_SIP_PORT": str(free)}), is_running=True).verdict is Verdict.BROKEN


def test_an_address_of_another_machine_is_named():
    finding = _udp(read_settings({"SENT_BIND": "198.51.100.7"}), is_running=False)
    assert finding.verdict is Verdict.BROKEN
    assert "198.51.100.7" in finding.words


def test_loopback_only_is_said_with_the_setting_that_opens_it():
    (finding,) = check_media_address(read_settings({}))
    assert "SENT_BIND=0.0.0.0" in finding.remedy


def test_a_private_address_warns_of_the_world_outside():
    (finding,) = check_media_address(read_settings({"SENT_BIND": "10.1.2.3"}))
    assert finding.verdict is Verdict.WARNING
    assert "SENT_ADVERTISE" in finding.remedy


def test_few_audio_ports_are_counted_in_calls():
    (finding,) = check_audio_ports(read_settings({"SENT_RTP_PORTS": "20000-20039"}))
    assert finding.verdict is Verdict.WARNING
    assert "10 calls" in finding.words
