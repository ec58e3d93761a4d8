import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest

from sent.app.certificates import ensure_certificate, expires_at, server_context
from sent.app.settings import read_settings
from sent.kit.errors import BadInput

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    return read_settings({"SENT_DATA_DIR": str(tmp_path)})


def test_the_first_start_makes_one_that_tls_can_use(settings):
    made = ensure_certificate(settings, datetime.now(UTC))
    assert made.self_signed
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert server_context(made).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_second_start_keeps_it_and_one_that_runs_out_is_made_anew(settings):
    first = ensure_certificate(settings, NOW).chain.read_bytes()
    assert ensure_certificate(settings, NOW + timedelta(days=700)).chain.read_bytes() == first
    renewed = ensure_certificate(settings, NOW + timedelta(days=800))
    assert renewed.chain.read_bytes() != first
    assert expires_at(renewed.chain) > NOW + timedelta(days=1600)


def test_a_missing_file_is_named(tmp_path):
    settings = read_settings({"SENT_TLS_CERT": str(tmp_path / "c.pem"), "SENT_TLS_KEY": str(tmp_path / "k.pem")})
    with pytest.raises(BadInput, match=r"c\.pem"):
        ensure_certificate(settings, NOW)


def test_a_key_that_does_not_fit_is_refused(settings, tmp_path):
    made = ensure_certificate(settings, NOW)
    other = ensure_certificate(read_settings({"SENT_DATA_DIR": str(tmp_path / "other")}), NOW)
    made.key.write_bytes(other.key.read_bytes())
    with pytest.raises(BadInput, match="cannot be used together"):
        server_context(made)
