from datetime import UTC, datetime, timedelta

import pytest

from sent.app.certificates import ensure_certificate
from sent.app.doctor.finding import Verdict
from sent.app.doctor.machine import check_certificate, check_clock, check_disk
from sent.app.settings import read_settings

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_database_with_another_time_is_broken():
    (finding,) = check_clock(NOW - timedelta(seconds=90), NOW)
    assert finding.verdict is Verdict.BROKEN
    assert "90 s apart" in finding.words


@pytest.mark.parametrize(("age_days", "verdict"), [(0, Verdict.GOOD), (800, Verdict.WARNING), (900, Verdict.BROKEN)])
def test_a_certificate_by_its_age(tmp_path, age_days, verdict):
    settings = read_settings({"SENT_DATA_DIR": str(tmp_path)})
    ensure_certificate(settings, NOW)
    (finding,) = check_certificate(settings, NOW + timedelta(days=age_days))
    assert finding.verdict is verdict


def test_a_file_that_is_no_certificate_is_named(tmp_path):
    (tmp_path / "c.pem").write_text("not PEM")
    settings = read_settings({"SENT_TLS_CERT": str(tmp_path / "c.pem"), "SENT_TLS_KEY": str(tmp_path / "k.pem")})
    (finding,) = check_certificate(settings, NOW)
    assert finding.verdict is Verdict.BROKEN
    assert "SENT_TLS_CERT" in finding.remedy


def test_the_disk_is_measured_even_before_the_folder_exists(tmp_path):
    settings = read_settings({"SENT_DATA_DIR": str(tmp_path / "not" / "yet")})
    (finding,) = check_disk(settings)
    assert "GiB free" in finding.words
