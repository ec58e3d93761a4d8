import pytest

from sent.app.settings import SETTINGS, read_settings
from sent.kit.errors import BadInput


def test_nothing_set_binds_to_loopback():
    settings = read_settings({})
    assert settings.is_loopback
    assert (settings.sip_port, settings.sip_tls_port, settings.http_port) == (5060, 5061, 8000)


def test_one_setting_opens_to_the_network():
    assert not read_settings({"SENT_BIND": "0.0.0.0"}).is_loopback


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENT_BIND", "localhost"),
        ("SENT_SIP_PORT", "70000"),
        ("SENT_SIP_PORT", "sip"),
        ("SENT_RTP_PORTS", "30000"),
        ("SENT_RTP_PORTS", "30000-20000"),
        ("SENT_LOG", "xml"),
        ("SENT_STORE_URL", "ftp://example.org/"),
        ("SENT_TLS_CERT", "/only/one.pem"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name, value):
    with pytest.raises(BadInput) as caught:
        read_settings({name: value})
    assert name in caught.value.message


def test_a_misspelt_setting_is_refused_and_the_list_shown():
    with pytest.raises(BadInput) as caught:
        read_settings({"SENT_BINDING": "0.0.0.0"})
    assert "SENT_BINDING" in caught.value.message
    assert all(name in caught.value.message for name in SETTINGS)


def test_a_port_range_is_read():
    assert read_settings({"SENT_RTP_PORTS": "30000-30100"}).rtp_ports == (30_000, 30_100)
